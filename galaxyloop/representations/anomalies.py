"""Which galaxies are like no others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64

from galaxyloop.errors import RepresentationError
from galaxyloop.random_streams import number_names, uniforms
from galaxyloop.representations.config import AnomalyConfig
from galaxyloop.representations.neighbours import nearest_similarities
from galaxyloop.representations.preparation import ROWS_AT_ONCE, Preparation, Vectors


@dataclass(frozen=True)
class Reference:
    """The galaxies among which everybody's neighbours are looked for."""

    preparation: Preparation
    directions: Float32[np.ndarray, "galaxy axis"]
    row_of_group: "pd.Series[int]"
    """Where in ``directions`` a group's image is, by ``group_id``."""
    n_neighbours: int

    @classmethod
    def of(cls, galaxies: pd.DataFrame, vectors: Vectors, config: AnomalyConfig) -> "Reference":
        """The reference made of the galaxies that ``choose_reference`` chose.

        Raises:
            RepresentationError: there are too few galaxies, or all are the same.
        """
        if len(vectors) <= config.n_neighbours:
            raise RepresentationError(
                f"anomaly scores with n_neighbours={config.n_neighbours} need at least "
                f"{config.n_neighbours + 1} galaxies, got {len(vectors)}; lower n_neighbours or "
                "take more galaxies"
            )
        preparation = Preparation.of(vectors, config.preparation)
        parts = [
            preparation.directions(vectors[first : first + ROWS_AT_ONCE])
            for first in range(0, len(vectors), ROWS_AT_ONCE)
        ]
        rows = pd.Series(np.arange(len(vectors)), index=galaxies["group_id"].to_numpy())
        return cls(preparation, np.concatenate(parts), rows, config.n_neighbours)

    def score(self, group_ids: Iterable[str], vectors: Vectors) -> Float32[np.ndarray, " galaxy"]:
        """Mean cosine distance of each galaxy to its nearest neighbours outside its group."""
        own = self.row_of_group.reindex(list(group_ids)).fillna(-1).to_numpy(np.int64)
        directions = self.preparation.directions(vectors)
        nearest = nearest_similarities(directions, self.directions, own, self.n_neighbours)
        return np.asarray(np.clip(1 - nearest.mean(axis=1), 0, 2), np.float32)


def score_anomalies(
    galaxies: pd.DataFrame, vectors: Vectors, config: AnomalyConfig
) -> Float32[np.ndarray, " galaxy"]:
    """Mean cosine distance of each galaxy to its nearest neighbours in the survey.

    From 0 (others look exactly like it) to 2. Neighbours are looked for among one image of each
    group and never in a galaxy's own group, so another image of a galaxy changes nobody's score;
    a copy that is not known to be one (in a group of its own) counts as a neighbour and lowers the
    score of what it shows. Above ``max_reference`` groups, a random choice by hash of id stands
    for all: distances get larger for everybody, by more where galaxies are rare, and the order
    stays nearly the same. Scores compare galaxies of one run only.

    Args:
        galaxies: ``id_str`` and ``group_id``, a row a galaxy.
        vectors: their representations.
        config: neighbours, reference, preparation.

    Raises:
        RepresentationError: there are too few galaxies, or all representations are equal.
    """
    chosen = choose_reference(galaxies, config)
    reference = Reference.of(galaxies.iloc[chosen], vectors[chosen], config)
    groups = galaxies["group_id"].to_numpy()
    scores = [reference.score(groups[rows], vectors[rows]) for rows in _blocks(len(vectors))]
    return np.concatenate(scores)


def choose_reference(galaxies: pd.DataFrame, config: AnomalyConfig) -> Int64[np.ndarray, " galaxy"]:
    """Rows of the galaxies that stand for all: one a group, at most ``max_reference``.

    Which they are depends on the ids and the seed alone, not on the order of the rows.

    Args:
        galaxies: ``id_str`` and ``group_id``, a row a galaxy.
        config: how many, and the seed.
    """
    draws = uniforms([config.seed], number_names(galaxies["id_str"]), 1)[:, 0]
    drawn = pd.DataFrame(
        {"draw": draws, "id_str": galaxies["id_str"], "group_id": galaxies["group_id"]}
    ).reset_index(drop=True)
    first_ids = drawn.sort_values("id_str").drop_duplicates("group_id")
    chosen = first_ids.sort_values(["draw", "id_str"]).head(config.max_reference)
    return np.sort(chosen.index.to_numpy(np.int64))


def rank_percentiles(scores: Float32[np.ndarray, " galaxy"]) -> Float32[np.ndarray, " galaxy"]:
    """Percentage of the survey whose score is no higher; 100 for the most anomalous galaxy."""
    return (100 * pd.Series(scores).rank(pct=True, method="max")).to_numpy(np.float32)


def _blocks(n_rows: int) -> Iterator[slice]:
    """All rows, some at a time."""
    for first in range(0, n_rows, ROWS_AT_ONCE):
        yield slice(first, first + ROWS_AT_ONCE)
