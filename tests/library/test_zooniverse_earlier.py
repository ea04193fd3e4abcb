"""Ids of batches that volunteers have been sent already."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import SubjectSetError
from galaxyloop.zooniverse.earlier import read_asked_ids

# As in real surveys, ids may be long numbers and begin with a zero.
IDS = ["0587722981741625388", "587722981741625389"]


def test_read_asked_ids__reads_what_selections_leave(tmp_path: Path) -> None:
    table = pd.DataFrame({"rank": [1, 2], "id_str": IDS})
    table.to_csv(tmp_path / "ask_next.csv", index=False)
    table.assign(id_str=["a", "b"]).to_parquet(tmp_path / "ask_next.parquet")
    manifest = pd.DataFrame({"image": ["1.jpg"], "#id_str": ["c"], "#rank": ["1"]})
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    names = ("ask_next.csv", "ask_next.parquet", "manifest.csv")
    assert read_asked_ids([str(tmp_path / name) for name in names]) == {*IDS, "a", "b", "c"}
    assert read_asked_ids([str(tmp_path / "ask*.csv")]) == set(IDS)
    assert read_asked_ids([]) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,rank\na,1\n", "one column of id_str, #id_str, but .* has "),
        ("id_str,#id_str\na,b\n", "has .*'id_str', '#id_str'"),
        ("id_str,rank\n", "names no galaxy"),
        ("id_str,rank\na,1\nb,2,3\n", "row 1 of .* has 3 cells under 2 columns"),
    ],
)
def test_read_asked_ids__refuses_what_is_no_batch(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "batch.csv").write_text(text)
    with pytest.raises(SubjectSetError, match=message):
        read_asked_ids([str(tmp_path / "batch.csv")])


def test_read_asked_ids__refuses_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SubjectSetError, match=r"nowhere\.csv"):
        read_asked_ids([str(tmp_path / "nowhere.csv")])
