"""Votes that a selection is given must be of its survey, and what became of them is told."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import NoMatchingVotesError, VoteTableError
from galaxyloop.vote_tables import VotesConfig, VoteSource, read_vote_table
from galaxyloop.zooniverse.votes import check_votes, list_exports, record_exports, say_exports
from schemas.votes import judge_votes
from tests.library.classification_votes import LINES, SMOOTH
from tests.library.panoptes_exports import classified, write_export

SURVEY = [f"J{number}" for number in range(1831)]


def published(folder: Path, ids: list[str]) -> VoteSource:
    """A table with the votes on some galaxies."""
    names = ("smooth", "featured-or-disk", "artifact")
    counts = {f"smooth-or-featured-gz2_{name}": 1 for name in names}
    pd.DataFrame({"id_str": ids, **counts}).to_csv(folder / "published.csv", index=False)
    return VoteSource(str(folder / "published.csv"), "gz2")


def export(folder: Path, subject_key: str = "") -> VoteSource:
    """Classifications of five galaxies of the survey, one of them unfinished."""
    rows = [
        classified(number, "ann", f"10{number}", {"T0": SMOOTH}, galaxy=f"J{number}")
        for number in range(5)
    ]
    rows.append(classified(5, "bob", "100", {"T0": SMOOTH}, galaxy="J0", metadata="{}"))
    return VoteSource.from_dict(
        {
            "uri": write_export(rows, folder / "classifications.csv"),
            "campaign": "gz_decals_dr5",
            "subject_key": subject_key,
            "classifications": {"answers": LINES},
        }
    )


def read(folder: Path, *sources: VoteSource) -> Path:
    read_vote_table(list(sources), VotesConfig(), folder / "votes", judge_votes)
    return folder / "votes"


def test_check_votes__notices_an_export_whose_galaxies_nobody_named(tmp_path: Path) -> None:
    # All of the published table's galaxies are in the survey.
    votes = read(tmp_path, published(tmp_path, SURVEY), export(tmp_path))
    message = r"^0 of the 5 ids with votes in .*classifications\.csv .*subject_key: \"#id_str\""
    with pytest.raises(VoteTableError, match=message):
        check_votes(SURVEY, votes)


def test_check_votes__takes_an_export_whose_galaxies_are_named(tmp_path: Path) -> None:
    votes = read(tmp_path, published(tmp_path, SURVEY), export(tmp_path, "#id_str"))
    check_votes(SURVEY, votes)


def test_check_votes__shows_the_ids_of_another_foreign_table(tmp_path: Path) -> None:
    sources = (export(tmp_path, "#id_str"), published(tmp_path, ["K1", "K2"]))
    with pytest.raises(NoMatchingVotesError, match=r"published\.csv .*like \['K1', 'K2'\]"):
        check_votes(SURVEY, read(tmp_path, *sources))


def test_say_exports__counts_classifications_that_add_up(tmp_path: Path) -> None:
    source = export(tmp_path, "#id_str")
    exports = list_exports(read(tmp_path, published(tmp_path, SURVEY), source))
    assert say_exports(exports) == [
        f"votes        5 of 6 classifications used, 1 set aside, 0 rejected ({source.uri})"
    ]
    (record,) = record_exports(exports)
    assert (record["uri"], record["n_read"], record["n_used"]) == (source.uri, 6, 5)
    assert record["set_aside"] == {"unfinished": 1}
