"""The table of results: the lines of a cell, added together when it is finished."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from galaxyloop.active_learning.config import MEASURES
from galaxyloop.errors import StorageError

COLUMNS = ("arm", "seed", "round", "n_labels", *MEASURES, "cpu_seconds", "cell_digest")
_KEY = ["arm", "seed", "round", "cell_digest"]
_COUNTS = ("seed", "round", "n_labels")
_TEXTS = ("arm", "cell_digest")
_SHA256 = "0" * 64


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add a finished cell's lines in one write; the file is made if it is not there.

    Args:
        path: the csv file.
        rows: a value for each of ``COLUMNS``.

    Raises:
        StorageError: the file holds another table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    has_header = path.is_file() and path.stat().st_size > 0
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if has_header:
        _check_header(path)
        if not path.read_bytes().endswith(b"\n"):
            text.write("\n")  # a line that a crash tore off
    else:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell_text(row[column]) for column in COLUMNS])
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.getvalue().encode())
    finally:
        os.close(descriptor)


def read_results(path: Path) -> pd.DataFrame:
    """The table's lines, ``COLUMNS``; lines that were torn off are left out.

    Raises:
        StorageError: the file holds another table.
    """
    if not path.is_file() or not path.stat().st_size:
        return results_table([])
    _check_header(path)
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if len(line) == len(COLUMNS)][1:]
    whole = [line for line in lines if len(line[-1]) == len(_SHA256)]
    return results_table([dict(zip(COLUMNS, line, strict=True)) for line in whole])


def results_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table of results; of two of one key the later counts."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    kinds = {column: "str" if column in _TEXTS else "float64" for column in COLUMNS}
    table = table.astype(kinds | dict.fromkeys(_COUNTS, "int64"))
    return table.drop_duplicates(_KEY, keep="last").reset_index(drop=True)


def find_rows(results: pd.DataFrame, arm: str, digest: str, n_rows: int) -> list[dict[str, Any]]:
    """A cell's rows if all are there, else none."""
    found = results[(results["arm"] == arm) & (results["cell_digest"] == digest)]
    rows = [{str(name): value for name, value in row.items()} for row in found.to_dict("records")]
    return rows if len(rows) == n_rows else []


def _check_header(path: Path) -> None:
    """Refuse a file with other columns."""
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    if header != list(COLUMNS):
        raise StorageError(
            f"{path} has the columns {header[:5]} ..., needed are {list(COLUMNS[:5])} ...; give "
            "another path"
        )


def _cell_text(value: object) -> str:
    """A number that reads well, or a text."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)
