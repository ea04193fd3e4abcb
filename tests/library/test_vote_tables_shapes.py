"""Fractions with totals, tables of several campaigns, tables with images: each gives its votes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyloop.campaigns import Campaign, find_campaign
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from galaxyloop.vote_tables.counts import find_absent
from galaxyloop.vote_tables.layout import find_layout
from galaxyloop.vote_tables.rejects import BatchRejects
from schemas.votes import judge_votes
from tests.library.vote_tables import walk_tree

GZ2 = find_campaign("gz2")
DR5 = find_campaign("gz_decals_dr5")
FRACTION = {"gz_hubble": "_fraction", "gz_candels": "_frac"}
WEIGHTED = {"gz_hubble": "_weighted_fraction", "gz_candels": "_weighted_frac"}
TOTAL = {"gz_hubble": "_total_count", "gz_candels": "_count"}


def as_fractions(name: str, votes: pd.DataFrame, decimals: int) -> pd.DataFrame:
    """Rounded fractions of each answer and the number of answers to each task."""
    campaign = find_campaign(name)
    tasks = {question: task for task, question in campaign.published.questions.items()}
    columns = {"id_str": votes["id_str"]}
    for question in campaign.tree.questions:
        total = votes[list(question.columns)].sum(axis=1)
        columns[f"{tasks[question.name]}{TOTAL[name]}"] = total
        for stem, column in campaign.published.answers.items():
            if column in question.columns:
                columns[f"{stem}{FRACTION[name]}"] = (votes[column] / total).round(decimals)
    return pd.DataFrame(columns)


def read(
    table: pd.DataFrame, name: str, directory: Path, decimals: int = 3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    table.to_csv(directory / "table.csv", index=False)
    config = VotesConfig(max_reject_rate=1.0, fraction_decimals=decimals)
    source = VoteSource(str(directory / "table.csv"), name)
    read_vote_table([source], config, directory / "votes", judge_votes)
    return load_votes(directory / "votes"), load_vote_rejects(directory / "votes")


@pytest.mark.parametrize("decimals", [2, 3, 6])
@pytest.mark.parametrize("unasked", ["empty", "zero"])
@pytest.mark.parametrize("name", ["gz_hubble", "gz_candels"])
def test_read_vote_table__recovers_counts_from_fractions_and_totals(
    name: str, unasked: str, decimals: int, tmp_path: Path
) -> None:
    truth = walk_tree(find_campaign(name), 40)
    table = as_fractions(name, truth, decimals)
    table = table.fillna(0.0) if unasked == "zero" else table
    votes, rejects = read(table, name, tmp_path, decimals)
    assert rejects.empty
    pd.testing.assert_frame_equal(votes[truth.columns], truth, check_dtype=False)
    assert set(votes["votes_origin"]) == {"fractions"}


@pytest.mark.parametrize("name", ["gz_hubble", "gz_candels"])
def test_read_vote_table__rejects_weighted_fractions_under_a_plain_name(
    name: str, tmp_path: Path
) -> None:
    truth = walk_tree(find_campaign(name), 60)
    table = as_fractions(name, truth, 3)
    weights = np.random.default_rng(0).uniform(0.9, 1.0, len(table))
    first = [c for c in table if c.endswith(FRACTION[name])][:2]
    table[first[0]] *= weights
    table[first[1]] = 1 - table[first[0]]
    votes, rejects = read(table, name, tmp_path)
    assert len(rejects) > 0.8 * len(table)
    assert rejects["reason"].str.contains("not a whole count within the rounding to 3").any()
    # What is accepted is what a plain fraction of that total would be.
    assert len(votes) + len(rejects) == len(table)


@pytest.mark.parametrize("name", ["gz_hubble", "gz_candels"])
def test_find_layout__leaves_weighted_fractions_out_unless_rebuilding_is_asked(name: str) -> None:
    campaign = find_campaign(name)
    header = ["id_str", *(f"{task}{TOTAL[name]}" for task in campaign.published.questions)]
    header += [f"{stem}{WEIGHTED[name]}" for stem in campaign.published.answers]
    layout = find_layout(header, VoteSource("a", name, "weighted"), campaign)
    assert {question.method for question in layout.questions} == {"weighted"}


def several_campaigns() -> pd.DataFrame:
    """Counts of two campaigns, each empty in the other's galaxies, as training sets have them."""
    table = pd.concat([walk_tree(GZ2, 3), walk_tree(DR5, 2, seed=1)], ignore_index=True)
    for question in (*GZ2.tree.questions, *DR5.tree.questions):
        counts = table[list(question.columns)]
        table[f"{question.name}_total-votes"] = counts.sum(axis=1, min_count=1)
        for column in question.columns:
            table[f"{column}_fraction"] = table[column] / counts.sum(axis=1)
    return table.assign(dataset_name=["gz2"] * 3 + ["gz_decals"] * 2)


@pytest.mark.parametrize("campaign", [GZ2, DR5], ids=["gz2", "gz_decals_dr5"])
def test_find_absent__is_true_of_galaxies_of_other_campaigns(campaign: Campaign) -> None:
    table = several_campaigns()
    layout = find_layout(list(table), VoteSource("a", campaign.name), campaign)
    assert {question.method for question in layout.questions} == {"counts"}
    numbers = {name: table[name].to_numpy(float) for name in layout.number_columns}
    rejects = BatchRejects(np.arange(5), pa.array(table["id_str"].tolist()))
    is_absent = find_absent(layout, numbers, rejects)
    assert is_absent.tolist() == (table["dataset_name"] != campaign.name[:9]).tolist()


@pytest.mark.parametrize("campaign", [GZ2, DR5], ids=["gz2", "gz_decals_dr5"])
def test_read_vote_table__counts_galaxies_of_other_campaigns_apart(
    campaign: Campaign, tmp_path: Path
) -> None:
    table = several_campaigns()
    table.to_parquet(tmp_path / "table.parquet", index=False)
    source = VoteSource(str(tmp_path / "table.parquet"), campaign.name)
    summary = read_vote_table([source], VotesConfig(), tmp_path / "votes", judge_votes)
    mine = table[table["dataset_name"] == campaign.name[:9]]
    votes = load_votes(tmp_path / "votes")
    assert votes["id_str"].tolist() == mine["id_str"].tolist()
    columns = list(campaign.tree.columns)
    np.testing.assert_array_equal(votes[columns], mine[columns])
    assert (summary.n_read, summary.n_rejected, summary.n_absent) == (5, 0, 5 - len(mine))


def test_find_absent__is_false_of_a_row_with_one_cell_or_a_bad_one() -> None:
    columns = GZ2.tree.questions[0].columns
    layout = find_layout(["id_str", *columns], VoteSource("a", "gz2"), GZ2)
    numbers = {column: np.full(3, np.nan) for column in columns}
    numbers[columns[1]][0] = 0.0
    rejects = BatchRejects(np.arange(3), pa.array(["1", "2", "3"]))
    rejects.add_one(1, columns[0], "many", "the cell is not a number")
    assert find_absent(layout, numbers, rejects).tolist() == [False, False, True]


def test_find_absent__keeps_galaxies_that_nobody_was_asked_about() -> None:
    header = ["id_str", *as_fractions("gz_hubble", walk_tree(find_campaign("gz_hubble"), 1), 3)]
    layout = find_layout(header, VoteSource("a", "gz_hubble"), find_campaign("gz_hubble"))
    numbers = {name: np.full(2, np.nan) for name in layout.number_columns}
    numbers["t01_smooth_or_features_total_count"][0] = 0.0
    rejects = BatchRejects(np.arange(2), pa.array(["1", "2"]))
    assert find_absent(layout, numbers, rejects).tolist() == [False, True]


def test_read_vote_table__never_touches_a_column_of_images(tmp_path: Path) -> None:
    votes = walk_tree(GZ2, 4)
    image = pa.array([{"bytes": bytes([7]) * 4000, "path": f"{i}.jpg"} for i in range(4)])
    table = pa.Table.from_pandas(votes, preserve_index=False).append_column("image", image)
    path = tmp_path / "train.parquet"
    pq.write_table(table, path, compression="none", use_dictionary=False)
    # What cannot be decoded must not have been read.
    group = pq.read_metadata(path).row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    spoiled = bytearray(path.read_bytes())
    for chunk in chunks:
        if chunk.path_in_schema.startswith("image."):
            first = chunk.data_page_offset
            spoiled[first : first + chunk.total_compressed_size] = (
                b"\xff" * chunk.total_compressed_size
            )
    path.write_bytes(bytes(spoiled))
    with pytest.raises((OSError, pa.ArrowInvalid)):
        pq.read_table(path)
    source = VoteSource(str(path), "gz2")
    summary = read_vote_table([source], VotesConfig(), tmp_path / "votes", judge_votes)
    assert summary.ignored_columns == ["image"]
    read_back = load_votes(tmp_path / "votes")[votes.columns]
    pd.testing.assert_frame_equal(read_back, votes, check_dtype=False)


@pytest.mark.parametrize("ending", ["_total", "_total-votes"])
def test_find_layout__knows_both_spellings_of_a_question_s_total(ending: str) -> None:
    header = ["iauname", "bar_strong", "bar_weak", "bar_no", f"bar{ending}"]
    layout = find_layout(header, VoteSource("a", "gz_decals_dr5"), DR5)
    assert layout.questions[3].totals == (f"bar{ending}",)
