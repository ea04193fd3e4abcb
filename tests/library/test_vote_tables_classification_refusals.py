"""Exports of classifications that do not fit their settings are refused with the remedy."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import ConfigError, VoteTableError
from galaxyloop.vote_tables import VotesConfig, VoteSource, read_vote_table
from schemas.votes import judge_votes
from tests.library.classification_votes import FEATURED, LINES, SMOOTH, read, read_file
from tests.library.panoptes_exports import classified, write_export


def test_read_vote_table__refuses_labels_that_nobody_named(tmp_path: Path) -> None:
    rows = [
        classified(1, "ann", "1", {"T0": SMOOTH, "T1": "Very round"}),
        classified(2, "bob", "1", {"T0": FEATURED, "T2": 5, "T11": "Merger"}),
        classified(3, "cy", "1", {"T0": "Smooth+"}),
    ]
    message = r"T1\.very round \(1 rows\).*T2\[5\].*T11\.merger.*T0\.smooth\+.*TASK =.* for all"
    with pytest.raises(VoteTableError, match=message):
        read(rows, tmp_path)


def test_read_vote_table__refuses_an_export_of_which_nothing_counts(tmp_path: Path) -> None:
    rows = [classified(1, "ann", "1", {"T0": SMOOTH})]
    with pytest.raises(VoteTableError, match="none of its 1 classifications counts: 1 x before"):
        read(rows, tmp_path, created_from="2030-01-01")


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (["T0.smooth = smooth-or-featured_smoth"], "did you mean 'smooth-or-featured_smooth'"),
        (["T0 = smooth-or-featured"], "task 'T0' is mapped to .*, which is no question of"),
        (LINES[:2], "votes on some answers .* none on .*_artifact"),
    ],
)
def test_read_vote_table__refuses_lines_that_do_not_fit_the_campaign(
    answers: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(VoteTableError, match=message):
        read([classified(1, "ann", "1", {"T0": SMOOTH})], tmp_path, answers=answers)


def test_read_vote_table__says_what_an_export_of_classifications_needs(tmp_path: Path) -> None:
    uri = write_export([classified(1, "ann", "1", {"T0": SMOOTH})], tmp_path / "c.csv")
    source = VoteSource(uri, "gz_decals_dr5")
    with pytest.raises(VoteTableError, match="is an export of classifications.* set classificat"):
        read_vote_table([source], VotesConfig(), tmp_path / "votes", judge_votes)
    pd.DataFrame({"id_str": ["1"], "smooth-or-featured_smooth": [3]}).to_csv(uri, index=False)
    with pytest.raises(VoteTableError, match="no export of classifications: it lacks classificat"):
        read_file(uri, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classifications": {"answers": ["T0.x: y"]}}, r"must read 'TASK\.LABEL = ANSWER'"),
        ({"classifications": {"answers": [".x = y"]}}, "got '.x = y'"),
        ({"classifications": {"answers": ["T0.A = x", "T0.a = y"]}}, "names 'T0.a' twice"),
        ({"classifications": {"answers": ["T0 =", "T0[1] = x"]}}, r"names 'T0\[1\]' too"),
        ({"classifications": {"min_version": "new"}}, "min_version must be .* got 'new'"),
        ({"classifications": {"created_from": "May"}}, "created_from must be .* got 'May'"),
        ({"classifications": {"one_vote_per": "day"}}, "one_vote_per must be .* got 'day'"),
        ({"classifications": {"answers": ["T0 = x"]}, "reductions": ["T0.a = x"]}, "of both"),
        ({"classifications": {"answers": ["T0 = x"]}, "subjects": "s.csv"}, "subjects is for"),
        ({"classifications": {"answers": ["T0 = x"]}, "id_column": "n"}, "id_column cannot be"),
    ],
)
def test_vote_source__refuses_settings_of_classifications_that_do_not_fit(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        VoteSource.from_dict({"uri": "a.csv", "campaign": "gz2", **settings})
