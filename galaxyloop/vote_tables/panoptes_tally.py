"""Classifications of one export, kept as numbers until all of it is read."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_WAITING = 65_536
_COUNTED_AT_ONCE = 1 << 20
NOBODY = -1
"""Stands for a volunteer of whom nothing is told."""


class Classification(NamedTuple):
    """What counts of one row, as numbers."""

    row: int
    """Position in the file."""
    number: int
    """Its classification_id."""
    galaxy: int
    """Place of the galaxy."""
    target: int
    """Place of what a volunteer has one vote on: the galaxy, or one of its subjects."""
    volunteer: int
    """Place of the volunteer; ``NOBODY`` if unknown."""
    moment: int
    """When it was made [microseconds since 1970]."""
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
    """Those whose classifications count and who can be told apart."""


@dataclass
class ClassificationTally:
    """All classifications, 56 bytes each: a volunteer's first can come last in the file."""

    walks: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Answers of a classification to their number; there are a few thousand ways down a tree."""
    _waiting: list[Classification] = field(default_factory=list)
    _parts: list[Int[np.ndarray, "classification field"]] = field(default_factory=list)

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
        width = len(Classification._fields)
        table = np.concatenate(self._parts) if self._parts else np.empty((0, width), np.int64)
        self._parts = []
        n_read = len(table)
        columns = {name: i for i, name in enumerate(Classification._fields)}
        _, first = np.unique(table[:, columns["number"]], return_index=True)
        table = table[np.sort(first)]
        n_whole = len(table)
        keys = [table[:, columns[name]] for name in ("number", "moment", "target", "volunteer")]
        table = table[np.lexsort(keys)]
        who = table[:, [columns["volunteer"], columns["target"]]]
        is_repeat = np.zeros(len(table), dtype=bool)
        is_repeat[1:] = (who[1:] == who[:-1]).all(axis=1) & (who[1:, 0] != NOBODY)
        table = table[~is_repeat]
        volunteers = table[:, columns["volunteer"]]
        return CountedVotes(
            votes=self._add_up(
                table[:, [columns["galaxy"], columns["walk"]]], n_galaxies, n_answers
            ),
            n_used=len(table),
            n_same=n_read - n_whole,
            n_repeats=n_whole - len(table),
            n_volunteers=len(np.unique(volunteers[volunteers != NOBODY])),
        )

    def _add_up(
        self, walked: Int[np.ndarray, "classification two"], n_galaxies: int, n_answers: int
    ) -> Float[np.ndarray, "galaxy answer"]:
        """Votes of galaxies from the numbers of the answers given."""
        votes = np.zeros(n_galaxies * n_answers)
        lengths = np.array([len(answers) for answers in self.walks], dtype=np.int64)
        places = np.array([place for answers in self.walks for place in answers], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        for first in range(0, len(walked), _COUNTED_AT_ONCE):
            galaxies, walks = walked[first : first + _COUNTED_AT_ONCE].T
            n_each = lengths[walks]
            within = np.arange(n_each.sum()) - np.repeat(np.cumsum(n_each) - n_each, n_each)
            answers = places[np.repeat(starts[walks], n_each) + within]
            cells = np.repeat(galaxies, n_each) * n_answers + answers
            votes += np.bincount(cells, minlength=len(votes))
        return votes.reshape(n_galaxies, n_answers)

    def _pack(self) -> None:
        """Turn those that wait into an array."""
        if self._waiting:
            self._parts.append(np.array(self._waiting, dtype=np.int64))
            self._waiting = []
