"""The table of a study's cells: added to, torn, read again."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import StorageError
from galaxyloop.label_efficiency.cells import Cell
from galaxyloop.label_efficiency.table import (
    append_row,
    find_row,
    read_results,
    results_table,
)
from tests.library.label_studies import DIGESTS, result


def test_append_row__adds_lines_that_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "results" / "cells.csv"
    assert read_results(path).empty
    rows = [result(Cell("byol", "probe", 50, draw), 0.7 + 0.01 * draw) for draw in range(3)]
    for row in rows:
        append_row(path, row)
    pd.testing.assert_frame_equal(read_results(path), results_table(rows))
    assert len(path.read_text().splitlines()) == 4


def test_read_results__leaves_out_a_line_that_was_torn_off(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    rows = [result(Cell("byol", "probe", 50, draw), 0.7) for draw in range(3)]
    for row in rows[:2]:
        append_row(path, row)
    for n_bytes_lost in (5, 100):
        torn = tmp_path / f"torn{n_bytes_lost}.csv"
        torn.write_bytes(path.read_bytes()[:-n_bytes_lost])
        assert read_results(torn)["draw"].tolist() == [0]
        append_row(torn, rows[2])
        assert read_results(torn)["draw"].tolist() == [0, 2]


def test_append_row__refuses_another_table_and_rows_without_a_column(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    row = result(Cell("byol", "probe", 50, 0), 0.7)
    with pytest.raises(StorageError, match=r"has the columns \['a', 'b'\]"):
        append_row(path, row)
    with pytest.raises(ValueError, match=r"needs \['auc'\]"):
        append_row(tmp_path / "new.csv", {key: row[key] for key in row if key != "auc"})


def test_find_row__does_not_take_a_row_of_another_encoder_or_setting() -> None:
    cell = Cell("byol", "probe", 50, 0)
    table = results_table([result(cell, 0.7)])
    found = find_row(table, cell, DIGESTS["checkpoint_digest"], DIGESTS["config_digest"])
    assert found is not None
    assert found["auc"] == 0.7
    assert find_row(table, cell, "e" * 64, DIGESTS["config_digest"]) is None
    assert find_row(table, cell, DIGESTS["checkpoint_digest"], "e" * 64) is None
    assert find_row(table, replace(cell, draw=1), *DIGESTS.values()) is None
