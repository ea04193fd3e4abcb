"""Galleries of what representations say: who is like whom, and who is like nobody."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.axes import Axes

_MAX_ID = 20


def plot_similar_galaxies(
    query: str,
    images: UInt8[np.ndarray, "galaxy y x band"],
    neighbours: pd.DataFrame,
    axes: Sequence[Axes],
) -> Sequence[Axes]:
    """One row of a gallery: a galaxy, then those most similar to it, with their similarity.

    Good: the neighbours share the query's structure (arms, bar, ring, edge-on disk) whichever way
    it is turned. Neighbours that share only size, colour or background mean that the encoder has
    not learnt structure.

    Args:
        query: the galaxy's id.
        images: its cutout, then those of its neighbours in their order.
        neighbours: what ``find_similar`` gives for it.
        axes: where to draw, the query first; those without a galaxy stay blank.
    """
    for ax in axes:
        ax.set_axis_off()
    _show(images[0], axes[0], f"like\n{_shorten(query)}")
    rows = zip(images[1:], neighbours["similarity"], neighbours["id_str"], axes[1:], strict=False)
    for image, similarity, id_str, ax in rows:
        _show(image, ax, f"{similarity:.2f}\n{_shorten(id_str)}")
    return axes


def plot_anomalies(
    images: UInt8[np.ndarray, "galaxy y x band"], anomalies: pd.DataFrame, axes: Sequence[Axes]
) -> Sequence[Axes]:
    """The galaxies least like any others, with their anomaly score.

    Good: mergers, rings, odd shapes. Artefacts of imaging come first in many surveys; a gallery
    of nothing else asks for their removal before anomalies are looked for again.

    Args:
        images: their cutouts, in their order.
        anomalies: ``id_str`` and ``anomaly_score``, the most anomalous first.
        axes: where to draw; those without a galaxy stay blank.
    """
    for ax in axes:
        ax.set_axis_off()
    rows = zip(images, anomalies["anomaly_score"], anomalies["id_str"], axes, strict=False)
    for image, score, id_str, ax in rows:
        _show(image, ax, f"{score:.2f}\n{_shorten(id_str)}")
    return axes


def _show(image: UInt8[np.ndarray, "y x band"], ax: Axes, caption: str) -> None:
    """One cutout with two short lines above it."""
    ax.imshow(image if image.shape[2] > 1 else image[..., 0], cmap="gray")
    ax.set_title(caption, fontsize=5.5, loc="left", pad=2, linespacing=1.25)


def _shorten(id_str: str) -> str:
    """The end of an id, where ids of one survey differ, if it is too long for a small picture."""
    return id_str if len(id_str) <= _MAX_ID else f"…{id_str[1 - _MAX_ID :]}"
