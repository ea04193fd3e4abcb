"""What asking the right galaxies saves: curves, areas between them, labels needed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64

from galaxyloop.active_learning.config import BASELINE, MEASURES, ActiveLearningConfig
from galaxyloop.label_efficiency.summary import COVERAGE, mean_interval

_N_BOOTSTRAP = 1000
_ROUNDING = 1e-9
SAVING_COLUMNS = (
    *("arm", "measure", "n_seeds", "labels_needed", "saving", "saving_low", "saving_high"),
    *("area", "area_low", "area_high", "last_error", "random_last_error"),
)


@dataclass(frozen=True)
class Curves:
    """One arm's errors."""

    n_labels: Int64[np.ndarray, " round"]
    errors: Float64[np.ndarray, "seed round"]


def summarise_curves(results: pd.DataFrame, config: ActiveLearningConfig) -> pd.DataFrame:
    """Mean of each measure over seeds, with its 90 % interval (Student's t).

    Args:
        results: ``table.COLUMNS``.
        config: of the study.

    Returns:
        ``arm, n_labels, n_seeds``, and for each measure the mean, ``_low`` and ``_high``.
    """
    rows = []
    for arm in config.arms:
        own = results[results["arm"] == arm.name]
        for n_labels, group in own.groupby("n_labels"):
            row = {"arm": arm.name, "n_labels": n_labels, "n_seeds": len(group)}
            for measure in MEASURES:
                values = group[measure].to_numpy(dtype=np.float64)
                low, high = mean_interval(values)
                row |= {measure: values.mean(), f"{measure}_low": low, f"{measure}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def tabulate_savings(results: pd.DataFrame, config: ActiveLearningConfig) -> pd.DataFrame:
    """Every arm against random choice, by each measure that the study has.

    - ``labels_needed``: to reach the error that random reaches with all its labels. Read off the
      mean curve over seeds, which is made to fall by isotonic regression, between rounds by
      straight lines; infinite where the arm never gets there.
    - ``saving``: the share of labels saved, 1 - labels needed over those that random needs by the
      same reading, which are fewer than all where its curve has become flat. The interval of 90 %
      is a bootstrap over seeds, whole seeds with all their arms, widened for their number as
      Student's t is: resampled seeds scatter less than seeds do. NaN of a single seed.
    - ``area``: how far the arm lies below random, the mean over rounds after the start; its
      interval of 90 % is Student's t over seeds, paired. This is the figure to judge by.

    Intervals cover other starts and heads, and neither other galaxies nor other encoders.

    Args:
        results: ``table.COLUMNS``.
        config: of the study.

    Returns:
        ``SAVING_COLUMNS``, a row an arm and measure.
    """
    rows = []
    for measure in (name for name in MEASURES if results[name].notna().all()):
        baseline = curves_of(results, BASELINE, measure)
        for arm in config.arms:
            curves = curves_of(results, arm.name, measure)
            rows.append({"arm": arm.name, "measure": measure, **_compare(curves, baseline)})
    return pd.DataFrame(rows, columns=list(SAVING_COLUMNS))


def curves_of(results: pd.DataFrame, arm: str, measure: str) -> Curves:
    """An arm's errors, a row a seed."""
    own = results[results["arm"] == arm]
    table = own.pivot(index="seed", columns="n_labels", values=measure).sort_index()
    return Curves(table.columns.to_numpy(dtype=np.int64), table.to_numpy(dtype=np.float64))


def labels_to_reach(
    n_labels: Int64[np.ndarray, " round"], errors: Float[np.ndarray, " round"], level: float
) -> float:
    """Labels at which a curve of errors first gets down to a level; infinite if it never does.

    Args:
        n_labels: rising.
        errors: at each of them; made to fall by isotonic regression.
        level: the error to reach.
    """
    falling = falling_curve(errors)
    # Equal means, added up in another order, differ in their last digits.
    reached = np.flatnonzero(falling <= level + _ROUNDING * abs(level))
    if not len(reached):
        return float("inf")
    place = int(reached[0])
    if place == 0:
        return float(n_labels[0])
    above, below = falling[place - 1], falling[place]
    share = min((above - level) / (above - below), 1.0)
    return float(n_labels[place - 1] + share * (n_labels[place] - n_labels[place - 1]))


def falling_curve(errors: Float[np.ndarray, " round"]) -> Float64[np.ndarray, " round"]:
    """The nearest curve that never rises, by the min-max formula of isotonic regression."""
    totals = np.concatenate([[0.0], np.cumsum(errors, dtype=np.float64)])
    places = np.arange(len(totals))
    lengths = places[None, 1:] - places[:-1, None]
    # Row a, column b: the mean from place a to place b.
    means = (totals[None, 1:] - totals[:-1, None]) / np.where(lengths > 0, lengths, 1)
    highest = np.where(lengths > 0, means, -np.inf)
    highest = np.maximum.accumulate(highest[:, ::-1], axis=1)[:, ::-1]
    falling = np.where(lengths > 0, highest, np.inf).min(axis=0)
    return np.asarray(falling, dtype=np.float64)


def _compare(curves: Curves, baseline: Curves) -> dict[str, float]:
    """One arm against random."""
    n_seeds = min(len(curves.errors), len(baseline.errors))
    own, other = curves.errors[:n_seeds], baseline.errors[:n_seeds]
    needed, saving = _saving(curves.n_labels, own, other)
    generator = np.random.default_rng(0)
    draws = generator.integers(0, n_seeds, (_N_BOOTSTRAP, n_seeds))
    savings = [_saving(curves.n_labels, own[rows], other[rows])[1] for rows in draws]
    tail = 100 * (1 - COVERAGE) / 2
    # Where an arm never gets there, it saves less than any number.
    ends = np.percentile(savings, [tail, 100 - tail], method="nearest")
    low, high = (_widened(float(end), saving, n_seeds) for end in ends)
    areas = (other - own)[:, 1:].mean(axis=1)
    area_low, area_high = mean_interval(areas)
    return {
        "n_seeds": float(n_seeds),
        "labels_needed": needed,
        "saving": saving,
        "saving_low": low,
        "saving_high": high,
        "area": float(areas.mean()),
        "area_low": area_low,
        "area_high": area_high,
        "last_error": float(own[:, -1].mean()),
        "random_last_error": float(other[:, -1].mean()),
    }


def _widened(end: float, value: float, n_seeds: int) -> float:
    """An end of a bootstrap's interval, as far from the value as few seeds call for."""
    from scipy.stats import norm, t  # here: scipy takes a while

    if n_seeds < 2:
        return float("nan")
    if not np.isfinite([end, value]).all():
        return end
    level = (1 + COVERAGE) / 2
    factor = t.ppf(level, n_seeds - 1) / norm.ppf(level) * (n_seeds / (n_seeds - 1)) ** 0.5
    # Nobody can save more than all labels.
    return min(float(value + factor * (end - value)), 1.0)


def _saving(
    n_labels: Int64[np.ndarray, " round"],
    own: Float64[np.ndarray, "seed round"],
    other: Float64[np.ndarray, "seed round"],
) -> tuple[float, float]:
    """Labels needed, and the share saved; minus infinity where the level is never reached."""
    level = float(falling_curve(other.mean(axis=0))[-1])
    needed = labels_to_reach(n_labels, own.mean(axis=0), level)
    random_needs = labels_to_reach(n_labels, other.mean(axis=0), level)
    return needed, 1 - needed / random_needs
