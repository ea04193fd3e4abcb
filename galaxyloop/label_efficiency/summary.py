"""What a study's cells say together: means over draws, and differences on the same draws."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from galaxyloop.label_efficiency.config import LabelEfficiencyConfig

SUMMARY_METRICS = ("auc", "balanced_accuracy", "accuracy")
COVERAGE = 0.9
_CELL = ["arm", "kind", "n_labels"]


def summarise_cells(results: pd.DataFrame, config: LabelEfficiencyConfig) -> pd.DataFrame:
    """Mean of each metric over the draws of labels, with two intervals of 90 %.

    One is over draws: Student's t of the mean, as if draws were independent; they share the pool
    and the test galaxies, so it leaves out what other galaxies would have given. The other is over
    test galaxies: the mean of the draws' bootstrap intervals, which is a little too wide, for the
    bootstrap of a mean is narrower than the mean of bootstraps.

    Args:
        results: the columns ``table.COLUMNS``.
        config: of the study; absent arms get rows without numbers.

    Returns:
        ``arm, kind, n_labels, n_draws`` and for each metric the mean, ``_std`` and ``_low`` and
        ``_high`` over draws, ``_test_low`` and ``_test_high`` over test galaxies; in the order of
        the study. ``note`` says why there are no numbers.
    """
    rows = []
    for arm in config.arms:
        for kind in arm.kinds:
            for n_labels in config.n_labels:
                place = dict(zip(_CELL, (arm.name, kind, n_labels), strict=True))
                cells = _cells_at(results, arm.name, kind, n_labels)
                note = "absent: no weights given" if arm.is_absent else ""
                rows.append({**place, "n_draws": len(cells), **_metrics(cells), "note": note})
    return pd.DataFrame(rows)


def compare_arms(
    results: pd.DataFrame,
    first: tuple[str, str, int],
    second: tuple[str, str, int],
    metric: str,
) -> dict[str, float]:
    """Mean difference of two rows of the summary over the draws that both have.

    The interval covers what other draws of labels would have given, and neither other test
    galaxies nor other pretrainings.

    Args:
        results: the columns ``table.COLUMNS``.
        first: arm, kind and number of labels.
        second: what is taken away.
        metric: one of ``SUMMARY_METRICS``.

    Returns:
        ``difference``, its ``low`` and ``high`` (90 % over draws, paired), and ``n_draws``.
    """
    parts = [
        _cells_at(results, *row).set_index("draw")[metric].astype(float) for row in (first, second)
    ]
    pairs = pd.concat(parts, axis=1, join="inner").to_numpy(dtype=np.float64)
    differences = pairs[:, 0] - pairs[:, 1]
    low, high = mean_interval(differences)
    mean = float(differences.mean()) if len(differences) else float("nan")
    return {"difference": mean, "low": low, "high": high, "n_draws": float(len(differences))}


def tabulate_differences(
    results: pd.DataFrame, config: LabelEfficiencyConfig, baseline: str = "direct"
) -> pd.DataFrame:
    """Every arm less the baseline's finetuning, at each number of labels, on the same draws.

    Returns:
        ``arm, kind, n_labels, metric, difference, low, high, n_draws``.
    """
    rows = []
    for arm in config.arms:
        for kind in arm.kinds:
            for n_labels in config.n_labels:
                for metric in SUMMARY_METRICS[:2]:
                    first, second = (arm.name, kind, n_labels), (baseline, "finetune", n_labels)
                    if first != second and not arm.is_absent:
                        told = compare_arms(results, first, second, metric)
                        place = dict(zip(_CELL, first, strict=True))
                        rows.append({**place, "metric": metric, **told})
    return pd.DataFrame(rows)


def mean_interval(values: Sequence[float] | Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """The 5 and 95 % points of a mean by Student's t; NaN of fewer than two values."""
    from scipy.stats import t as student  # here: scipy takes a while

    n_values = len(values)
    if n_values < 2:
        return float("nan"), float("nan")
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(student.ppf((1 + COVERAGE) / 2, n_values - 1)) * std / float(np.sqrt(n_values))
    return mean - half, mean + half


def _cells_at(results: pd.DataFrame, arm: str, kind: str, n_labels: int) -> pd.DataFrame:
    """All draws of one row of the summary."""
    is_kind = (results["arm"] == arm) & (results["kind"] == kind)
    return results[is_kind & (results["n_labels"] == n_labels)]


def _metrics(cells: pd.DataFrame) -> dict[str, float]:
    """Of one row of the summary."""
    told: dict[str, float] = {}
    for metric in SUMMARY_METRICS:
        values = cells[metric].to_numpy(dtype=np.float64)
        low, high = mean_interval(values)
        told |= {
            metric: float(values.mean()) if len(values) else float("nan"),
            f"{metric}_std": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
            f"{metric}_low": low,
            f"{metric}_high": high,
            f"{metric}_test_low": float(cells[f"{metric}_test_low"].mean()),
            f"{metric}_test_high": float(cells[f"{metric}_test_high"].mean()),
        }
    return told
