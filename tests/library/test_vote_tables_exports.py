"""Exports of classifications that overlap, that pandas stored anew, or whose texts are broken."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables import VotesConfig, VoteSource, VoteSummary, read_vote_table
from schemas.votes import judge_votes
from tests.library.classification_votes import (
    FEATURED,
    LINES,
    SMOOTH,
    adds_up,
    given,
    read,
    read_file,
)
from tests.library.panoptes_exports import classified, write_export


@pytest.mark.parametrize("older", [1, 2])
def test_read_vote_table__counts_who_is_not_logged_in_once_in_exports_that_overlap(
    older: int, tmp_path: Path
) -> None:
    again = [classified(n, "?7f", "1", {"T0": SMOOTH}) for n in (1, 2)]
    write_export([classified(older, "?a0", "1", {"T0": SMOOTH})], tmp_path / "e1.csv")
    newer = write_export(again, tmp_path / "e2.csv")
    for uri in (newer, str(tmp_path / "e?.csv")):
        summary, votes = read_file(uri, tmp_path)
        assert given(votes, "g1") == {"smooth-or-featured_smooth": 1}
        assert adds_up(summary)
    counts = summary.sources[0].classifications
    assert counts is not None
    assert (counts.n_read, counts.n_used) == (3, 1)
    assert counts.set_aside == {
        "the same classification again": 1,
        "the volunteer had classified it before": 1,
    }


@pytest.mark.parametrize("seed", range(4))
def test_read_vote_table__gains_nothing_from_older_exports_beside_the_newest(
    seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    made = [
        (n, rng.integers(6), str(rng.integers(4)), str(rng.choice([SMOOTH, FEATURED])))
        for n in rng.permutation(60).tolist()
    ]
    # Who is not logged in (0, 1, 2) has another name in each export, which may be another's in
    # the next.
    for export, n_rows in enumerate((20, 45, 60)):
        names = [f"?{(who + export) % 3}" for who in range(3)] + ["ann", "bob", "cy"]
        rows = [
            classified(n, names[who], subject, {"T0": answer})
            for n, who, subject, answer in made
            if n < n_rows
        ]
        newest = write_export(rows, tmp_path / f"e{export}.csv")
    _, expected = read_file(newest, tmp_path)
    summary, votes = read_file(str(tmp_path / "e?.csv"), tmp_path)
    pd.testing.assert_frame_equal(votes.sort_index(), expected.sort_index())
    assert adds_up(summary)


def test_read_vote_table__says_how_exports_of_one_campaign_add_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = []
    for number, n_galaxies in enumerate((20, 40)):
        rows = [classified(n, "ann", str(n), {"T0": SMOOTH}) for n in range(n_galaxies)]
        source = {
            "uri": write_export(rows, tmp_path / f"e{number}.csv"),
            "campaign": "gz_decals_dr5",
            "classifications": {"answers": LINES},
        }
        sources.append(VoteSource.from_dict(source))
    with caplog.at_level(logging.WARNING, "galaxyloop"):
        summary = read_vote_table(sources, VotesConfig(), tmp_path / "votes", judge_votes)
    counts = summary.n_read, summary.n_accepted, summary.n_rejected, summary.n_known
    assert counts == (60, 40, 0, 20)
    assert "20 of its 40 rows do not count" in caplog.text
    assert "give them as one source with a pattern such as exports/*.csv" in caplog.text


@pytest.mark.parametrize(
    ("volunteers", "expert", "stored"),
    [("", "", "double"), ("false", "true", "bool"), ("", "true", "bool")],
)
@pytest.mark.parametrize("user_id", ["float64", "Int64"])
def test_read_vote_table__reads_exports_that_pandas_stored_as_parquet(
    user_id: str, volunteers: str, expert: str, stored: str, tmp_path: Path
) -> None:
    names = ["ann", "ann", "?7f", "?7f", "?80", "bob"]
    rows = [
        classified(n, name, "1", {"T0": SMOOTH}, gold_standard=volunteers)
        for n, name in enumerate(names)
    ]
    rows.append(classified(9, "eve", "1", {"T0": FEATURED}, gold_standard=expert))
    expected_summary, expected = read(rows, tmp_path)
    assert expected["smooth-or-featured_smooth"].tolist() == [4]
    assert expected["smooth-or-featured_featured-or-disk"].tolist() == [0 if expert else 1]
    table = pd.read_csv(tmp_path / "classifications.csv").astype({"user_id": user_id})
    table.to_parquet(tmp_path / "e.parquet")
    kinds = pq.read_schema(tmp_path / "e.parquet")
    assert str(kinds.field("user_id").type) == {"float64": "double", "Int64": "int64"}[user_id]
    assert str(kinds.field("gold_standard").type) == stored
    summary, votes = read_file(str(tmp_path / "e.parquet"), tmp_path)
    pd.testing.assert_frame_equal(votes, expected)
    assert summary.sources[0].classifications == expected_summary.sources[0].classifications


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user_id", [1.5, 2.0], "'user_id' is stored as double with decimals"),
        ("workflow_version", [66.4, 66.1], "double with decimals, which lose their last zeros"),
        ("metadata", [["a"], ["b"]], "'metadata' is stored as list<.*; store it as text"),
        ("subject_ids", [1.0, np.nan], "'subject_ids' are stored as double, which may have lost"),
    ],
)
def test_read_vote_table__refuses_columns_of_an_export_that_are_no_text(
    column: str, values: list[object], message: str, tmp_path: Path
) -> None:
    table = pd.DataFrame([classified(n, "ann", "1", {"T0": SMOOTH}) for n in (1, 2)])
    table[column] = values
    table.to_parquet(tmp_path / "e.parquet")
    with pytest.raises(VoteTableError, match=message) as caught:
        read_file(str(tmp_path / "e.parquet"), tmp_path, min_version="66.4")
    assert "as text" in str(caught.value)
    assert "id_column" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"galaxy": "ab\ud800"}, "subject_data", "half a character"),
        (
            {"annotations": json.dumps([{"task": "T0\udfff", "value": "Unknown answer label"}])},
            "annotations",
            "did not find the answer's label",
        ),
    ],
)
def test_read_vote_table__rejects_half_characters_that_no_file_can_hold(
    change: dict[str, str], column: str, reason: str, tmp_path: Path
) -> None:
    rows = [
        classified(1, "ann", "1", {"T0": SMOOTH}),
        classified(2, "bob", "2", {"T0": SMOOTH}, **change),
    ]
    summary, votes = read(rows, tmp_path)
    assert votes.index.tolist() == ["g1"]
    rejects = votes.attrs["rejects"]
    assert rejects[["row", "column"]].to_numpy().tolist() == [[1, column]]
    assert reason in rejects["reason"][0]
    assert adds_up(summary)


def test_read_vote_table__keeps_reasons_of_rows_and_of_classifications_apart(
    tmp_path: Path,
) -> None:
    rows = [
        classified(1, "ann", "1", {"T0": SMOOTH}),
        classified(2, "bob", "2", {"T0": SMOOTH}, galaxy=" g2"),
        classified(3, "cy", "1", {"T0": SMOOTH}, created_at="yesterday"),
        classified(4, "dan", "1", {}, annotations="?"),
        classified(5, "eve", "1", {"T0": SMOOTH}, created_at="today"),
    ]
    summary, votes = read(rows, tmp_path)
    assert summary.n_rejected == sum(summary.reasons.values()) == 1
    assert summary.reasons == {"the id has spaces around it; remove them": 1}
    counts = summary.sources[0].classifications
    assert counts is not None
    # That of the galaxy which is rejected afterwards was used.
    assert (counts.n_used, counts.n_rejected, sum(counts.reasons.values())) == (2, 3, 3)
    assert list(counts.reasons.values()) == [2, 1]
    assert len(votes.attrs["rejects"]) == summary.n_rejected + counts.n_rejected


def test_vote_summary__of_classifications_of_an_earlier_version_still_loads(
    tmp_path: Path,
) -> None:
    summary, _ = read([classified(1, "ann", "1", {"T0": SMOOTH})], tmp_path)
    data = dataclasses.asdict(summary)
    del data["sources"][0]["classifications"]["reasons"]
    assert VoteSummary.from_json(json.dumps(data)) == summary
