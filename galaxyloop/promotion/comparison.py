"""Scores of two models side by side, with a paired bootstrap over groups of galaxies."""

import numpy as np
import pandas as pd
from jaxtyping import Float64

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.promotion.config import PromotionConfig
from galaxyloop.promotion.scores import LEVEL

ALL_QUESTIONS = "all"
"""What stands in the column ``question`` for all together, as in the table of metrics, whose
modules need torch."""
_VALUES_PER_CHUNK = 2**23
_KEYS = ["id_str", "question"]
_SUMS = ("n", "champion", "challenger", "n_covered", "covered_champion", "covered_challenger")


def compare_scores(
    challenger: pd.DataFrame, champion: pd.DataFrame, tree: DecisionTree, config: PromotionConfig
) -> pd.DataFrame:
    """Means and intervals of the differences, of all questions together and of each.

    Every resampling draws groups with replacement, the same for both models.

    Args:
        challenger: table of ``HeldOutScores``.
        champion: that of the same galaxies and questions.
        tree: which questions there are.
        config: number of resamplings, confidence and margins.

    Returns:
        ``question``, first the sum over all; ``n_galaxies``, ``n_groups``; ``champion`` and
        ``challenger``, the mean log-likelihoods [nats a galaxy], their ``difference`` with the
        interval from ``low`` to ``high``; ``verdict``: better, worse (beyond chance and margin),
        as good, or too few; ``coverage_champion`` and ``coverage_challenger`` of the 90 %
        intervals, how much further the challenger's is from 0.9 (``calibration_difference``,
        ``calibration_low``, ``calibration_high``), and ``calibration``: holds, worse or too few.
    """
    pairs = _pair(challenger, champion)
    labels = [
        ALL_QUESTIONS,
        *(name for name in tree.question_names if name in set(pairs["question"])),
    ]
    groups = pd.factorize(pairs["group_id"], sort=True)[0]
    sums = [_group_sums(pairs, groups, label) for label in labels]
    resampled = _resample(np.concatenate(sums, axis=1), config)
    rows = []
    for label, own, drawn in zip(
        labels, sums, np.split(resampled, len(labels), axis=1), strict=True
    ):
        rows.append({"question": label, **_row(own, drawn, label == ALL_QUESTIONS, config)})
    return pd.DataFrame(rows)


def _pair(challenger: pd.DataFrame, champion: pd.DataFrame) -> pd.DataFrame:
    """One row a galaxy and question with what both models say."""
    values = ["log_likelihood", "coverage"]
    pairs = champion[["id_str", "group_id", "question", *values]].merge(
        challenger[[*_KEYS, *values]], on=_KEYS, suffixes=("_champion", "_challenger")
    )
    return pairs.sort_values(_KEYS, ignore_index=True)


def _group_sums(
    pairs: pd.DataFrame, groups: np.ndarray, label: str
) -> Float64[np.ndarray, "group quantity"]:
    """What each group adds to the means of a question, or of all together."""
    is_all = label == ALL_QUESTIONS
    is_chosen = np.full(len(pairs), True) if is_all else (pairs["question"] == label).to_numpy()
    has_both = pairs[["coverage_champion", "coverage_challenger"]].notna().all(axis=1)
    counted = {
        # Of all questions together the mean is over galaxies, of the sum over their questions.
        "n": ~pairs["id_str"].duplicated().to_numpy() if is_all else is_chosen,
        "champion": pairs["log_likelihood_champion"].to_numpy(),
        "challenger": pairs["log_likelihood_challenger"].to_numpy(),
        "n_covered": has_both.to_numpy(),
        "covered_champion": pairs["coverage_champion"].where(has_both, 0).to_numpy(),
        "covered_challenger": pairs["coverage_challenger"].where(has_both, 0).to_numpy(),
    }
    n_groups = int(groups.max()) + 1
    columns = [
        np.bincount(groups, weights=np.where(is_chosen, counted[name], 0), minlength=n_groups)
        for name in _SUMS
    ]
    return np.stack(columns, axis=1)


def _resample(
    sums: Float64[np.ndarray, "group quantity"], config: PromotionConfig
) -> Float64[np.ndarray, "resampling quantity"]:
    """The sums over groups that were drawn with replacement."""
    rng = np.random.default_rng(config.seed)
    n_groups = len(sums)
    n_each = max(1, _VALUES_PER_CHUNK // n_groups)
    drawn = []
    for start in range(0, config.n_bootstrap, n_each):
        picks = rng.integers(0, n_groups, (min(n_each, config.n_bootstrap - start), n_groups))
        weights = np.stack([np.bincount(pick, minlength=n_groups) for pick in picks])
        drawn.append(weights @ sums)
    return np.concatenate(drawn)


def _row(
    sums: Float64[np.ndarray, "group quantity"],
    drawn: Float64[np.ndarray, "resampling quantity"],
    is_all: bool,
    config: PromotionConfig,
) -> dict[str, object]:
    """Numbers and verdicts of one question."""
    total = sums.sum(axis=0, keepdims=True)
    n_groups = int((sums[:, 0] > 0).sum())
    low, high = _interval(_difference(drawn), config)
    gap_low, gap_high = _interval(_gap(drawn), config)
    difference, gap = float(_difference(total)[0]), float(_gap(total)[0])
    is_enough = n_groups >= config.min_groups
    verdict = "as good"
    if low > 0:
        verdict = "better"
    elif high < 0 and (is_all or difference < -config.question_margin_nats):
        verdict = "worse"
    champion, challenger = (float(total[0, _SUMS.index(name)] / total[0, 0]) for name in _SUMS[1:3])
    covered = [float(part[0]) for part in _coverages(total)]
    is_off = abs(covered[1] - LEVEL) > config.calibration_margin and gap_low > 0
    n_covered_groups = int((sums[:, 3] > 0).sum())
    calibration = "worse" if is_off else "holds"
    return {
        "n_galaxies": int(total[0, 0]),
        "n_groups": n_groups,
        "champion": champion,
        "challenger": challenger,
        "difference": difference,
        "low": low,
        "high": high,
        "verdict": verdict if is_enough else "too few",
        "coverage_champion": covered[0],
        "coverage_challenger": covered[1],
        "calibration_difference": gap,
        "calibration_low": gap_low,
        "calibration_high": gap_high,
        "calibration": calibration if n_covered_groups >= config.min_groups else "too few",
    }


def _difference(sums: Float64[np.ndarray, "row quantity"]) -> Float64[np.ndarray, " row"]:
    """Challenger less champion in mean log-likelihood; NaN where nobody was drawn."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = (sums[:, 2] - sums[:, 1]) / sums[:, 0]
    return result


def _coverages(
    sums: Float64[np.ndarray, "row quantity"],
) -> tuple[Float64[np.ndarray, " row"], Float64[np.ndarray, " row"]]:
    """Champion's and challenger's."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[:, 4] / sums[:, 3], sums[:, 5] / sums[:, 3]


def _gap(sums: Float64[np.ndarray, "row quantity"]) -> Float64[np.ndarray, " row"]:
    """How much further from nominal the challenger's coverage is than the champion's."""
    champion, challenger = _coverages(sums)
    result: np.ndarray = np.abs(challenger - LEVEL) - np.abs(champion - LEVEL)
    return result


def _interval(
    values: Float64[np.ndarray, " resampling"], config: PromotionConfig
) -> tuple[float, float]:
    """The bounds beyond which lie as few resamplings as the confidence allows, on either side."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [1 - config.confidence, config.confidence])
    return float(low), float(high)
