"""The decision: champion and challenger on the same galaxies, question by question."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from galaxyloop.errors import DifferentGalaxiesError
from galaxyloop.promotion.comparison import ALL_QUESTIONS, compare_scores
from galaxyloop.promotion.config import PromotionConfig
from galaxyloop.promotion.scores import HeldOutScores


@dataclass(frozen=True)
class PromotionDecision:
    """Whether the challenger becomes the champion, and why."""

    is_promoted: bool
    reasons: tuple[str, ...]
    """In plain words; of a challenger that stays one, everything that speaks against it."""
    table: pd.DataFrame
    """A row a question, first that of all: see ``compare_scores``. Empty if nothing could be
    compared."""
    config: PromotionConfig

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; None where a number is missing."""
        return {
            "is_promoted": self.is_promoted,
            "reasons": list(self.reasons),
            "questions": json.loads(self.table.to_json(orient="records", double_precision=12)),
            "config": self.config.to_dict(),
        }


def judge_first(scores: HeldOutScores, config: PromotionConfig) -> PromotionDecision:
    """A model that has no champion to beat needs finite scores, no more."""
    broken = _broken(scores, "its")
    if broken:
        return PromotionDecision(False, (broken,), pd.DataFrame(), config)
    reason = "there was no champion, and its scores are finite"
    return PromotionDecision(True, (reason,), pd.DataFrame(), config)


def judge_challenger(
    challenger: HeldOutScores, champion: HeldOutScores, config: PromotionConfig
) -> PromotionDecision:
    """Whether the challenger is better than the champion on the same held-out galaxies.

    It must have the higher mean log-likelihood in nearly all resamplings of the galaxies, groups
    of images drawn together; no question may lose more than a margin, beyond what chance does; its
    90 % intervals must hold what they promise, or as well as the champion's do; and both must
    answer the same tree. One that is equal stays a challenger. Of two models at most one wins.

    Args:
        challenger: its scores.
        champion: its scores, of the same galaxies.
        config: the bounds.

    Raises:
        DifferentGalaxiesError: the scores are not of the same galaxies, pixels and votes.
    """
    difference = tree_difference(challenger, champion)
    if difference:
        return PromotionDecision(False, (difference,), pd.DataFrame(), config)
    _check_galaxies(challenger, champion)
    for is_better, scores, whose in (
        (False, challenger, "its"),
        (True, champion, "the champion's"),
    ):
        broken = _broken(scores, whose)
        if broken:
            return PromotionDecision(is_better, (broken,), pd.DataFrame(), config)
    table = compare_scores(challenger.table, champion.table, challenger.tree, config)
    against = tuple(_objections(table, config))
    total = table.iloc[0]
    told = (
        f"mean log-likelihood {total['difference']:+.4g} nats a galaxy "
        f"({total['low']:+.4g} to {total['high']:+.4g}) on {total['n_galaxies']} galaxies"
    )
    return PromotionDecision(not against, against or (f"better: {told}",), table, config)


def tree_difference(challenger: HeldOutScores, champion: HeldOutScores) -> str:
    """What keeps two models from being compared, in words; empty if nothing does."""
    ours, theirs = challenger.tree, champion.tree
    if set(ours.columns) != set(theirs.columns):
        added = sorted(set(ours.columns) - set(theirs.columns))
        lost = sorted(set(theirs.columns) - set(ours.columns))
        return (
            f"its label columns are not the champion's: {len(added)} new {added[:3]}, "
            f"{len(lost)} missing {lost[:3]}"
        )
    if ours.to_json() != theirs.to_json():
        return (
            f"its decision tree '{ours.name}' is not the champion's '{theirs.name}', though the "
            "label columns are the same"
        )
    return ""


def _broken(scores: HeldOutScores, whose: str) -> str:
    """How many scores are no numbers, in words; empty if all are."""
    n_broken = int((~np.isfinite(scores.table["log_likelihood"])).sum())
    told = f"{n_broken} of {whose} {len(scores.table)} log-likelihoods are not finite"
    return told if n_broken else ""


def _check_galaxies(challenger: HeldOutScores, champion: HeldOutScores) -> None:
    """Refuse scores of different galaxies."""
    keys = ["id_str", "group_id", "question"]
    ours, theirs = (
        set(scores.table[keys].itertuples(index=False, name=None))
        for scores in (challenger, champion)
    )
    if challenger.digest != champion.digest or ours != theirs:
        raise DifferentGalaxiesError(
            f"scores can be compared on the same held-out galaxies only: the challenger's are of "
            f"{challenger.digest[:12]}, the champion's of {champion.digest[:12]}, with "
            f"{len(ours - theirs)} and {len(theirs - ours)} answered questions that the other "
            "lacks; score both models on the same survey, votes, splits and posterior settings",
            n_challenger=len(ours - theirs),
            n_champion=len(theirs - ours),
        )


def _objections(table: pd.DataFrame, config: PromotionConfig) -> Iterator[str]:
    """Everything that speaks against the challenger."""
    total = table.iloc[0]
    if total["verdict"] == "too few":
        yield (
            f"{total['n_groups']} independent groups of held-out galaxies say too little; "
            f"min_groups is {config.min_groups}"
        )
    elif not total["low"] > 0:
        yield (
            f"not better beyond chance: mean log-likelihood {total['difference']:+.4g} nats a "
            f"galaxy ({total['low']:+.4g} to {total['high']:+.4g}) on {total['n_galaxies']} "
            "galaxies"
        )
    for row in table[table["verdict"] == "worse"].to_dict("records"):
        if row["question"] != ALL_QUESTIONS:
            yield (
                f"{row['question']} is worse: {row['difference']:+.4g} nats a galaxy "
                f"({row['low']:+.4g} to {row['high']:+.4g}), and may lose "
                f"{config.question_margin_nats:g}"
            )
    for row in table[table["calibration"] == "worse"].to_dict("records"):
        yield (
            f"calibration of {row['question']}: {row['coverage_challenger']:.3f} of the counts "
            f"lie in their 90 % intervals, {row['coverage_champion']:.3f} in the champion's; "
            f"calibration_margin is {config.calibration_margin:g}"
        )
