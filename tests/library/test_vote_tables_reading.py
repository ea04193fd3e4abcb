"""Reading votes: absent galaxies, lost digits, order, joins, and checks without writing."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxyloop.campaigns import campaign_tree, find_campaign
from galaxyloop.errors import TooManyRejectsError, VoteTableError
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    VoteSummary,
    load_vote_rejects,
    load_votes,
    read_vote_table,
    validate_vote_tables,
)
from galaxyloop.vote_tables.summary import load_accepted_ids
from schemas.votes import judge_votes

LENIENT = VotesConfig(max_reject_rate=1.0)
FIRST = [
    f"smooth-or-featured-gz2_{answer}" for answer in ("smooth", "featured-or-disk", "artifact")
]
GENERATED = settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def table_of(n_galaxies: int, seed: int = 0) -> pd.DataFrame:
    """Votes on the first question, a few of them wrong, and a few ids that come twice."""
    rng = np.random.default_rng(seed)
    ids = [f"{seed}-{i}" for i in range(n_galaxies)]
    table = pd.DataFrame(rng.integers(0, 40, (n_galaxies, 3)).astype(float), columns=FIRST)
    table.insert(0, "objid", ids)
    table.iloc[rng.integers(n_galaxies, size=3), 2] = [-1.0, 0.5, np.nan]
    table.loc[rng.integers(n_galaxies, size=3), "objid"] = "same"
    return table


def read(
    table: pd.DataFrame, directory: Path, config: VotesConfig = LENIENT, campaign: str = "gz2"
) -> VoteSummary:
    directory.mkdir(exist_ok=True)
    table.to_parquet(directory / "t.parquet")
    source = VoteSource(str(directory / "t.parquet"), campaign)
    return read_vote_table([source], config, directory / "votes", judge_votes)


def test_read_vote_table__passes_over_galaxies_that_are_not_in_the_campaign(tmp_path: Path) -> None:
    table = pd.DataFrame({"objid": ["a", "b", "", "c", "d"]})
    table[FIRST] = np.array([[1.0, 2, 3], [np.nan] * 3, [np.nan] * 3, [np.nan, 0, 1], [0, 0, 0]])
    summary = read(table, tmp_path)
    source = summary.sources[0]
    assert (source.n_read, source.n_accepted, source.n_rejected, source.n_absent) == (5, 2, 2, 1)
    assert (summary.n_read, summary.n_accepted, summary.n_rejected) == (5, 2, 2)
    assert summary.n_absent == 1
    assert load_votes(tmp_path / "votes")["id_str"].tolist() == ["a", "d"]
    # Nobody is named by an empty id, so its row is wrong rather than of another campaign.
    rejects = load_vote_rejects(tmp_path / "votes")
    assert rejects[["row", "id_str"]].to_numpy().tolist() == [[2, ""], [3, "c"]]


def test_read_vote_table__refuses_a_table_that_has_no_votes_of_the_campaign(tmp_path: Path) -> None:
    table = pd.DataFrame({"objid": ["a", "b"]}).assign(**dict.fromkeys(FIRST, np.nan))
    with pytest.raises(VoteTableError, match="no votes of campaign 'gz2': in 2 of its 2 rows"):
        read(table, tmp_path)
    assert not (tmp_path / "votes").exists()


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_read_vote_table__reads_ids_that_a_writer_left_as_bytes(
    kind: pa.DataType, tmp_path: Path
) -> None:
    table = table_of(9).assign(objid=[f"00{i}" for i in range(9)])
    assert (
        read(table, tmp_path / "text").digest
        == read(
            table.assign(objid=pd.array(table["objid"].map(str.encode), pd.ArrowDtype(kind))),
            tmp_path / "bytes",
        ).digest
    )


def test_read_vote_table__refuses_ids_that_are_no_text_nor_whole_numbers(tmp_path: Path) -> None:
    table = table_of(2)
    with pytest.raises(VoteTableError, match="bytes that are no text in UTF-8"):
        read(table.assign(objid=[b"\xff", b"a"]), tmp_path)
    with pytest.raises(VoteTableError, match="'objid' are stored as null; store them as text"):
        read(table.assign(objid=None), tmp_path)


def test_read_vote_table__names_derived_votes_as_such(tmp_path: Path) -> None:
    efigi = find_campaign("efigi")
    table = pd.DataFrame({a.column: [0.0, 0.25, 1.0] for a in efigi.pseudo_votes})
    table.insert(0, efigi.id_columns[0], ["PGC1", "PGC2", "PGC3"])
    summary = read(table, tmp_path, campaign="efigi")
    assert summary.sources[0].is_derived
    assert summary.sources[0].votes_origin == "derived"
    assert set(load_votes(tmp_path / "votes")["votes_origin"]) == {"derived"}
    assert not read(table_of(9), tmp_path / "gz2").sources[0].is_derived


def test_vote_summary__of_an_earlier_version_still_loads(tmp_path: Path) -> None:
    summary = read(table_of(9), tmp_path)
    data = json.loads(summary.to_json())
    for name in ("n_absent", "n_known"):
        del data[name], data["sources"][0][name]
    del data["sources"][0]["is_derived"]
    assert VoteSummary.from_json(json.dumps(data)) == summary


def test_read_vote_table__refuses_ids_that_lost_their_last_digits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(587_722_000_000_000_000, 588_900_000_000_000_000, 200)
    table = table_of(200).assign(objid=ids.astype(float).astype(np.int64))
    config = VotesConfig(max_reject_rate=1.0, batch_rows=7)
    with pytest.raises(
        VoteTableError, match=r"'objid' all 200 ids above 2\^53, .* lost their last"
    ):
        read(table, tmp_path / "lost", config)
    assert not (tmp_path / "lost" / "votes").exists()
    assert read(table.assign(objid=ids), tmp_path / "whole", config).n_accepted == 197


@GENERATED
@given(seed=st.integers(0, 9999), batch_rows=st.integers(1, 50))
def test_read_vote_table__order_and_batches_change_nothing_but_order(
    seed: int, batch_rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = table_of(40, seed % 5)
    # Of galaxies that come twice the first stays: which one that is, is all that order decides.
    table = table[table["objid"] != "same"]
    shuffled = table.sample(frac=1, random_state=seed)
    config = VotesConfig(max_reject_rate=1.0, batch_rows=batch_rows)
    directories = [tmp_path_factory.mktemp("read") for _ in range(2)]
    summaries = [read(table, directories[0]), read(shuffled, directories[1], config)]
    for summary in summaries:
        assert (summary.n_read, summary.n_rejected) == (len(table), summaries[0].n_rejected)
    one, other = (load_votes(d / "votes").sort_values("id_str") for d in directories)
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))
    assert load_votes(directories[1] / "votes")["id_str"].tolist() == [
        id_str for id_str in shuffled["objid"] if id_str in set(one["id_str"])
    ]


@pytest.mark.parametrize("batch_rows", [3, 1000])
def test_read_vote_table__joins_as_an_outer_merge_does(batch_rows: int, tmp_path: Path) -> None:
    campaigns = ("gz2", "gz_decals_dr5", "gz_decals_dr8")
    trees = [find_campaign(name).tree for name in campaigns]
    rng = np.random.default_rng(1)
    tables, sources = [], []
    for name, tree in zip(campaigns, trees, strict=True):
        columns = list(tree.question(tree.question_names[0]).columns)
        table = pd.DataFrame(rng.integers(0, 40, (30, len(columns))), columns=columns)
        table.insert(0, "id_str", rng.permutation([f"g{i}" for i in range(50)])[:30])
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        tables.append(table)
        sources.append(VoteSource(str(tmp_path / f"{name}.csv"), name))
    config = VotesConfig(batch_rows=batch_rows)
    summary = read_vote_table(sources, config, tmp_path / "votes", judge_votes)
    votes = load_votes(tmp_path / "votes")
    ids = list(dict.fromkeys(id_str for table in tables for id_str in table["id_str"]))
    assert votes["id_str"].tolist() == ids
    expected = pd.DataFrame(index=pd.Index(ids, name="id_str"))
    for table in tables:
        expected = expected.join(table.set_index("id_str"))
    expected = expected.reindex(columns=list(campaign_tree(list(campaigns)).columns)).fillna(0)
    found = votes.set_index("id_str").drop(columns="votes_origin")
    pd.testing.assert_frame_equal(found, expected.astype("int32"), check_index_type=False)
    accepted = [accepted for _, accepted in load_accepted_ids(tmp_path / "votes")]
    assert accepted == [table["id_str"].tolist() for table in tables]
    assert summary.n_galaxies == len(ids)
    assert [path.suffix for path in sorted((tmp_path / "votes").iterdir())].count(".parquet") == 3


def test_validate_vote_tables__finds_what_a_read_would_and_writes_nothing(tmp_path: Path) -> None:
    sources = []
    for seed in (0, 1, 0):
        path = tmp_path / f"{len(sources)}.parquet"
        table_of(30, seed).to_parquet(path)
        sources.append(VoteSource(str(path), "gz2"))
    config = VotesConfig(max_reject_rate=1.0, batch_rows=11)
    before = sorted(tmp_path.iterdir())
    told = validate_vote_tables(sources, config, judge_votes)
    assert sorted(tmp_path.iterdir()) == before
    summary = read_vote_table(sources, config, tmp_path / "votes", judge_votes)
    assert told == summary.sources
    assert (told[2].n_rejected, told[2].n_known) == (3, 27)
    with pytest.raises(TooManyRejectsError, match=f"{told[0].n_rejected} of 30 rows"):
        validate_vote_tables(sources, dataclasses.replace(config, max_reject_rate=0.1), judge_votes)


def test_validate_vote_tables__refuses_no_source() -> None:
    with pytest.raises(VoteTableError, match="at least one source, got none"):
        validate_vote_tables([], LENIENT, judge_votes)
