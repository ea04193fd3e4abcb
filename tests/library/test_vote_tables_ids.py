"""Ids of vote tables: quick ways agree with slow and exact ones, whatever the hashes are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from galaxyloop.table_files import FLOAT_ID
from galaxyloop.vote_tables import id_index
from galaxyloop.vote_tables.cells import check_ids, check_new
from galaxyloop.vote_tables.id_index import IdIndex, StoredIds, find_first, hash_ids
from galaxyloop.vote_tables.rejects import BatchRejects

IDS = st.text(max_size=20) | st.sampled_from(
    ["a", "b", "nan", " NULL ", "12.0", "-6e+17", "1.2.0", "5877\x00", "\u00a07", "J1+2.5", "12e5"]
)
GENERATED = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def as_ids(texts: list[str]) -> pa.StringArray:
    return pa.array(texts, pa.string())


@pytest.fixture(params=["hash", "two hashes", "one hash"])
def index(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Replaces the hashes by worse ones, and begins with a table that has to grow."""
    monkeypatch.setattr(id_index, "_MIN_CELLS", 8)
    if request.param != "hash":
        kept = np.uint64(request.param == "two hashes")
        monkeypatch.setattr(id_index, "hash_ids", lambda ids: hash_ids(ids) & kept)
    return str(request.param)


@GENERATED
@given(batches=st.lists(st.lists(IDS, max_size=12), max_size=6))
def test_id_index__adds_each_id_once_even_if_all_hashes_are_the_same(
    batches: list[list[str]], index: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    seen = IdIndex(tmp_path_factory.mktemp("ids"), "campaign")
    known: dict[str, int] = {}
    for batch in batches:
        is_new = seen.add_new(as_ids(batch))
        expected = [text not in known and text not in batch[:i] for i, text in enumerate(batch)]
        assert is_new.tolist() == expected
        for text, new in zip(batch, expected, strict=True):
            if new:
                known[text] = len(known)
        wanted = [*batch, *known, "never added"]
        assert seen.find(as_ids(wanted)).tolist() == [known.get(text, -1) for text in wanted]
    assert len(seen) == len(known)
    assert seen.ids.read(0, len(seen)).to_pylist() == list(known)


def test_id_index__grows_past_its_first_table(tmp_path: Path) -> None:
    seen = IdIndex(tmp_path, "campaign")
    ids = as_ids([str(number) for number in range(40_000)])
    n_batches = 20
    for number in range(n_batches):
        batch = as_ids([f"{number}-{text}" for text in ids.to_pylist()])
        assert seen.add_new(batch).all()
        assert not seen.add_new(batch[::7]).any()
    rows = seen.find(as_ids(["0-0", "19-39999", "20-0"]))
    assert rows.tolist() == [0, n_batches * 40_000 - 1, -1]


@GENERATED
@given(texts=st.lists(IDS, max_size=12), first=st.integers(0, 12))
def test_hash_ids__depend_on_the_text_alone(texts: list[str], first: int) -> None:
    ids = as_ids(texts)
    alone = [hash_ids(as_ids([text]))[0] for text in texts]
    assert hash_ids(ids).tolist() == alone
    assert hash_ids(ids[first:]).tolist() == alone[first:]


def test_hash_ids__of_a_million_similar_ids_differ() -> None:
    ids = as_ids([str(587722981742084144 + i) for i in range(1_000_000)])
    hashes = hash_ids(ids)
    assert len(np.unique(hashes)) == len(ids)
    # Both halves are used by themselves; of 2^32 values a million take all but 116 of a million.
    for half in (hashes >> np.uint64(32), hashes & np.uint64(2**32 - 1)):
        assert len(np.unique(half)) > len(ids) - 400


@GENERATED
@given(texts=st.lists(IDS, max_size=12))
def test_find_first__is_the_first_of_each_text(texts: list[str]) -> None:
    ids = as_ids(texts)
    expected = [text not in texts[:i] for i, text in enumerate(texts)]
    assert find_first(ids, hash_ids(ids)).tolist() == expected
    assert find_first(ids, np.zeros(len(ids), np.uint64)).tolist() == expected


def test_stored_ids__gives_rows_back_in_order_and_by_number(tmp_path: Path) -> None:
    stored = StoredIds(tmp_path, "campaign")
    assert stored.read(0, 0).to_pylist() == []
    stored.append(as_ids(["x", "", "\u00e9t\u00e9", "x"])[1:])
    stored.append(as_ids(["last"]))
    assert stored.read(1, 4).to_pylist() == ["\u00e9t\u00e9", "x", "last"]
    assert stored.take(np.array([3, 0])).to_pylist() == ["last", ""]


@GENERATED
@given(texts=st.lists(IDS, min_size=1, max_size=12))
@example(texts=["12", "1e5", "12.00", "1.5"])
@example(texts=["\u0663.0", "+1e+5", "\x1c1234567"])
def test_check_ids__rejects_what_the_rules_say_of_each_id(texts: list[str]) -> None:
    rejects = BatchRejects(np.arange(len(texts)), as_ids(texts))
    check_ids(rejects, "objid")
    expected = {
        i
        for i, text in enumerate(texts)
        if text.strip().casefold() in {"", "nan", "none", "null", "<na>"}
        or text != text.strip()
        or FLOAT_ID.fullmatch(text)
    }
    assert set(rejects.found) == expected


def test_check_new__passes_over_rejected_rows(tmp_path: Path) -> None:
    seen = IdIndex(tmp_path, "campaign")
    rejects = BatchRejects(np.arange(5), as_ids(["a", "b", "a", "b", "b"]))
    rejects.add_one(0, "bar-gz2_yes", -1.0, "votes must be 0 or above; mend the table")
    check_new(rejects, seen, "objid")
    assert rejects.accepted.tolist() == [False, True, True, False, False]
    assert seen.ids.read(0, len(seen)).to_pylist() == ["b", "a"]
