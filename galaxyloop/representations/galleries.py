"""Pictures of a survey's representations: neighbours of some galaxies, and the anomalies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxyloop.errors import RepresentationError
from galaxyloop.plots.representations import plot_anomalies, plot_similar_galaxies
from galaxyloop.plots.style import LIGHT, new_figure, paint
from galaxyloop.random_streams import number_names, uniforms
from galaxyloop.representations.config import GalleryConfig
from galaxyloop.representations.similarity import find_galaxy, find_similar
from galaxyloop.representations.table import Representations, most_anomalous
from galaxyloop.shards import CutoutCollection

_ANOMALIES_IN_ROW = 8
_SIDE_IN = 1.05
_CAPTION_IN = 0.26


@dataclass(frozen=True)
class Galleries:
    """What is drawn, before anybody's cutouts are needed."""

    similar: dict[str, pd.DataFrame]
    """What ``find_similar`` gives for each query."""
    anomalies: pd.DataFrame
    """What ``most_anomalous`` gives."""

    @property
    def id_strs(self) -> list[str]:
        """The galaxies that are shown, each once."""
        neighbours = [found["id_str"] for found in self.similar.values()]
        shown = pd.concat([pd.Series([*self.similar], dtype=str), *neighbours])
        return sorted({*shown, *self.anomalies["id_str"]})


def choose_galleries(representations: Representations, config: GalleryConfig) -> Galleries:
    """Find the neighbours of each query, and the most anomalous galaxies.

    Args:
        representations: of the survey, with anomaly scores.
        config: queries, and how many galaxies are shown.

    Raises:
        UnknownNameError: a query is no galaxy of the survey.
    """
    queries = config.queries or choose_queries(representations, config.n_queries)
    similar = {
        query: find_similar(representations, query, config.n_neighbours) for query in queries
    }
    return Galleries(similar, most_anomalous(representations.galaxies, config.n_anomalies))


def draw_similar(galleries: Galleries, cutouts: CutoutCollection) -> Figure:
    """A row for each query: the galaxy and those most similar to it.

    Args:
        galleries: queries and neighbours.
        cutouts: of these galaxies at least.

    Raises:
        RepresentationError: a galaxy has no cutout there.
    """
    n_columns = 1 + max(map(len, galleries.similar.values()))
    figure, axes = _gallery(len(galleries.similar), n_columns)
    for number, (query, neighbours) in enumerate(galleries.similar.items()):
        images = _images(cutouts, [query, *neighbours["id_str"]])
        row = axes[number * n_columns : (number + 1) * n_columns]
        plot_similar_galaxies(query, images, neighbours, row)
    return paint(figure, LIGHT)


def draw_anomalies(galleries: Galleries, cutouts: CutoutCollection) -> Figure:
    """The most anomalous galaxies, row by row.

    Args:
        galleries: the anomalies.
        cutouts: of these galaxies at least.

    Raises:
        RepresentationError: a galaxy has no cutout there.
    """
    anomalies = galleries.anomalies
    figure, axes = _gallery(math.ceil(len(anomalies) / _ANOMALIES_IN_ROW), _ANOMALIES_IN_ROW)
    plot_anomalies(_images(cutouts, anomalies["id_str"].tolist()), anomalies, axes)
    return paint(figure, LIGHT)


def choose_queries(representations: Representations, n: int) -> list[str]:
    """Some ids that depend on nothing but the ids: those with the smallest hash."""
    id_strs = representations.galaxies["id_str"]
    draws = uniforms([0], number_names(id_strs), 1)[:, 0]
    chosen: list[str] = id_strs.iloc[np.argsort(draws, kind="stable")[:n]].tolist()
    return chosen


def check_queries(
    queries: Sequence[str], survey: "pd.Series[str]", drawable: "pd.Series[str]"
) -> None:
    """Refuse to show the neighbours of galaxies that have no representation.

    Args:
        queries: ids of the galaxies asked for.
        survey: ids of the survey's galaxies.
        drawable: ids of those that have a cutout.

    Raises:
        UnknownNameError: the survey has no such galaxy; those with nearly that id are named.
        RepresentationError: the galaxy is there, but its image gave no cutout.
    """
    for query in queries:
        find_galaxy(survey, query)
        if not (drawable == query).any():
            raise RepresentationError(
                f"the query '{query}' is a galaxy of the survey, but its image was rejected, so "
                f"that it is not among the {len(drawable)} that are represented; mend its image "
                "or choose another query"
            )


def save_galleries(galleries: Galleries, cutouts: CutoutCollection, directory: Path) -> list[Path]:
    """Draw both galleries as PNG: ``similar.png`` and ``anomalies.png``.

    Raises:
        RepresentationError: a galaxy that is shown has no cutout there.
    """
    figures = {
        "similar": draw_similar(galleries, cutouts),
        "anomalies": draw_anomalies(galleries, cutouts),
    }
    paths = [directory / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path)
    return paths


def _gallery(n_rows: int, n_columns: int) -> tuple[Figure, list[Axes]]:
    """Axes for small pictures."""
    return new_figure(n_columns * _SIDE_IN, n_rows * (_SIDE_IN + _CAPTION_IN), n_rows, n_columns)


def _images(cutouts: CutoutCollection, id_strs: Sequence[str]) -> np.ndarray:
    """Cutouts by id; a galaxy without one is refused, never drawn as another."""
    positions = pd.Index(cutouts.id_strs).get_indexer(list(id_strs))
    missing = [id_str for id_str, at in zip(id_strs, positions, strict=True) if at < 0]
    if missing:
        raise RepresentationError(
            f"{len(missing)} of {len(id_strs)} galaxies to be drawn have no cutout among the "
            f"{len(cutouts.id_strs)} given, the first '{missing[0]}'; give the cutouts of the "
            "survey that was represented, or represent it again"
        )
    return cutouts.read(positions)
