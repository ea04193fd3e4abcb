"""Tables of results: a line for each finished cell or pretraining, added as it is finished."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from galaxyloop.errors import StorageError
from galaxyloop.label_efficiency.cells import METRICS, Cell

KEY_COLUMNS = ("arm", "kind", "n_labels", "draw", "checkpoint_digest", "config_digest")
_METRIC_COLUMNS = tuple(
    f"{metric}{ending}" for metric in METRICS for ending in ("", "_test_low", "_test_high")
)
COLUMNS = (
    *KEY_COLUMNS[:4],
    *_METRIC_COLUMNS,
    "n_positive",
    "n_test",
    "cpu_seconds",
    "precision",
    "code",
    *KEY_COLUMNS[4:],
)
_TEXTS = ("arm", "kind", "precision", "checkpoint_digest", "config_digest")
_COUNTS = ("n_labels", "draw", "n_positive", "n_test", "code")
_DIGITS = 6
_SHA256 = "0" * 64
PRETRAINING_COLUMNS = (
    "arm",
    "cpu_minutes",
    "n_epochs",
    "n_train",
    "n_labelled",
    "feature_std",
    "effective_rank",
    "code",
    "checkpoint_digest",
    "pretraining_key",
)
"""Of the table of pretrainings; the last column is a digest, as in the table of cells."""


def append_row(path: Path, row: Mapping[str, Any], columns: Sequence[str] = COLUMNS) -> None:
    """Add a finished cell as one line; the file is made if it is not there.

    A line that a crash tore off is ended first, and is skipped by ``read_rows``.

    Args:
        path: the csv file.
        row: a value for each column.
        columns: of the table.

    Raises:
        StorageError: the file holds another table.
    """
    lacking = [column for column in columns if column not in row]
    if lacking:
        raise ValueError(f"a row of results needs {lacking}; make it with run_cell and its digests")
    path.parent.mkdir(parents=True, exist_ok=True)
    has_header = path.is_file() and path.stat().st_size > 0
    if has_header:
        _check_header(path, columns)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not has_header:
        writer.writerow(columns)
    writer.writerow([_cell_text(row[column]) for column in columns])
    line = text.getvalue()
    if has_header and not path.read_bytes().endswith(b"\n"):
        line = f"\n{line}"
    # One write to the end of the file: whole or torn, but never between other lines.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read_rows(path: Path, columns: Sequence[str] = COLUMNS) -> list[dict[str, str]]:
    """The lines of a table, which ends each with a digest; those that were torn off are left out.

    A file that is not there has no lines.

    Raises:
        StorageError: the file holds another table.
    """
    if not path.is_file() or not path.stat().st_size:
        return []
    _check_header(path, columns)
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if len(line) == len(columns)][1:]
    return [
        dict(zip(columns, line, strict=True)) for line in lines if len(line[-1]) == len(_SHA256)
    ]


def read_results(path: Path) -> pd.DataFrame:
    """The finished cells, the columns ``COLUMNS``.

    Raises:
        StorageError: the file holds another table.
    """
    return results_table(read_rows(path))


def results_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table of results; of two of one key the later counts."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    kinds = {column: "str" if column in _TEXTS else "float64" for column in COLUMNS}
    kinds |= dict.fromkeys(_COUNTS, "int64")
    table = table.astype(kinds)
    return table.drop_duplicates(list(KEY_COLUMNS), keep="last").reset_index(drop=True)


def find_row(
    results: pd.DataFrame, cell: Cell, checkpoint_digest: str, config_digest: str
) -> dict[str, Any] | None:
    """The row of a cell that was finished with the same encoder and settings, if there is one."""
    key = (cell.arm, cell.kind, cell.n_labels, cell.draw, checkpoint_digest, config_digest)
    is_same = pd.Series(data=True, index=results.index)
    for column, value in zip(KEY_COLUMNS, key, strict=True):
        is_same &= results[column] == value
    found = results[is_same].to_dict("records")
    return {str(name): value for name, value in found[-1].items()} if found else None


def _check_header(path: Path, columns: Sequence[str]) -> None:
    """Refuse a file with other columns."""
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
    if header != list(columns):
        raise StorageError(
            f"{path} has the columns {header[:5]} ..., needed are {list(columns[:5])} ...; "
            "give another path"
        )


def _cell_text(value: object) -> str:
    """A number that reads well, or a text."""
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
