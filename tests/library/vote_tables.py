"""Votes of galaxies whose volunteers all walk the tree to its end."""

import numpy as np
import pandas as pd

from galaxyloop.campaigns import Campaign


def walk_tree(campaign: Campaign, n_galaxies: int, seed: int = 0) -> pd.DataFrame:
    """Harmonised counts, one row a galaxy."""
    rng = np.random.default_rng(seed)
    votes: dict[str, np.ndarray] = {}
    for question in campaign.tree.questions:
        parents = [votes[column] for column in question.asked_after]
        asked = np.sum(parents, axis=0) if parents else rng.integers(20, 41, n_galaxies)
        shares = rng.dirichlet(np.ones(len(question.answers)), n_galaxies)
        votes.update(zip(question.columns, rng.multinomial(asked, shares).T, strict=True))
    ids = [f"5877229817420{seed}{i:04d}" for i in range(n_galaxies)]
    return pd.DataFrame({"id_str": ids, **votes})
