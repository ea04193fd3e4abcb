"""A small survey of which the next batch is chosen."""

from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.acquisition import AcquisitionConfig, BatchConfig, RetirementConfig
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.zooniverse.selection import SelectionRules, SelectionSources
from tests.library.representation_tables import write_shard_file

TREE = DecisionTree(
    "toy",
    (
        Question("bar-toy", ("yes", "no")),
        Question("arms-toy", ("1", "2", "more"), ("bar-toy_yes", "bar-toy_no")),
    ),
)
INFORMATION = {"g0": 0.1, "g1": 0.9, "g2": 0.8, "g3": 0.7, "g4": 0.6, "g5": 0.5}
"""Of bars; arms tell 0.3 of every galaxy, so that they are asked for of g0 alone."""
KINDS = {"g0": 0, "g1": 1, "g2": 1, "g3": 1, "g4": 2, "g5": 0}
"""g1, g2 and g3 look alike."""


def survey(n_galaxies: int = 6) -> pd.DataFrame:
    """Galaxies g0 to g5; g4 and g5 are two images of one."""
    ids = [f"g{i}" for i in range(n_galaxies)]
    return pd.DataFrame(
        {
            "id_str": ids,
            "group_id": [one.replace("g5", "g4") for one in ids],
            "ra_deg": 10.0 * np.arange(n_galaxies),
            "dec_deg": np.zeros(n_galaxies),
            "image_uri": "nowhere.jpg",
            "image_digest": [f"sha256:{one}" for one in ids],
        }
    )


def predictions(path: Path) -> Path:
    """What a model may say of them; old images of g1 are there too."""
    rows = []
    for name, information in INFORMATION.items():
        for digest in (f"sha256:{name}", "sha256:before")[: 1 + (name == "g1")]:
            is_now = digest != "sha256:before"
            row = {"id_str": name, "image_digest": digest}
            for column in TREE.columns:
                own = {"fraction": 0.4, "fraction_p05": 0.1, "fraction_p95": 0.7}
                row |= {f"{column}_{end}": value * is_now for end, value in own.items()}
            row |= {"bar-toy_asked": 1.0, "arms-toy_asked": 0.5}
            row |= {"bar-toy_information_nats": information * is_now}
            row |= {"arms-toy_information_nats": 0.3 * is_now}
            rows.append(row)
    pd.DataFrame(rows).to_parquet(path)
    return path


def sources(folder: Path, votes: dict[str, int] | None = None) -> SelectionSources:
    """The galaxies with so many votes for a bar."""
    directions = np.eye(3, dtype=np.float32)
    vectors = np.stack([directions[kind] + 0.01 * i for i, kind in enumerate(KINDS.values())])
    table = None
    if votes is not None:
        columns = dict.fromkeys(TREE.columns, 0)
        table = pd.DataFrame({"id_str": list(votes), **columns})
        table["bar-toy_yes"] = list(votes.values())
    return SelectionSources(
        TREE,
        survey(),
        [predictions(folder / "predictions.parquet")],
        [write_shard_file(folder / "vectors.parquet", survey(), vectors.astype(np.float32))],
        table,
        TREE,
    )


def rules(n_galaxies: int = 3, **retirement: object) -> SelectionRules:
    return SelectionRules(
        AcquisitionConfig(),
        BatchConfig(n_galaxies=n_galaxies, candidates_per_galaxy=4.0),
        RetirementConfig.from_dict({"max_votes": 40, "max_interval_width": 0.0, **retirement}),
    )
