"""Classifications of one export, kept as numbers until all of it is read."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

_WAITING = 65_536
_COUNTED_AT_ONCE = 1 << 20
NOBODY = -1
"""Stands for a volunteer of whom nothing is told."""


class Classification(NamedTuple):
    """What counts of one row, as numbers."""

    number: int
    """Its classification_id."""
    moment: int
    """When it was made [microseconds since 1970]."""
    galaxy: int
    """Place of the galaxy."""
    target: int
    """Place of what a volunteer has one vote on: the galaxy, or one of its subjects."""
    volunteer: int
    """Place of the volunteer; ``NOBODY`` if unknown."""
    walk: int
    """Number of the answers given."""


@dataclass(frozen=True)
class CountedVotes:
    """Votes by galaxy, and what did not count."""

    votes: Float[np.ndarray, "galaxy answer"]
    n_used: int
    n_same: int
    """Rows of classifications that were there before."""
    n_repeats: int
    """Classifications by volunteers who had classified the same before."""
    n_volunteers: int
    """Those whose classifications count and who can be told apart; who was not logged in counts
    once a name, and has another one in each export."""


@dataclass
class ClassificationTally:
    """All classifications, 32 bytes each: a volunteer's first can come last in the file."""

    walks: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Answers of a classification to their number; there are a few thousand ways down a tree."""
    _waiting: list[Classification] = field(default_factory=list)
    _parts: dict[str, list[Int[np.ndarray, " classification"]]] = field(default_factory=dict)

    def add(self, one: Classification) -> None:
        """Take note of a classification."""
        self._waiting.append(one)
        if len(self._waiting) >= _WAITING:
            self._pack()

    def number_of(self, answers: tuple[int, ...]) -> int:
        """The number of some answers."""
        return self.walks.setdefault(answers, len(self.walks))

    def count(self, n_galaxies: int, n_answers: int) -> CountedVotes:
        """Votes by galaxy, of each classification once and of each volunteer the first.

        Args:
            n_galaxies: places of galaxies.
            n_answers: places of answers.
        """
        self._pack()
        is_new, is_repeat = self._find_new(), self._find_repeats()
        counted = np.flatnonzero(is_new & ~is_repeat)
        volunteers = self._column("volunteer")[counted]
        return CountedVotes(
            votes=self._add_up(counted, n_galaxies, n_answers),
            n_used=len(counted),
            n_same=int(np.count_nonzero(~is_new)),
            n_repeats=int(np.count_nonzero(is_new & is_repeat)),
            n_volunteers=len(np.unique(volunteers[volunteers != NOBODY])),
        )

    def _find_new(self) -> Bool[np.ndarray, " classification"]:
        """Rows whose classification is in no row before."""
        numbers = self._column("number")
        order = np.argsort(numbers, kind="stable")
        is_same = np.zeros(len(numbers), dtype=bool)
        is_same[order[1:]] = np.diff(numbers[order]) == 0
        return ~is_same

    def _find_repeats(self) -> Bool[np.ndarray, " classification"]:
        """Rows of classifications that are not a volunteer's first on their target.

        Also rows that were there before are looked at: who is not logged in has another name in
        each export, so only the rows of one export tell which came first.
        """
        names = ("number", "moment", "target", "volunteer")
        order = np.lexsort([self._column(name) for name in names])
        number, _, target, volunteer = (self._column(name)[order] for name in names)
        is_first = np.ones(len(order), dtype=bool)
        is_first[1:] = (np.diff(target) != 0) | (np.diff(volunteer) != 0)
        first = number[is_first][np.cumsum(is_first) - 1]
        is_repeat = (number != first) & (volunteer != NOBODY)
        # What is a repeat in one export is one in all.
        return np.isin(self._column("number"), number[is_repeat])

    def _add_up(
        self, rows: Int[np.ndarray, " row"], n_galaxies: int, n_answers: int
    ) -> Float[np.ndarray, "galaxy answer"]:
        """Votes of galaxies from the answers that some rows gave."""
        votes = np.zeros(n_galaxies * n_answers)
        lengths = np.array([len(answers) for answers in self.walks], dtype=np.int64)
        places = np.array([place for answers in self.walks for place in answers], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        for first in range(0, len(rows), _COUNTED_AT_ONCE):
            some = rows[first : first + _COUNTED_AT_ONCE]
            galaxies = self._column("galaxy")[some].astype(np.int64)
            walks = self._column("walk")[some]
            n_each = lengths[walks]
            within = np.arange(n_each.sum()) - np.repeat(np.cumsum(n_each) - n_each, n_each)
            answers = places[np.repeat(starts[walks], n_each) + within]
            cells = np.repeat(galaxies, n_each) * n_answers + answers
            votes += np.bincount(cells, minlength=len(votes))
        return votes.reshape(n_galaxies, n_answers)

    def _column(self, name: str) -> Int[np.ndarray, " classification"]:
        """One field of all classifications, in the order of the file."""
        parts = self._parts.get(name, [np.empty(0, np.int64)])
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0]

    def _pack(self) -> None:
        """Turn those that wait into arrays."""
        for name, values in zip(
            Classification._fields, zip(*self._waiting, strict=True), strict=False
        ):
            width = np.int64 if name in ("number", "moment") else np.int32
            self._parts.setdefault(name, []).append(np.array(values, dtype=width))
        self._waiting = []
