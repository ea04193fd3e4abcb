"""Objectives: what an encoder is trained for. One file each, one line here."""

from collections.abc import Callable

from galaxyloop.errors import UnknownNameError
from galaxyloop.objectives.objective import Objective
from galaxyloop.objectives.votes import VotesObjective, VotesObjectiveConfig

__all__ = ["OBJECTIVES", "Objective", "VotesObjective", "VotesObjectiveConfig", "find_objective"]

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "votes": VotesObjective,
}
"""Every objective by name."""


def find_objective(name: str) -> Callable[..., Objective]:
    """The objective with this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in OBJECTIVES:
        raise UnknownNameError("objective", name, OBJECTIVES)
    return OBJECTIVES[name]
