"""The galaxies that volunteers could be asked about: those in the survey now, each once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from galaxyloop.decision_tree import DecisionTree


def read_candidates(
    prediction_files: Sequence[Path], tree: DecisionTree, alive: Mapping[str, str]
) -> pd.DataFrame:
    """Positions and information of every galaxy of the survey that has a prediction.

    Args:
        prediction_files: of the survey's shards, oldest first; later files win.
        tree: the questions.
        alive: the digest that each galaxy's image has now, by id.

    Returns:
        ``id_str``, ``ra_deg``, ``dec_deg`` and ``{question}_information_nats``, a row a galaxy.
    """
    columns = ["id_str", "ra_deg", "dec_deg", "image_digest"]
    columns += [f"{question}_information_nats" for question in tree.question_names]
    files = [pd.read_parquet(path, columns=columns) for path in prediction_files]
    if not files:
        return pd.DataFrame(columns=columns).drop(columns="image_digest")
    rows = pd.concat(files, ignore_index=True)
    is_alive = rows["id_str"].map(alive) == rows["image_digest"]
    rows = rows[is_alive.fillna(False).astype(bool)]
    rows = rows.drop_duplicates("id_str", keep="last").drop(columns="image_digest")
    return rows.reset_index(drop=True)
