"""Csv: no row vanishes in a quoted cell, and cells with line ends are read."""

import csv
import io
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import read_batches, read_header
from galaxyloop.table_files.csv_quotes import LineCounter, ends_quoted


def read_rows(path: Path, content: str) -> list[list[str]]:
    path.write_bytes(content.encode())
    batches = list(read_batches(str(path), read_header(str(path)), 2))
    return [list(row.values()) for batch in batches for row in batch.table.to_pylist()]


SWALLOWED = '1,1,"hm\n2,1,a\n3,1,b"\n4,1,\n'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (SWALLOWED, "goes from line 2 to line 4, .* unbalanced quote swallows rows"),
        (SWALLOWED.replace("\n", "\r\n"), "goes from line 2 to line 4"),
        (SWALLOWED.replace("\n", "\r"), "goes from line 2 to line 4"),
        ('1,"hm,x\n2,1,a\n3,1,b"\n', "goes from line 2 to line 4"),  # Of other cells than columns.
        ('1,1,a\n\n2,1,"z\n3,1,\n', "begins on line 4 is not closed"),
        ('1,1,a\n2,5" wide,"z', "begins on line 3 is not closed"),
        ('1,1,"z\n' + "2,1,\n" * 1_000_000, "begins on line 2 is not closed"),
    ],
)
def test_read_batches__refuses_csv_whose_quotes_swallow_rows(
    body: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(VoteTableError, match=message):
        read_rows(tmp_path / "t.csv", f"id,n,note\n{body}")


def test_read_batches__reads_csv_cells_with_line_ends_and_tells(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [["1", "2", "two\nlines, and\r\n\nmore"], ["3", 'a "word"', ""], ["4", "x", '5" wide']]
    text = io.StringIO()
    csv.writer(text).writerows([["id", "n", "note"], *rows])
    with caplog.at_level(logging.WARNING, "galaxyloop"):
        assert read_rows(tmp_path / "t.csv", text.getvalue()) == rows
    assert "3 lines, the first is line 2, end inside a quoted cell and were joined" in caplog.text


def test_read_batches__says_nothing_of_quotes_within_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = 'id,n,note\n1,5" wide,"a,b"\n\n2,"x""y",c"d\n3,"a"b"c,""'
    expected = [["1", '5" wide', "a,b"], ["2", 'x"y', 'c"d'], ["3", 'ab"c', ""]]
    assert read_rows(tmp_path / "t.csv", content) == expected
    assert not caplog.records


@settings(max_examples=100, deadline=None)
@given(line=st.text('a",', max_size=12))
def test_ends_quoted__agrees_with_the_standard_librarys_parser(line: str) -> None:
    # Within an open cell the next line is part of the same record, and else begins another.
    assert ends_quoted(line) == (len(list(csv.reader([line + "\n", "x\n"]))) == 1)


@settings(max_examples=100, deadline=None)
@given(text=st.text("a\r\n", max_size=20), size=st.integers(1, 5))
def test_line_counter__counts_lines_whatever_the_blocks(text: str, size: int) -> None:
    lines = LineCounter(io.BytesIO(text.encode()))
    while lines.read(size):
        pass
    expected = [line for line in text.replace("\r", "\n").split("\n") if line]
    assert lines.n_lines == len(expected)
    assert lines.last_line.decode() == (expected[-1] if expected else "")


def test_read_batches__reads_beside_names_that_repeat(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,,\n1,2,,\n")
    assert read_header(str(tmp_path / "t.csv")) == ["a", "b", ""]
    (batch,) = read_batches(str(tmp_path / "t.csv"), ["b", "a"], 5)
    assert batch.table.to_pydict() == {"b": ["2"], "a": ["1"]}
    with pytest.raises(VoteTableError, match=r"has the columns \[''\] twice"):
        list(read_batches(str(tmp_path / "t.csv"), ["a", ""], 5))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_read_batches__reads_a_header_alone_as_no_rows(end: str, tmp_path: Path) -> None:
    assert read_rows(tmp_path / "t.csv", f"a,b{end}") == []
    with pytest.raises(VoteTableError, match="lacks the columns c"):
        list(read_batches(str(tmp_path / "t.csv"), ["c"], 5))
