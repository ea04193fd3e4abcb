"""Objectives: what an encoder is trained for. One file each, one line here."""

from collections.abc import Callable

from galaxyloop.objectives.objective import Objective
from galaxyloop.objectives.votes import VotesObjective, VotesObjectiveConfig

__all__ = ["OBJECTIVES", "Objective", "VotesObjective", "VotesObjectiveConfig"]

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "votes": VotesObjective,
}
"""Every objective by name."""
