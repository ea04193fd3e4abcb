"""What a study must show, and what it aims at, each as a number beside its bound."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.summary import compare_arms

GATE_COLUMNS = ("gate", "value", "bound", "is_required", "is_passed")
LEAST_FEATURE_STD = 0.1
"""Representations on the unit sphere count as collapsed below; filling it evenly gives 1."""
LEAST_RANK = 5.0
"""Directions that representations use count as too few below."""
_SMALL = 250
_ABOVE = 1e-6
"""What is above another is so by at least this; equal means do not pass."""
LEAST_DRAWS = 5
"""Draws of labels below which a study shows nothing."""


@dataclass(frozen=True)
class _Claim:
    """That one row of the summary is above another by so much."""

    first: tuple[str, str, int]
    second: tuple[str, str, int]
    metric: str
    least: float
    is_required: bool = True

    def __str__(self) -> str:
        """What is claimed."""
        one, other = (f"{arm} ({kind}, {n})" for arm, kind, n in (self.first, self.second))
        return f"{self.metric}: {one} less {other}"


def judge_study(
    results: pd.DataFrame, pretrainings: pd.DataFrame, config: LabelEfficiencyConfig
) -> pd.DataFrame:
    """The claims that the study can test, each held against its bound.

    Required is that pretraining on both sets of votes beats training from nothing, by 10 points
    of balanced accuracy at the smallest number of labels and by 6 at 250, and does with the
    smallest number at least what training from nothing does with the largest; that votes alone
    beat random features everywhere; that BYOL has not collapsed and is at most 0.01 below random
    features; and that hybrids beat training from nothing everywhere. Aimed at, in long runs, is
    that BYOL is 3 points of AUC above random features at 250 labels, and hybrids above BYOL and
    at least equal to votes alone at up to 250.

    Args:
        results: rows of the study's cells.
        pretrainings: ``arm``, ``feature_std`` and ``effective_rank``.
        config: of the study.

    Returns:
        ``GATE_COLUMNS``. What is required and cannot be tested, because the study lacks an arm or
        a number of labels, has the value NaN and is not passed; such aims are left out.
    """
    rows: list[tuple[str, float, float, bool]] = [
        ("draws of labels", float(config.n_draws), float(LEAST_DRAWS), True)
    ]
    for claim in _claims(config):
        difference = float("nan")
        if _can_be_tested(claim, config):
            told = compare_arms(results, claim.first, claim.second, claim.metric)
            # The last digits of differences of means are rounding.
            difference = round(float(told["difference"]), 9)
        if claim.is_required or _can_be_tested(claim, config):
            rows.append((str(claim), difference, claim.least, claim.is_required))
    for name, least in (("feature_std", LEAST_FEATURE_STD), ("effective_rank", LEAST_RANK)):
        found = pretrainings.loc[pretrainings["arm"] == "byol", name].to_numpy(dtype=np.float64)
        value = float(found[-1]) if len(found) else float("nan")
        rows.append((f"{name} of byol", value, least, True))
    table = pd.DataFrame(rows, columns=list(GATE_COLUMNS[:-1]))
    return table.assign(is_passed=table["value"] >= table["bound"])


def _can_be_tested(claim: _Claim, config: LabelEfficiencyConfig) -> bool:
    """Whether the study has both rows."""
    kinds = {arm.name: arm.kinds for arm in config.arms if not arm.is_absent}
    return all(
        kind in kinds.get(arm, []) and n_labels in config.n_labels
        for arm, kind, n_labels in (claim.first, claim.second)
    )


def _claims(config: LabelEfficiencyConfig) -> Iterator[_Claim]:
    """All claims about pairs of rows."""
    best, few, many = "supervised_gz2_efigi", config.n_labels[0], config.n_labels[-1]
    for n_labels, least in ((few, 0.1), (_SMALL, 0.06)):
        yield _against_direct(best, n_labels, "balanced_accuracy", least)
    for metric in ("auc", "balanced_accuracy"):
        yield _Claim((best, "finetune", few), ("direct", "finetune", many), metric, 0.0)
    for n_labels in config.n_labels:
        random = ("random", "probe", n_labels)
        yield _Claim(("supervised_gz2", "probe", n_labels), random, "auc", _ABOVE)
        yield _Claim(("byol", "probe", n_labels), random, "auc", -0.01)
        for hybrid in ("hybrid_gz2", "hybrid_gz2_efigi"):
            for metric in ("auc", "balanced_accuracy"):
                yield _against_direct(hybrid, n_labels, metric, _ABOVE)
    yield from _aims(config)


def _aims(config: LabelEfficiencyConfig) -> Iterator[_Claim]:
    """Claims of the long run, and one against training from nothing for three times as long."""
    best, few, many = "supervised_gz2_efigi", config.n_labels[0], config.n_labels[-1]
    for metric in ("auc", "balanced_accuracy"):
        longer = ("direct_x3", "finetune", many)
        yield _Claim((best, "finetune", few), longer, metric, 0.0, is_required=False)
    random = ("random", "probe", _SMALL)
    yield _Claim(("byol", "probe", _SMALL), random, "auc", 0.03, is_required=False)
    for label_set in ("gz2", "gz2_efigi"):
        for n_labels in config.n_labels:
            if n_labels <= _SMALL:
                for kind in ("probe", "finetune"):
                    hybrid = (f"hybrid_{label_set}", kind, n_labels)
                    for other in ("byol", f"supervised_{label_set}"):
                        second = (other, kind, n_labels)
                        yield _Claim(hybrid, second, "auc", 0.0, is_required=False)


def _against_direct(arm: str, n_labels: int, metric: str, least: float) -> _Claim:
    """That finetuning an arm beats training from nothing."""
    return _Claim((arm, "finetune", n_labels), ("direct", "finetune", n_labels), metric, least)
