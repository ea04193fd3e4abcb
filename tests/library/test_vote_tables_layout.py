"""How the header of a table decides where votes come from, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxyloop.campaigns import find_campaign
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from galaxyloop.vote_tables.counts import recover_counts
from galaxyloop.vote_tables.layout import TableLayout, find_layout
from schemas.votes import judge_votes

SMOOTH = "t01_smooth_or_features_a01_smooth"
FEATURED = "t01_smooth_or_features_a02_features_or_disk"
ARTIFACT = "t01_smooth_or_features_a03_star_or_artifact"
FIRST_COUNTS = [f"{stem}_count" for stem in (SMOOTH, FEATURED, ARTIFACT)]


def layout_of(header: list[str], campaign: str = "gz2", rebuild: str = "none") -> TableLayout:
    return find_layout(header, VoteSource("a.csv", campaign, rebuild), find_campaign(campaign))


def read(
    table: pd.DataFrame, directory: Path, rebuild: str = "none"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    table.to_csv(directory / "table.csv", index=False)
    source = VoteSource(str(directory / "table.csv"), "gz2", rebuild)
    read_vote_table([source], VotesConfig(max_reject_rate=1.0), directory / "votes", judge_votes)
    return load_votes(directory / "votes"), load_vote_rejects(directory / "votes")


@given(
    votes=st.lists(st.integers(0, 60), min_size=2, max_size=6).filter(lambda v: sum(v) > 0),
    single_precision=st.booleans(),
)
def test_recover_counts__finds_the_votes_behind_three_decimals(
    votes: list[int], single_precision: bool
) -> None:
    total = sum(votes)
    fractions = np.round(np.array([votes]) / total, 3)
    if single_precision:
        fractions = fractions.astype(np.float32).astype(np.float64)
    counts, is_implied = recover_counts(fractions, np.array([float(total)]), 3)
    assert is_implied.all()
    assert counts[0].tolist() == votes


@pytest.mark.parametrize(
    ("fraction", "total"), [(0.51, 40.0), (0.5, 2000.0), (1.2, 10.0), (np.nan, 10.0)]
)
def test_recover_counts__denies_what_a_fraction_does_not_imply(
    fraction: float, total: float
) -> None:
    _, is_implied = recover_counts(np.array([[fraction]]), np.array([total]), 3)
    assert not is_implied.any()


def test_read_vote_table__gives_the_remainder_to_the_answer_without_a_fraction(
    tmp_path: Path,
) -> None:
    table = pd.DataFrame(
        {
            "dr7objid": ["1", "2", "3"],
            "total_classifications": [38.0, 45.0, 40.0],
            f"{SMOOTH}_fraction": [0.842, 0.0, 0.51],
            f"{FEATURED}_fraction": [0.132, 1.0, 0.2],
            f"{ARTIFACT}_weighted_fraction": [0.026, 0.0, 0.3],
        }
    )
    votes, rejects = read(table, tmp_path)
    assert votes.iloc[:, 2:5].to_numpy().tolist() == [[32, 5, 1], [0, 45, 0]]
    assert set(votes["votes_origin"]) == {"fractions"}
    assert rejects[["row", "column", "value"]].to_numpy().tolist() == [
        [2, f"{SMOOTH}_fraction", "0.51"]
    ]
    assert "not a whole count" in rejects["reason"][0]


def test_read_vote_table__rejects_fractions_that_add_up_to_more_than_the_total(
    tmp_path: Path,
) -> None:
    table = pd.DataFrame(
        {
            "objid": ["1"],
            "total_classifications": [10],
            f"{SMOOTH}_fraction": [0.8],
            f"{FEATURED}_fraction": [0.7],
        }
    )
    _, rejects = read(table, tmp_path)
    assert "add up to more than total_classifications" in rejects["reason"][0]


def weighted_table() -> pd.DataFrame:
    """Two galaxies, 30 volunteers each; deeper questions as weighted fractions only."""
    return pd.DataFrame(
        {
            "objid": ["1", "2"],
            "total_classifications": [30, 30],
            **dict(zip(FIRST_COUNTS, ([10, 5], [20, 24], [0, 1]), strict=True)),
            "t02_edgeon_a04_yes_weighted_fraction": [0.2, 0.0],
            "t02_edgeon_a05_no_weighted_fraction": [0.8, 1.0],
            "t03_bar_a06_bar_weighted_fraction": [0.55, 0.26],
            "t03_bar_a07_no_bar_weighted_fraction": [0.45, 0.74],
        }
    )


def test_read_vote_table__rebuilds_deeper_questions_from_their_parents_when_asked(
    tmp_path: Path,
) -> None:
    votes, _ = read(weighted_table(), tmp_path, rebuild="weighted")
    assert votes["disk-edge-on-gz2_no"].tolist() == [16, 24]
    assert votes["bar-gz2_yes"].tolist() == [9, 6]
    assert votes["bar-gz2_no"].tolist() == [7, 18]
    assert set(votes["votes_origin"]) == {"rebuilt"}


def test_read_vote_table__leaves_weighted_questions_at_zero_votes_unless_asked(
    tmp_path: Path,
) -> None:
    votes, _ = read(weighted_table(), tmp_path)
    assert (votes.iloc[:, 5:] == 0).all(axis=None)
    assert set(votes["votes_origin"]) == {"counts"}
    left_out = {q.question.name: q.note for q in layout_of(list(weighted_table())).questions}
    assert "set rebuild: weighted" in left_out["bar-gz2"]
    assert left_out["spiral-winding-gz2"] == ""


def test_read_vote_table__rejects_weighted_fractions_above_one(tmp_path: Path) -> None:
    table = weighted_table()
    table.loc[1, "t03_bar_a06_bar_weighted_fraction"] = 1.2
    _, rejects = read(table, tmp_path, rebuild="weighted")
    assert rejects[["row", "value"]].to_numpy().tolist() == [[1, "1.2"]]


def test_read_vote_table__takes_empty_cells_for_no_votes_where_nobody_was_asked(
    tmp_path: Path,
) -> None:
    table = weighted_table()
    table.loc[0, FIRST_COUNTS] = [30, 0, 0]
    table.loc[0, [column for column in table if "weighted" in column]] = np.nan
    votes, rejects = read(table, tmp_path, rebuild="weighted")
    assert rejects.empty
    assert (votes.iloc[0, 5:] == 0).all()


def test_read_vote_table__rejects_weighted_fractions_that_add_up_to_more_than_one(
    tmp_path: Path,
) -> None:
    table = weighted_table()
    table.loc[1, "t03_bar_a06_bar_weighted_fraction"] = 0.5
    _, rejects = read(table, tmp_path, rebuild="weighted")
    assert rejects[["row", "column", "value"]].to_numpy().tolist() == [[1, "bar-gz2", "1.24"]]


def test_find_layout__prefers_counts_over_fractions() -> None:
    header = [c.replace("_count", kind) for c in FIRST_COUNTS for kind in ("_fraction", "_count")]
    layout = layout_of(["objid", "total_classifications", *header])
    assert layout.questions[0].method == "counts"
    assert layout.questions[0].columns == tuple(FIRST_COUNTS)
    assert layout.origin == "counts"


def test_find_layout__takes_the_preferred_id_or_the_one_asked_for() -> None:
    header = ["dr8objid", "objid", "name", *FIRST_COUNTS]
    assert layout_of(header).id_column == "objid"
    source = VoteSource("a.csv", "gz2", id_column="name")
    assert find_layout(header, source, find_campaign("gz2")).id_column == "name"


def test_find_layout__does_not_read_ignored_columns() -> None:
    answers = ["bar_strong", "bar_weak", "bar_no"]
    header, campaign = ["iauname", *answers, "bar_length"], find_campaign("gz_decals_dr5")
    with pytest.raises(VoteTableError, match="'bar_length' is an answer .* into ignored_columns"):
        find_layout(header, VoteSource("a.csv", campaign.name), campaign)
    source = VoteSource("a.csv", campaign.name, ignored_columns=["bar_length"])
    layout = find_layout(header, source, campaign)
    assert layout.number_columns == tuple(answers)
    assert layout.ignored == ("bar_length",)
    with pytest.raises(VoteTableError, match="has no column bar_length, which ignored_columns"):
        find_layout(header[:-1], source, campaign)


@pytest.mark.parametrize(
    ("header", "campaign", "message"),
    [
        (FIRST_COUNTS, "gz2", "none of the id columns id_str, objid, .*; set id_column"),
        (["objid", *FIRST_COUNTS[:2]], "gz2", r"none on \['smooth-or-featured-gz2_artifact'\]"),
        (
            ["objid", *FIRST_COUNTS, "t03_bar_a99_maybe_count"],
            "gz2",
            "'t03_bar_a99_maybe_count' is an answer to 'bar-gz2' .* does not know",
        ),
        (["id_str", "bar_yes", "bar_no"], "gz_decals_dr5", "'bar_yes' is an answer to 'bar-dr5'"),
        (["objid", *FIRST_COUNTS], "gz_decals_dr5", "3 of its columns look like campaign 'gz2'"),
        (
            ["id_str", "smooth-or-featured-gz2_smooth"],
            "gz_decals_dr5",
            "1 of its columns look like campaign 'gz2'; name that one",
        ),
        (
            ["dr7objid", "vote_fraction_smooth"],
            "gz2",
            "fractions without vote counts or totals cannot be turned into votes",
        ),
        (
            ["id_str", "bar_strong_fraction", "bar_strong_90pc-lower"],
            "gz_decals_dr5",
            "bar_strong_90pc-lower are a model's predictions",
        ),
        (
            ["iauname", "bar_strong_fraction", "bar_proportion_volunteers_asked"],
            "gz_decals_dr5",
            "bar_proportion_volunteers_asked are a model's predictions",
        ),
        (["iauname", "bar_strong_fraction"], "gz_decals_dr5", "fractions or statistics without"),
        (["id;bar"], "gz2", "is it a vote table, comma-separated"),
    ],
)
def test_find_layout__refuses_headers_without_whole_votes(
    header: list[str], campaign: str, message: str
) -> None:
    with pytest.raises(VoteTableError, match=message):
        layout_of(header, campaign)
