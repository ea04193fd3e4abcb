"""Whether a challenger is better than the champion on the same held-out galaxies."""

from galaxyloop.promotion.config import PromotionConfig
from galaxyloop.promotion.decision import PromotionDecision, judge_challenger, judge_first
from galaxyloop.promotion.scores import HeldOutScores, make_scores

__all__ = [
    "HeldOutScores",
    "PromotionConfig",
    "PromotionDecision",
    "judge_challenger",
    "judge_first",
    "make_scores",
]
