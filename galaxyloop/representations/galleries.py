"""Pictures of a survey's representations: neighbours of some galaxies, and the anomalies."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxyloop.plots.representations import plot_anomalies, plot_similar_galaxies
from galaxyloop.plots.style import LIGHT, new_figure, paint
from galaxyloop.random_streams import number_names, uniforms
from galaxyloop.representations.config import GalleryConfig
from galaxyloop.representations.similarity import find_similar
from galaxyloop.representations.table import Representations, most_anomalous
from galaxyloop.shards import CutoutCollection

_ANOMALIES_IN_ROW = 8
_SIDE_IN = 1.05
_CAPTION_IN = 0.26


def draw_similar(
    representations: Representations, cutouts: CutoutCollection, config: GalleryConfig
) -> Figure:
    """A row for each query: the galaxy and those most similar to it.

    Args:
        representations: of the survey.
        cutouts: of its galaxies.
        config: queries and neighbours.

    Raises:
        UnknownNameError: there is no such galaxy.
    """
    queries = config.queries or choose_queries(representations, config.n_queries)
    n_columns = 1 + config.n_neighbours
    figure, axes = _gallery(len(queries), n_columns)
    for number, query in enumerate(queries):
        neighbours = find_similar(representations, query, config.n_neighbours)
        images = _images(cutouts, [query, *neighbours["id_str"]])
        row = axes[number * n_columns : (number + 1) * n_columns]
        plot_similar_galaxies(query, images, neighbours, row)
    return paint(figure, LIGHT)


def draw_anomalies(
    representations: Representations, cutouts: CutoutCollection, n: int = 32
) -> Figure:
    """The most anomalous galaxies, row by row.

    Args:
        representations: of the survey, with anomaly scores.
        cutouts: of its galaxies.
        n: how many.
    """
    anomalies = most_anomalous(representations.galaxies, n)
    figure, axes = _gallery(math.ceil(len(anomalies) / _ANOMALIES_IN_ROW), _ANOMALIES_IN_ROW)
    plot_anomalies(_images(cutouts, anomalies["id_str"].tolist()), anomalies, axes)
    return paint(figure, LIGHT)


def choose_queries(representations: Representations, n: int) -> list[str]:
    """Some ids that depend on nothing but the ids: those with the smallest hash."""
    id_strs = representations.galaxies["id_str"]
    draws = uniforms([0], number_names(id_strs), 1)[:, 0]
    chosen: list[str] = id_strs.iloc[np.argsort(draws, kind="stable")[:n]].tolist()
    return chosen


def save_galleries(
    representations: Representations,
    cutouts: CutoutCollection,
    config: GalleryConfig,
    directory: Path,
) -> list[Path]:
    """Draw both galleries as PNG: ``similar.png`` and ``anomalies.png``.

    Raises:
        UnknownNameError: a query is no galaxy of the survey.
    """
    figures = {
        "similar": draw_similar(representations, cutouts, config),
        "anomalies": draw_anomalies(representations, cutouts, config.n_anomalies),
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
