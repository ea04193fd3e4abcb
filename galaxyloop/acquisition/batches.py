"""Which of the ranked galaxies are asked about together."""

import math

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Int64

from galaxyloop.acquisition.config import BatchConfig
from galaxyloop.acquisition.sky import SkyLimits
from galaxyloop.config import require
from galaxyloop.errors import RepresentationError
from galaxyloop.representations.preparation import Preparation


def select_batch(
    ranked: pd.DataFrame,
    representations: Float[np.ndarray, "galaxy feature"] | None,
    config: BatchConfig,
) -> pd.DataFrame:
    """The galaxies of the next batch: high in rank, unlike each other, where the sky allows.

    The best of a ranked list are often alike, and the votes on one tell what those on the next
    would. So the batch is chosen among ``candidates_per_galaxy`` times as many: first the best
    ranked, then always the one whose representation is farthest from its nearest in the batch
    (greedy k-center of Sener & Savarese 2018, arXiv:1708.00489, among the best ranked). What the
    candidates cannot fill, since regions are full or neighbours too close, is filled by rank.

    Args:
        ranked: what ``rank_galaxies`` gives: ``rank``, ``id_str``, ``ra_deg``, ``dec_deg`` ...
        representations: of the same galaxies in the same order; may be None without diversity.
        config: budget, diversity, regions.

    Returns:
        Rows of ``ranked`` in its order; at most ``config.n_galaxies``.

    Raises:
        ConfigError: diversity is asked for without representations.
        RepresentationError: they are not as many as the galaxies, not finite, or all equal.
    """
    limits = SkyLimits(ranked, config)
    allowed = np.flatnonzero(limits.is_open)
    shortlist = allowed[: math.ceil(config.candidates_per_galaxy * config.n_galaxies)]
    chosen: list[int] = []
    if config.diversity == "k_center" and len(shortlist) > config.n_galaxies:
        directions = _directions(representations, len(ranked), shortlist, config)
        chosen = _spread_out(directions, shortlist, config.n_galaxies, limits)
    for place in allowed.tolist():
        if len(chosen) == config.n_galaxies:
            break
        if limits.is_open[place]:
            limits.take(place)
            chosen.append(place)
    return ranked.iloc[sorted(chosen)].reset_index(drop=True)


def _directions(
    representations: Float[np.ndarray, "galaxy feature"] | None,
    n_galaxies: int,
    shortlist: Int64[np.ndarray, " candidate"],
    config: BatchConfig,
) -> Float32[np.ndarray, "candidate axis"]:
    """Unit vectors of the candidates, after a look at everybody's."""
    require(
        representations is not None,
        f"diversity '{config.diversity}' needs representations of the ranked galaxies, got None; "
        "give them, or set diversity to 'none'",
    )
    vectors = np.asarray(representations, dtype=np.float32)
    if len(vectors) != n_galaxies or not np.isfinite(vectors).all():
        raise RepresentationError(
            f"representations must be finite, one for each of the {n_galaxies} ranked galaxies, "
            f"got {len(vectors)}, {int(np.isfinite(vectors).all(axis=1).sum())} of them finite; "
            "put them in the order of the list"
        )
    return Preparation.of(vectors, config.preparation).directions(vectors[shortlist])


def _spread_out(
    directions: Float32[np.ndarray, "candidate axis"],
    shortlist: Int64[np.ndarray, " candidate"],
    n_galaxies: int,
    limits: SkyLimits,
) -> list[int]:
    """Greedy k-center; of candidates equally far the best ranked."""
    distance = np.full(len(shortlist), np.inf)
    chosen: list[int] = []
    while len(chosen) < n_galaxies:
        is_open = limits.is_open[shortlist]
        if not is_open.any():
            break
        farthest = int(np.argmax(np.where(is_open, distance, -np.inf)))
        place = int(shortlist[farthest])
        limits.take(place)
        chosen.append(place)
        distance = np.minimum(distance, 1 - directions @ directions[farthest])
    return chosen
