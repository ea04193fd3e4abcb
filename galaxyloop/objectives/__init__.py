"""Objectives: what an encoder is trained for. One file each, one line here."""

from galaxyloop.objectives.byol import ByolConfig, ByolObjective
from galaxyloop.objectives.hybrid import HybridConfig, HybridObjective
from galaxyloop.objectives.objective import Objective
from galaxyloop.objectives.votes import VotesObjective, VotesObjectiveConfig

__all__ = [
    "OBJECTIVES",
    "ByolConfig",
    "ByolObjective",
    "HybridConfig",
    "HybridObjective",
    "Objective",
    "VotesObjective",
    "VotesObjectiveConfig",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "votes": VotesObjective,
    "byol": ByolObjective,
    "hybrid": HybridObjective,
}
"""Every objective by name."""
