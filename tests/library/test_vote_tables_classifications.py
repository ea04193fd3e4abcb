"""Classifications, one row a volunteer and subject, give the votes that were counted by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import TooManyRejectsError, VoteTableError
from tests.library.classification_votes import (
    ARTIFACT,
    FEATURED,
    SMOOTH,
    adds_up,
    given,
    read,
    read_file,
)
from tests.library.panoptes_exports import classified, write_export


def by_hand() -> list[dict[str, str]]:
    """Twenty rows on two galaxies; what becomes of each is said beside it.

    Galaxy A is the subjects 1 and 2, galaxy B subject 3.
    """
    a1, a2, b = (
        {"subject": subject, "galaxy": galaxy}
        for subject, galaxy in (("1", "A"), ("2", "A"), ("3", "B"))
    )
    unfinished = json.dumps({"started_at": "2026-03-01T10:00:00Z"})
    other_key = json.dumps({"2": {"!id_str": "A"}})
    featured = {"T0": FEATURED, "T2": "yes -  edge on disk"}
    other_t0 = {"T0": SMOOTH, "T1": "Cigar Shaped", "T10": ["Ring", "Dust lane"]}
    return [
        # A: smooth, round.
        classified(1, "ann", answers={"T0": SMOOTH, "T1": "Round"}, **a1),
        # Set aside, Ann's second of A, though of another subject.
        classified(2, "ann", answers=featured, **a2),
        # A: featured, edge-on; by the key with another mark.
        classified(3, "bob", answers=featured, **a2) | {"subject_data": other_key},
        # A: smooth, cigar-shaped; rare features set aside with T10.
        classified(4, "?7f", answers=other_t0, **a1),
        # Set aside: the same volunteer who is not logged in.
        classified(5, "?7f", answers={"T0": SMOOTH}, **a1),
        # A: artifact; another one.
        classified(6, "?80", answers={"T0": ARTIFACT}, **a1),
        # Set aside: Ann's of B, above in the file but later.
        classified(9, "ann", answers={"T0": 0}, **b),
        # B: featured, not edge-on, as numbers.
        classified(8, "ann", answers={"T0": 1, "T2": 1}, **b),
        # Set aside: the same row again.
        classified(8, "ann", answers={"T0": 1, "T2": 1}, **b),
        # B: smooth; the question after it was skipped.
        classified(10, "cy", answers={"T0": "  SMOOTH ", "T1": None}, **b),
        # Set aside: unfinished.
        classified(11, "dan", answers={"T0": SMOOTH}, metadata=unfinished, **b),
        # Set aside: no answer.
        classified(12, "eve", answers={"T0": None}, **b),
        classified(13, "eve", answers={}, **b),
        # Rejected, rows 13 to 18: broken JSON, several subjects, no id, no time, not resolved, and
        # an answer that nothing leads to.
        classified(14, "fay", answers={}, annotations='[{"task":"T0"', **b),
        classified(15, "fay", answers={"T0": SMOOTH}, **b) | {"subject_ids": "3;4"},
        classified(16, "fay", answers={"T0": SMOOTH}, subject="5", subject_data='{"5": {}}'),
        classified(17, "fay", answers={"T0": SMOOTH}, created_at="yesterday", **b),
        classified(18, "fay", answers={"T0": "unknown answer label"}, **b),
        classified(19, "fay", answers={"T0": SMOOTH, "T2": "No"}, **b),
        # B: smooth, in between; Fay's first that can be counted.
        classified(20, "fay", answers={"T0": SMOOTH, "T1": "In between"}, **b),
    ]


def test_read_vote_table__counts_classifications_as_by_hand(tmp_path: Path) -> None:
    summary, votes = read(by_hand(), tmp_path)
    assert votes.index.tolist() == ["A", "B"]
    assert given(votes, "A") == {
        "smooth-or-featured_smooth": 2,
        "smooth-or-featured_featured-or-disk": 1,
        "smooth-or-featured_artifact": 1,
        "disk-edge-on_yes": 1,
        "how-rounded_round": 1,
        "how-rounded_cigar-shaped": 1,
    }
    assert given(votes, "B") == {
        "smooth-or-featured_smooth": 2,
        "smooth-or-featured_featured-or-disk": 1,
        "disk-edge-on_no": 1,
        "how-rounded_in-between": 1,
    }
    (source,) = summary.sources
    counts = source.classifications
    assert counts is not None
    assert (counts.n_read, counts.n_used, counts.n_rejected) == (20, 7, 6)
    assert counts.n_volunteers == 6
    assert counts.set_aside == {
        "unfinished": 1,
        "no answer": 2,
        "the same classification again": 1,
        "the volunteer had classified it before": 3,
    }
    assert adds_up(summary)
    assert (source.n_read, source.n_accepted, source.n_rejected) == (2, 2, 0)
    assert (source.id_column, source.votes_origin) == ("id_str", "counts")
    assert source.is_gathered


def test_read_vote_table__rejects_rows_with_number_value_and_reason(tmp_path: Path) -> None:
    _, votes = read(by_hand(), tmp_path)
    rejects = votes.attrs["rejects"]
    assert rejects["row"].tolist() == [13, 14, 15, 16, 17, 18]
    assert rejects["column"].tolist() == [
        *("annotations", "subject_ids", "subject_data", "created_at"),
        *("annotations", "annotations"),
    ]
    assert rejects["value"].iloc[1] == "3;4"
    for reason, part in zip(
        rejects["reason"],
        (
            "no JSON list",
            "several subjects",
            "no id under 'id_str'",
            "must be like 2018",
            "did not find the answer's label",
            "'disk-edge-on-dr5' was answered though no answer given leads to it",
        ),
        strict=True,
    ):
        assert part in reason


def test_read_vote_table__gives_the_same_in_any_order_of_rows(tmp_path: Path) -> None:
    _, expected = read(by_hand(), tmp_path)
    rows = by_hand()
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    summary, votes = read(rows, tmp_path)
    pd.testing.assert_frame_equal(votes.sort_index(), expected.sort_index())
    assert adds_up(summary)


def test_read_vote_table__reads_several_exports_as_one(tmp_path: Path) -> None:
    rows = [classified(number, "?7f", str(number), {"T0": SMOOTH}, galaxy="A") for number in (1, 2)]
    logged_in = [classified(number, "ann", "1", {"T0": SMOOTH}, galaxy="A") for number in (3, 4)]
    write_export([rows[0], logged_in[0]], tmp_path / "a1.csv")
    write_export([rows[1], *logged_in], tmp_path / "a2.csv")
    summary, votes = read_file(str(tmp_path / "a?.csv"), tmp_path)
    # Names of those not logged in hold within one export: two volunteers, and Ann once.
    assert given(votes, "A") == {"smooth-or-featured_smooth": 3}
    assert adds_up(summary)


def test_read_vote_table__counts_a_volunteer_once_a_subject_if_asked_to(tmp_path: Path) -> None:
    rows = [
        classified(n, "ann", subject, {"T0": SMOOTH}, galaxy="A")
        for n, subject in ((1, "1"), (2, "2"), (3, "2"))
    ]
    _, votes = read(rows, tmp_path, one_vote_per="subject")
    assert given(votes, "A") == {"smooth-or-featured_smooth": 2}
    _, votes = read(rows, tmp_path, subject_key="")
    assert votes["smooth-or-featured_smooth"].to_dict() == {"1": 1, "2": 1}


def test_read_vote_table__counts_volunteers_nobody_knows_each_by_itself(tmp_path: Path) -> None:
    rows = [classified(n, "", "1", {"T0": SMOOTH}, user_id="") for n in (1, 2)]
    _, votes = read(rows, tmp_path)
    assert given(votes, "g1") == {"smooth-or-featured_smooth": 2}


def test_read_vote_table__keeps_to_workflow_version_and_date(tmp_path: Path) -> None:
    changes: list[dict[str, str]] = [
        {},
        {"workflow_id": "9", "annotations": "another workflow's"},
        {"workflow_version": "66.40"},
        {"workflow_version": "66.4"},
        {"workflow_version": "67.1"},
        {"created_at": "2025-12-31 23:59:59 UTC"},
        {"created_at": "2026-01-01T00:00:00.000Z"},
        {"gold_standard": "true"},
        {"workflow_version": "new"},
    ]
    rows = [
        classified(n, f"v{n}", "1", {"T0": SMOOTH}, **change) for n, change in enumerate(changes)
    ]
    bounds = {"min_version": "66.40", "max_version": "66", "created_from": "2026-01-01"}
    summary, votes = read(rows, tmp_path, workflow_id="10581", **bounds)
    # Counted: the first, that of 66.40 (which is after 66.4), and that of New Year's first second.
    assert given(votes, "g1") == {"smooth-or-featured_smooth": 3}
    counts = summary.sources[0].classifications
    assert counts is not None
    assert counts.set_aside == {
        "another workflow": 1,
        "another version of the workflow": 2,
        "before created_from": 1,
        "an expert's gold standard": 1,
    }
    assert adds_up(summary)
    assert "66.425" in votes.attrs["rejects"]["reason"].iloc[0]
    with pytest.raises(VoteTableError, match=r"holds the workflows 10581, 9, .* set workflow_id"):
        read(rows, tmp_path)
    with pytest.raises(VoteTableError, match="no classifications of workflow_id '3'"):
        read(rows, tmp_path, workflow_id="3")


def test_read_vote_table__finds_answers_within_a_combo(tmp_path: Path) -> None:
    combo = [{"task": "T0", "value": FEATURED}, {"task": "T2", "value": "No"}]
    _, votes = read([classified(1, "ann", "1", {"T9": combo})], tmp_path)
    assert given(votes, "g1") == {"smooth-or-featured_featured-or-disk": 1, "disk-edge-on_no": 1}


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ('[{"task": "T0", "value": ["Smooth"]}]', "something other than one answer"),
        ('[{"task": "T0", "value": true}]', "something other than one answer"),
        ('[{"task": "T0", "value": 0}, {"task": "T0", "value": 1}]', "two answers to"),
        ('{"task": "T0", "value": 0}', "no JSON list"),
        ("[1]", "no JSON list"),
        ("[" * 100_000, "no JSON list"),
        ("", "no JSON list"),
    ],
)
def test_read_vote_table__rejects_what_is_no_walk(
    annotations: str, reason: str, tmp_path: Path
) -> None:
    rows = [
        classified(1, "ann", "1", {"T0": SMOOTH}),
        classified(2, "bob", "1", {}, annotations=annotations),
    ]
    summary, votes = read(rows, tmp_path)
    assert given(votes, "g1") == {"smooth-or-featured_smooth": 1}
    assert reason in votes.attrs["rejects"]["reason"].item()
    assert adds_up(summary)


@pytest.mark.parametrize("answers", ["null", "[]", '[{"task": "T10", "value": 3}]'])
def test_read_vote_table__sets_rows_without_an_answer_aside(answers: str, tmp_path: Path) -> None:
    rows = [
        classified(1, "ann", "1", {"T0": SMOOTH}),
        classified(2, "bob", "1", {}, annotations=answers),
    ]
    summary, _ = read(rows, tmp_path, max_reject_rate=0.0)
    counts = summary.sources[0].classifications
    assert counts is not None
    assert counts.set_aside == {"no answer": 1}


def test_read_vote_table__rejects_lines_with_another_number_of_cells(tmp_path: Path) -> None:
    uri = write_export([classified(1, "ann", "1", {"T0": SMOOTH})], tmp_path / "c.csv")
    with Path(uri).open("a") as file:
        file.write("2,bob,5\n")
    summary, votes = read_file(uri, tmp_path)
    assert votes.attrs["rejects"][["row", "value"]].to_numpy().tolist() == [[1, "3 cells"]]
    assert adds_up(summary)


def test_read_vote_table__stops_where_too_many_classifications_are_rejected(
    tmp_path: Path,
) -> None:
    message = r"6 of 13 classifications in .* were rejected, more than max_reject_rate=0\.4"
    with pytest.raises(TooManyRejectsError, match=message):
        read(by_hand(), tmp_path, max_reject_rate=0.4)
    read(by_hand(), tmp_path, max_reject_rate=0.5)
