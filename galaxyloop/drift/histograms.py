"""How often each predicted value falls in each bin: all that drift is measured from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Float, Float64, Int64

from galaxyloop.config import StrictConfig, require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.predictions import read_batches

N_BINS = 10
"""Bins of as many reference galaxies each, as is usual for the index."""
DISTANCE = "feature_distance"
DISTANCE_EDGES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)
"""Between the bins of the distance from the training galaxies, in its unit."""
_EVEN_EDGES = tuple(float(edge) for edge in np.arange(1, N_BINS) / N_BINS)

Histograms = Mapping[str, Int64[np.ndarray, " bin"]]


@dataclass(frozen=True)
class BinnedColumn(StrictConfig):
    """How often one column's values fall in each bin."""

    name: str
    """Of the column in a catalogue."""
    edges: list[float]
    """Ascending values between the bins."""
    counts: list[int]
    """Galaxies in each bin, one more than there are edges."""

    def __post_init__(self) -> None:
        """Check that bins and counts belong together."""
        require(
            len(self.counts) == len(self.edges) + 1,
            f"counts must be one more than edges, got {len(self.counts)} and {len(self.edges)}",
        )


@dataclass(frozen=True)
class DriftReference(StrictConfig):
    """Predicted fractions of the galaxies that a model was judged on, as counts in bins."""

    columns: list[BinnedColumn] = field(default_factory=list)
    """Of each answer."""

    @property
    def histograms(self) -> Histograms:
        """The counts by column."""
        return {one.name: np.asarray(one.counts, np.int64) for one in self.columns}


def count_fractions(
    fractions: Float[np.ndarray, "galaxy answer"], tree: DecisionTree
) -> DriftReference:
    """Bins that hold a tenth of the galaxies each, of every answer's predicted fraction.

    Where many galaxies have one value, a bin holds more, and there are fewer bins.

    Args:
        fractions: predicted mean vote fractions of held-out galaxies.
        tree: whose answers they are.
    """
    shares = np.arange(1, N_BINS) / N_BINS
    columns = []
    for column, values in zip(tree.columns, fractions.T, strict=True):
        between = np.unique(np.quantile(values, shares).astype(np.float32))
        counts = _count(values.astype(np.float32), between)
        name = f"{column}_fraction"
        columns.append(BinnedColumn(name, between.astype(float).tolist(), counts.tolist()))
    return DriftReference(columns)


def bin_edges(tree: DecisionTree, reference: DriftReference | None) -> dict[str, list[float]]:
    """The bins of everything that is compared: the reference's, or of even widths."""
    known = {one.name: one.edges for one in reference.columns} if reference else {}
    fractions = [f"{column}_fraction" for column in tree.columns]
    edges = {name: known.get(name, list(_EVEN_EDGES)) for name in fractions}
    return edges | {DISTANCE: list(DISTANCE_EDGES)}


def count_catalogue(catalogue: Path, edges: Mapping[str, list[float]]) -> Histograms:
    """Count a catalogue's values, in one pass over its row groups; NaN counts nowhere.

    Args:
        catalogue: its file.
        edges: what to count; columns that it does not have are left out.
    """
    names = [name for name in edges if name in pq.read_schema(catalogue).names]
    bounds = {name: np.asarray(edges[name], np.float32) for name in names}
    counts = {name: np.zeros(len(edges[name]) + 1, np.int64) for name in names}
    for batch in read_batches(catalogue, names):
        for name in names:
            counts[name] += _count(batch.column(name).to_numpy(zero_copy_only=False), bounds[name])
    return counts


def stability_index(new: Int64[np.ndarray, " bin"], reference: Int64[np.ndarray, " bin"]) -> float:
    """Population stability index: the symmetric relative entropy of two histograms [nats].

    Half a galaxy is added to each bin, so that an empty one does not decide alone. If both are
    drawn from one distribution, it is about (1/n + 1/m) times a chi-squared variable with a degree
    of freedom less than there are bins (Yurdakul & Naranjo 2020, doi:10.21314/JRMV.2020.227).
    """
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (new, reference))
    return float(((p - q) * np.log(p / q)).sum())


def _count(
    values: Float[np.ndarray, " galaxy"], between: Float[np.ndarray, " edge"]
) -> Int64[np.ndarray, " bin"]:
    """Galaxies in each bin; a value on an edge is in the bin above."""
    known: Float64[np.ndarray, " known"] = values[~np.isnan(values)]
    places = np.searchsorted(between, known, side="right")
    return np.bincount(places, minlength=len(between) + 1)
