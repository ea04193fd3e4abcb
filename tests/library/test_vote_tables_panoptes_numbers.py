"""Answers that an export of classifications gives as numbers."""

from pathlib import Path

import pytest

from galaxyloop.errors import VoteTableError
from tests.library.classification_votes import read
from tests.library.panoptes_exports import classified

NUMBERED = [
    "T0[0] = smooth-or-featured_smooth",
    "T0[1] = smooth-or-featured_featured-or-disk",
    "T0[2] = smooth-or-featured_artifact",
]


def test_read_vote_table__says_how_a_number_is_named(tmp_path: Path) -> None:
    rows = [classified(1, "ann", "1", {"T0": 0})]
    # The question's own words name labels, but no numbers.
    message = r"T0\[0\] \(1 rows\)\. .* or TASK\[0\] = ANSWER for answers that are numbers"
    with pytest.raises(VoteTableError, match=message):
        read(rows, tmp_path, answers=["T0 = smooth-or-featured-dr5"])
    summary, _ = read(rows, tmp_path, answers=NUMBERED)
    assert summary.n_accepted == 1
