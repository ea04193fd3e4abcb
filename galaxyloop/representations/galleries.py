"""Pictures of a survey's representations: neighbours of some galaxies, and the anomalies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxyloop.errors import RepresentationError
from galaxyloop.plots.representations import plot_anomalies, plot_similar_galaxies
from galaxyloop.plots.style import LIGHT, new_figure, paint
from galaxyloop.random_streams import number_names, uniforms
from galaxyloop.representations.similarity import find_similar
from galaxyloop.representations.table import Representations
from galaxyloop.shards import CutoutCollection

N_QUERIES = 6
"""Galaxies whose neighbours are shown when none are named."""
N_NEIGHBOURS = 7
_SIDE_IN = 1.05
_CAPTION_IN = 0.16


def draw_similar(
    representations: Representations, cutouts: CutoutCollection, queries: Sequence[str]
) -> Figure:
    """A row for each query: the galaxy and those most similar to it.

    Args:
        representations: of the survey.
        cutouts: of its galaxies.
        queries: ids; empty for a choice by hash of id.

    Raises:
        UnknownNameError: there is no such galaxy.
    """
    chosen = list(queries) or choose_queries(representations)
    figure, axes = _gallery(len(chosen), 1 + N_NEIGHBOURS)
    for number, query in enumerate(chosen):
        neighbours = find_similar(representations, query, N_NEIGHBOURS)
        images = _images(cutouts, [query, *neighbours["id_str"]])
        row = axes[number * (1 + N_NEIGHBOURS) : (number + 1) * (1 + N_NEIGHBOURS)]
        plot_similar_galaxies(query, images, neighbours, row)
    return paint(figure, LIGHT)


def draw_anomalies(
    representations: Representations, cutouts: CutoutCollection, n_rows: int = 4
) -> Figure:
    """The most anomalous galaxies, row by row.

    Args:
        representations: of the survey, with anomaly scores.
        cutouts: of its galaxies.
        n_rows: of eight galaxies.
    """
    figure, axes = _gallery(n_rows, 1 + N_NEIGHBOURS)
    anomalies = most_anomalous(representations.galaxies, len(axes))
    plot_anomalies(_images(cutouts, anomalies["id_str"].tolist()), anomalies, axes)
    return paint(figure, LIGHT)


def most_anomalous(galaxies: pd.DataFrame, n: int) -> pd.DataFrame:
    """The galaxies with the highest scores, the most anomalous first; of a group only that one.

    Args:
        galaxies: what ``Representations.galaxies`` of a survey holds.
        n: how many; fewer come if there are no more.

    Raises:
        RepresentationError: there are no scores.
    """
    if "anomaly_score" not in galaxies:
        raise RepresentationError(
            "there are no anomaly scores among the columns "
            f"{list(galaxies.columns)}; give the representations.parquet of embed_survey, "
            "not that of one shard"
        )
    ordered = galaxies.sort_values(["anomaly_score", "id_str"], ascending=[False, True])
    return ordered.drop_duplicates("group_id").head(n).reset_index(drop=True)


def choose_queries(representations: Representations, n: int = N_QUERIES) -> list[str]:
    """Some ids that depend on nothing but the ids: those with the smallest hash."""
    id_strs = representations.galaxies["id_str"]
    draws = uniforms([0], number_names(id_strs), 1)[:, 0]
    chosen: list[str] = id_strs.iloc[np.argsort(draws, kind="stable")[:n]].tolist()
    return chosen


def save_galleries(
    representations: Representations,
    cutouts: CutoutCollection,
    queries: Sequence[str],
    directory: Path,
) -> list[Path]:
    """Draw both galleries as PNG: ``similar.png`` and ``anomalies.png``.

    Raises:
        UnknownNameError: a query is no galaxy of the survey.
    """
    figures = {
        "similar": draw_similar(representations, cutouts, queries),
        "anomalies": draw_anomalies(representations, cutouts),
    }
    paths = [directory / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path)
    return paths


def _gallery(n_rows: int, n_columns: int) -> tuple[Figure, list[Axes]]:
    """Axes for small pictures."""
    return new_figure(n_columns * _SIDE_IN, n_rows * (_SIDE_IN + _CAPTION_IN), n_rows, n_columns)


def _images(cutouts: CutoutCollection, id_strs: Sequence[str]) -> np.ndarray:
    """Cutouts by id."""
    return cutouts.read(pd.Index(cutouts.id_strs).get_indexer(list(id_strs)))
