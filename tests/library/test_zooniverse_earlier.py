"""Ids of batches that volunteers have been sent already."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import SubjectSetError
from galaxyloop.zooniverse.earlier import read_asked_ids

# As in real surveys, ids may be long numbers and begin with a zero.
IDS = ["0587722981741625388", "587722981741625389"]


def test_read_asked_ids__reads_what_selections_leave(tmp_path: Path) -> None:
    table = pd.DataFrame({"rank": [1, 2], "id_str": IDS, "votes_wanted": [40, 28]})
    table.to_csv(tmp_path / "ask_next.csv", index=False)
    table.assign(id_str=["a", "b"]).to_parquet(tmp_path / "ask_next.parquet")
    manifest = pd.DataFrame({"image": ["1.jpg"], "#id_str": ["c"], "#retirement_limit": ["40"]})
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
        (
            "id_str,bar-gz2_yes\na,1\n",
            r"batch\.csv is no earlier batch, .*ask_next\.csv or .*manifest\.csv",
        ),
        ("id_str,votes_wanted\n", "names no galaxy"),
        ("id_str,votes_wanted\na,1\nb,2,3\n", "row 1 of .* has 3 cells under 2 columns"),
        (
            "id_str,votes_wanted\na,1\n1.2376E+18,2\n",
            r"row 1 of .*batch\.csv: .*'1.2376E\+18' was .*text",
        ),
        (
            "#id_str,#retirement_limit\n1237648720693755918.0,1\n",
            "1237648720693755918.0' was written as a floating",
        ),
        ("id_str,votes_wanted\na,1\n,2\n", "row 1 .* the id '' is missing; give every row"),
        ("id_str,votes_wanted\nNaN,1\n", "the id 'NaN' is missing"),
        (
            'id_str,votes_wanted\n"a\tb",1\n',
            r"the id 'a\\tb' holds .* control character; remove it",
        ),
        ("id_str,votes_wanted\na ,1\n", "the id 'a ' has spaces around it; remove them"),
    ],
)
def test_read_asked_ids__refuses_what_is_no_batch(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "batch.csv").write_text(text)
    with pytest.raises(SubjectSetError, match=message):
        read_asked_ids([str(tmp_path / "batch.csv")])


def test_read_asked_ids__refuses_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SubjectSetError, match=r"nowhere\.csv"):
        read_asked_ids([str(tmp_path / "nowhere.csv")])


def test_read_asked_ids__refuses_ids_whose_last_digits_are_lost(tmp_path: Path) -> None:
    # SDSS ids that a spreadsheet cut after 15 digits, written out again as whole numbers.
    whole = 1_237_648_720_693_755_918 + 65_537 * np.arange(40)
    for ids, name in ((whole, "whole"), (whole // 10**4 * 10**4, "cut")):
        pd.DataFrame({"id_str": ids, "votes_wanted": 40}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    assert read_asked_ids([str(tmp_path / "whole.csv")]) == set(map(str, whole))
    with pytest.raises(SubjectSetError, match="cut.csv: in column 'id_str' all 40 ids .* as text"):
        read_asked_ids([str(tmp_path / "cut.csv")])


def test_read_asked_ids__takes_whole_numbers_and_refuses_floats(tmp_path: Path) -> None:
    table = pd.DataFrame({"id_str": [587722981741625388, 587722981741625389]})
    table["votes_wanted"] = 40
    table.to_parquet(tmp_path / "whole.parquet")
    table.astype(float).to_parquet(tmp_path / "float.parquet")
    assert read_asked_ids([str(tmp_path / "whole.parquet")]) == set(map(str, table["id_str"]))
    with pytest.raises(
        SubjectSetError,
        match="float.parquet: the ids in 'id_str' are stored as double.*; give them as text",
    ):
        read_asked_ids([str(tmp_path / "float.parquet")])
