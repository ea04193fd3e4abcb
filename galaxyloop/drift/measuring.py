"""Drift: a catalogue held against a model's held-out galaxies and against the catalogue before."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.config import StrictConfig, require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.drift.histograms import (
    DISTANCE,
    DISTANCE_EDGES,
    DriftReference,
    Histograms,
    bin_edges,
    count_catalogue,
    stability_index,
)
from galaxyloop.flags import OUT_OF_DISTRIBUTION_ABOVE

HELD_OUT, LAST_CATALOGUE = "held-out galaxies", "last catalogue"
DRIFT_COLUMNS = (
    "against",
    "quantity",
    "measure",
    "value",
    "limit",
    "n_new",
    "n_reference",
    "is_flagged",
)
_OUTSIDE = DISTANCE_EDGES.index(OUT_OF_DISTRIBUTION_ABOVE) + 1
"""First bin of the distances that are out of distribution."""


@dataclass(frozen=True)
class DriftConfig(StrictConfig):
    """From when on a difference is flagged."""

    max_stability_index: float = 0.2
    """Of one column, above 0. By custom 0.1 is a moderate shift and 0.25 a large one; between
    samples of one survey it is about the number of bins over the number of galaxies."""
    max_excess: float = 3.0
    """How many times as many galaxies as expected may be out of distribution, at least 1."""
    false_alarm: float = 1e-4
    """Chance that one comparison is flagged by the noise of its numbers alone, in (0, 1)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            self.max_stability_index > 0,
            f"max_stability_index must be > 0, got {self.max_stability_index}",
        )
        require(self.max_excess >= 1, f"max_excess must be >= 1, got {self.max_excess}")
        require(0 < self.false_alarm < 1, f"false_alarm must be in (0, 1), got {self.false_alarm}")


def measure_drift(
    catalogue: Path,
    tree: DecisionTree,
    reference: DriftReference | None = None,
    share_beyond: float = float("nan"),
    last: Path | None = None,
    config: DriftConfig | None = None,
) -> pd.DataFrame:
    """Compare the predictions and representations of a catalogue with those before.

    Predictions are compared by the population stability index of each answer's fraction.
    Representations by the distance of their features from the training galaxies': its index
    against the last catalogue, and the share of galaxies beyond the training galaxies against the
    share that is expected of galaxies like them. A value is flagged above its ``limit``, which is
    the config's, or what noise alone exceeds once in 1 / ``false_alarm`` comparisons if that is
    more.

    Args:
        catalogue: the new one.
        tree: whose answers it holds.
        reference: predictions of the model's held-out galaxies; None if they are not known.
        share_beyond: share of such galaxies that is expected out of distribution
            (``FeatureReference.share_beyond``); NaN if it is not known.
        last: the catalogue before; None if there is none.
        config: limits.

    Returns:
        ``DRIFT_COLUMNS``, a row a comparison: ``measure`` is ``stability_index`` or
        ``share_out_of_distribution``. Empty if there is nothing to compare with.
    """
    config = config or DriftConfig()
    edges = bin_edges(tree, reference)
    new = count_catalogue(catalogue, edges)
    rows: list[tuple[object, ...]] = []
    if reference is not None:
        rows += _indexes(HELD_OUT, new, reference.histograms, config)
    if np.isfinite(share_beyond) and new[DISTANCE].any():
        rows.append(_share(new, share_beyond, config))
    if last is not None:
        rows += _indexes(LAST_CATALOGUE, new, count_catalogue(last, edges), config)
    table = pd.DataFrame(rows, columns=list(DRIFT_COLUMNS[:-1]))
    return table.assign(is_flagged=table["value"] > table["limit"])


def describe_drift(table: pd.DataFrame, n_shown: int = 3) -> list[str]:
    """What is flagged, a line for each of the two comparisons; none if nothing is.

    Args:
        table: what ``measure_drift`` gives.
        n_shown: quantities named, the worst first.
    """
    lines = []
    flagged = table[table["is_flagged"]]
    for against, rows in flagged.groupby("against", sort=False):
        worst = rows.assign(excess=rows["value"] / rows["limit"])
        worst = worst.sort_values("excess", ascending=False, kind="stable")
        told = ", ".join(
            f"{row.quantity} {row.value:.3g} (limit {row.limit:.3g})"
            for row in worst.head(n_shown).itertuples()
        )
        n_compared = int((table["against"] == against).sum())
        lines.append(f"{len(rows)} of {n_compared} quantities unlike the {against}: {told}")
    return lines


def _indexes(
    against: str, new: Histograms, reference: Histograms, config: DriftConfig
) -> Iterator[tuple[object, ...]]:
    """The stability index of each column that both have."""
    from scipy.stats import chi2

    for name, counts in new.items():
        if name not in reference or not counts.any() or not reference[name].any():
            continue
        n_new, n_reference = int(counts.sum()), int(reference[name].sum())
        by_noise = chi2.isf(config.false_alarm, max(len(counts) - 1, 1))
        limit = max(config.max_stability_index, float(by_noise) * (1 / n_new + 1 / n_reference))
        value = stability_index(counts, reference[name])
        yield against, name, "stability_index", value, limit, n_new, n_reference


def _share(new: Histograms, expected: float, config: DriftConfig) -> tuple[object, ...]:
    """The share of galaxies that are out of distribution."""
    from scipy.stats import binom

    counts = new[DISTANCE]
    n_new = int(counts.sum())
    by_noise = float(binom.isf(config.false_alarm, n_new, expected)) / n_new
    limit = max(config.max_excess * expected, by_noise)
    value = float(counts[_OUTSIDE:].sum() / n_new)
    return HELD_OUT, DISTANCE, "share_out_of_distribution", value, limit, n_new, 0
