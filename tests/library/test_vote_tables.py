"""Vote tables: what is read is right, what is wrong is told, and the numbers add up."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxyloop.campaigns import Campaign, campaign_tree, find_campaign
from galaxyloop.errors import StorageError, TooManyRejectsError, UnknownNameError, VoteTableError
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    VoteSummary,
    load_vote_rejects,
    load_vote_summary,
    load_vote_tree,
    load_votes,
    read_vote_table,
)
from schemas.votes import judge_votes

LENIENT = VotesConfig(max_reject_rate=1.0)
GZ2 = find_campaign("gz2")
DR5 = find_campaign("gz_decals_dr5")


def walk_tree(campaign: Campaign, n_galaxies: int, seed: int = 0) -> pd.DataFrame:
    """Harmonised counts of galaxies whose volunteers all walk the tree to its end."""
    rng = np.random.default_rng(seed)
    votes: dict[str, np.ndarray] = {}
    for question in campaign.tree.questions:
        parents = [votes[column] for column in question.asked_after]
        asked = np.sum(parents, axis=0) if parents else rng.integers(20, 41, n_galaxies)
        shares = rng.dirichlet(np.ones(len(question.answers)), n_galaxies)
        drawn = rng.multinomial(asked, shares)
        votes.update(zip(question.columns, drawn.T, strict=True))
    ids = [f"5877229817420{seed}{i:04d}" for i in range(n_galaxies)]
    return pd.DataFrame({"id_str": ids, **votes})


def as_published(campaign: Campaign, votes: pd.DataFrame, suffix: str) -> pd.DataFrame:
    names = {column: f"{stem}{suffix}" for stem, column in campaign.published.answers.items()}
    return votes.rename(columns=names)


def write(table: pd.DataFrame, path: Path) -> str:
    table.to_csv(path, index=False)
    return str(path)


def read(
    table: pd.DataFrame,
    directory: Path,
    campaign: str = "gz2",
    config: VotesConfig = LENIENT,
) -> tuple[VoteSummary, pd.DataFrame, pd.DataFrame]:
    source = VoteSource(write(table, directory / "table.csv"), campaign)
    summary = read_vote_table([source], config, directory / "votes", judge_votes)
    assert summary.n_read == summary.n_accepted + summary.n_rejected == len(table)
    votes, rejects = load_votes(directory / "votes"), load_vote_rejects(directory / "votes")
    assert (len(votes), len(rejects)) == (summary.n_galaxies, summary.n_rejected)
    return summary, votes, rejects


@pytest.mark.parametrize("name", ["gz2", "gz_decals_dr5"])
@pytest.mark.parametrize("spelling", ["harmonised", "published"])
def test_read_vote_table__gives_the_counts_back_in_the_tree_s_layout(
    name: str, spelling: str, tmp_path: Path
) -> None:
    campaign = find_campaign(name)
    truth = walk_tree(campaign, 50)
    suffix = {"gz2": "_count", "gz_decals_dr5": ""}[name]
    table = truth if spelling == "harmonised" else as_published(campaign, truth, suffix)
    summary, votes, _ = read(table.iloc[:, ::-1], tmp_path, name)
    assert list(votes.columns) == ["id_str", "votes_origin", *campaign.tree.columns]
    assert set(votes.dtypes[2:].astype(str)) == {"int32"}
    assert set(votes["votes_origin"]) == {"counts"}
    pd.testing.assert_frame_equal(votes[truth.columns], truth, check_dtype=False)
    assert load_vote_tree(tmp_path / "votes") == campaign.tree
    assert load_vote_summary(tmp_path / "votes") == summary
    assert VotesConfig.from_dict(summary.checks) == LENIENT


def test_read_vote_table__takes_whole_floats_and_refuses_to_round_others(tmp_path: Path) -> None:
    table = walk_tree(GZ2, 3).astype(dict.fromkeys(GZ2.tree.columns, float))
    table.loc[1, "bar-gz2_yes"] += 0.5
    _, votes, rejects = read(table, tmp_path)
    assert votes["id_str"].tolist() == [table["id_str"][0], table["id_str"][2]]
    line = rejects.iloc[0]
    assert (line["row"], line["column"]) == (1, "bar-gz2_yes")
    assert line["value"] == str(table.loc[1, "bar-gz2_yes"])
    assert "whole number" in line["reason"]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("-3", "0 or above"),
        ("", "missing"),
        ("many", "not a number"),
        ("inf", "whole number"),
        ("1e9", "max_votes=100000"),
    ],
)
def test_read_vote_table__rejects_a_row_for_one_bad_cell(
    cell: str, reason: str, tmp_path: Path
) -> None:
    table = as_published(GZ2, walk_tree(GZ2, 4), "_count").astype(str)
    table.loc[2, "t07_rounded_a17_in_between_count"] = cell
    summary, votes, rejects = read(table, tmp_path)
    assert rejects["row"].tolist() == [2]
    assert rejects["id_str"].tolist() == [table["id_str"][2]]
    assert rejects["column"].tolist() == ["t07_rounded_a17_in_between_count"]
    assert rejects["source"].tolist() == [str(tmp_path / "table.csv")]
    assert reason in rejects["reason"][0]
    assert sum(summary.reasons.values()) == 1
    assert len(votes) == 3


@pytest.mark.parametrize(
    ("id_str", "reason"),
    [
        ("", "missing"),
        ("nan", "missing"),
        ("5.87722981742e+17", "floating-point"),
        ("587722981742084144.0", "floating-point"),
        (" 12", "spaces"),
    ],
)
def test_read_vote_table__rejects_ids_that_name_no_galaxy(
    id_str: str, reason: str, tmp_path: Path
) -> None:
    table = walk_tree(GZ2, 2)
    table.loc[1, "id_str"] = id_str
    _, votes, rejects = read(table, tmp_path)
    assert reason in rejects["reason"][0]
    assert len(votes) == 1


def test_read_vote_table__keeps_all_digits_and_leading_zeros_of_an_id(tmp_path: Path) -> None:
    table = walk_tree(GZ2, 3)
    table["id_str"] = ["587722981742084144", "000123", "J000411.19+020924.0"]
    assert read(table, tmp_path)[1]["id_str"].tolist() == table["id_str"].tolist()


def test_read_vote_table__keeps_the_first_accepted_row_of_a_repeated_id(tmp_path: Path) -> None:
    table = walk_tree(GZ2, 4)
    table["id_str"] = "7"
    table.loc[0, "bar-gz2_yes"] = -1
    config = VotesConfig(max_reject_rate=1.0, batch_rows=2)
    _, votes, rejects = read(table, tmp_path, config=config)
    pd.testing.assert_frame_equal(
        votes[table.columns].reset_index(drop=True),
        table.iloc[[1]].reset_index(drop=True),
        check_dtype=False,
    )
    assert rejects["row"].tolist() == [0, 2, 3]
    assert rejects["reason"].str.startswith("duplicate id_str").tolist() == [False, True, True]


def test_read_vote_table__counts_both_parents_of_something_odd(tmp_path: Path) -> None:
    table = walk_tree(GZ2, 30)
    summary, votes, _ = read(table, tmp_path)
    odd = votes[["something-odd-gz2_yes", "something-odd-gz2_no"]].sum(axis=1)
    parents = ["smooth-or-featured-gz2_smooth", "smooth-or-featured-gz2_featured-or-disk"]
    assert (odd == votes[parents].sum(axis=1)).all()
    assert summary.sources[0].n_tolerated == {}


def test_read_vote_table__rejects_totals_that_are_not_the_sum(tmp_path: Path) -> None:
    table = as_published(DR5, walk_tree(DR5, 3), "")
    asked = table[["bar_strong", "bar_weak", "bar_no"]].sum(axis=1)
    table["bar_total-votes"] = asked + [0, 1, 0]
    _, _, rejects = read(table, tmp_path, "gz_decals_dr5")
    assert rejects[["row", "column"]].to_numpy().tolist() == [[1, "bar_total-votes"]]
    assert "max_total_difference=0" in rejects["reason"][0]


def test_read_vote_table__sets_aside_merging_votes_of_the_first_wording(tmp_path: Path) -> None:
    table = as_published(DR5, walk_tree(DR5, 2), "")
    table["merging_neither-v1"] = [3, 0]
    table["merging_none"] -= np.minimum(table["merging_none"], table["merging_neither-v1"])
    summary, votes, _ = read(table, tmp_path, "gz_decals_dr5")
    merging = [column for column in votes if column.startswith("merging-dr5")]
    assert (votes[merging].sum(axis=1) > 0).tolist() == [False, True]
    assert summary.sources[0].n_set_aside == {"merging-dr5": 1}


def test_read_vote_table__lists_other_columns_once_and_absent_questions(tmp_path: Path) -> None:
    first = [column for column in GZ2.tree.columns if column.startswith("smooth")]
    table = walk_tree(GZ2, 2)[["id_str", *first]].assign(ra=1.0, comment="x")
    summary, votes, _ = read(table, tmp_path)
    assert summary.ignored_columns == ["ra", "comment"]
    assert summary.sources[0].absent == list(GZ2.tree.question_names[1:])
    assert votes["bar-gz2_yes"].tolist() == [0, 0]


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 9999), batch_rows=st.integers(1, 40))
def test_read_vote_table__does_not_depend_on_the_batch_size(
    seed: int, batch_rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = walk_tree(DR5, 25, seed % 7)
    rng = np.random.default_rng(seed)
    table.iloc[rng.integers(25, size=4), 1 + rng.integers(30)] = -1
    table.loc[rng.integers(25, size=3), "id_str"] = "same"
    results = []
    for rows in (batch_rows, 1000):
        config = VotesConfig(max_reject_rate=1.0, batch_rows=rows)
        directory = tmp_path_factory.mktemp("read")
        results.append(read(table, directory, "gz_decals_dr5", config))
    (one, votes, rejects), (other, other_votes, other_rejects) = results
    assert one.digest == other.digest
    pd.testing.assert_frame_equal(votes, other_votes)
    pd.testing.assert_frame_equal(
        rejects.drop(columns="source"), other_rejects.drop(columns="source")
    )


def test_read_vote_table__joins_campaigns_by_id(tmp_path: Path) -> None:
    gz2, dr5 = walk_tree(GZ2, 4), walk_tree(DR5, 3, seed=1)
    dr5["id_str"] = [gz2["id_str"][2], "only dr5", gz2["id_str"][0]]
    again = walk_tree(GZ2, 2, seed=2)
    again.loc[0, "id_str"] = gz2["id_str"][3]
    sources = [
        VoteSource(write(gz2, tmp_path / "gz2.csv"), "gz2"),
        VoteSource(write(dr5, tmp_path / "dr5.csv"), "gz_decals_dr5"),
        VoteSource(write(again, tmp_path / "again.csv"), "gz2"),
    ]
    summary = read_vote_table(sources, LENIENT, tmp_path / "votes", judge_votes)
    votes = load_votes(tmp_path / "votes").set_index("id_str")
    assert (summary.n_read, summary.n_accepted, summary.n_galaxies) == (9, 8, 6)
    assert list(votes.columns[1:]) == list(campaign_tree(["gz2", "gz_decals_dr5"]).columns)
    both = votes.loc[gz2["id_str"][2]]
    assert both[list(GZ2.tree.columns)].tolist() == gz2.iloc[2, 1:].tolist()
    assert both[list(DR5.tree.columns)].tolist() == dr5.iloc[0, 1:].tolist()
    assert (votes.loc["only dr5", list(GZ2.tree.columns)] == 0).all()
    assert (summary.n_known, summary.sources[2].n_known, summary.n_rejected) == (1, 1, 0)


def test_read_vote_table__digest_follows_the_content_not_the_place(tmp_path: Path) -> None:
    table = walk_tree(GZ2, 5)
    digests = []
    for name, change in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        changed = table.assign(**{"bar-gz2_yes": table["bar-gz2_yes"] + change})
        digests.append(read(changed, tmp_path / name)[0].digest)
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_read_vote_table__refuses_too_many_rejects_and_leaves_no_directory(tmp_path: Path) -> None:
    table = walk_tree(GZ2, 10)
    table.loc[:3, "bar-gz2_no"] = -1
    with pytest.raises(
        TooManyRejectsError, match=r"4 of 10 rows of votes .*=0\.3 allows"
    ) as caught:
        read(table, tmp_path, config=VotesConfig(max_reject_rate=0.3))
    assert (caught.value.n_rejected, caught.value.n_read) == (4, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_read_vote_table__leaves_no_directory_when_the_judge_fails(tmp_path: Path) -> None:
    def broken(batch: pd.DataFrame, campaign: Campaign) -> pd.DataFrame:
        raise RuntimeError("judge is away")

    source = VoteSource(write(walk_tree(GZ2, 2), tmp_path / "table.csv"), "gz2")
    with pytest.raises(RuntimeError, match="away"):
        read_vote_table([source], LENIENT, tmp_path / "votes", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_read_vote_table__writes_into_an_empty_directory_but_never_over_a_full_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "votes").mkdir()
    summary, _, _ = read(walk_tree(GZ2, 2), tmp_path)
    names = sorted(path.name for path in (tmp_path / "votes").iterdir())
    assert names == ["accepted.parquet", "rejects.parquet", "summary.json", "votes.parquet"]
    stored = json.loads((tmp_path / "votes" / "summary.json").read_text())
    assert stored["digest"] == summary.digest
    with pytest.raises(StorageError, match="votes exists already; remove it or choose another"):
        read(walk_tree(GZ2, 2), tmp_path)


def test_read_vote_table__refuses_no_source_and_unknown_campaigns(tmp_path: Path) -> None:
    with pytest.raises(VoteTableError, match="at least one source, got none"):
        read_vote_table([], LENIENT, tmp_path / "votes", judge_votes)
    with pytest.raises(UnknownNameError, match="no campaign 'gz9'"):
        read_vote_table([VoteSource("a.csv", "gz9")], LENIENT, tmp_path / "votes", judge_votes)
