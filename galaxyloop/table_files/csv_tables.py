"""Csv tables: text cells, lines of other lengths set aside with their number."""

import csv
import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from galaxyloop.table_files.batches import Batch, MalformedRow, TableColumn, refuse_missing
from galaxyloop.table_files.csv_quotes import (
    LineCounter,
    bounded_lines,
    look_at_quotes,
    refuse_swallowed_rows,
)
from galaxyloop.table_files.places import TableFile, open_stream
from galaxyloop.table_files.refusals import FORMATS, NoTableError

_BLOCK_BYTES = 4 * 2**20


def csv_columns(file: TableFile) -> list[TableColumn]:
    """The columns that the first line names; all hold text."""
    with (
        open_stream(file.uri, file.is_zipped) as opened,
        io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as text,
    ):
        try:
            names = next(csv.reader(bounded_lines(text, file.uri)), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise NoTableError(
                f"{file.uri} is not a csv table in UTF-8 ({error}); give {FORMATS}"
            ) from error
    if not names:
        raise NoTableError(f"{file.uri} has no header line; its first line must name the columns")
    return [TableColumn(name, pa.string()) for name in names]


def csv_batches(file: TableFile, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """Batches of text."""
    names = [column.name for column in csv_columns(file)]
    refuse_missing(columns, names, file.uri)
    with open_stream(file.uri, file.is_zipped) as opened:
        lines, n_rows = LineCounter(opened), 1
        try:
            for batch in _batches(lines, columns, batch_rows):
                n_rows += batch.table.num_rows + len(batch.malformed)
                yield batch
        except pa.ArrowInvalid as error:
            look_at_quotes(file, len(names), lines.n_bytes)
            if lines.n_lines > 1:
                raise NoTableError(
                    f"{file.uri} is damaged or not a csv table ({error}); fetch it again"
                ) from error
            return  # Of a header without a line end behind it pyarrow says that it is empty.
    refuse_swallowed_rows(file, lines, n_rows, len(names))


def _batches(lines: LineCounter, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """Batches of an open csv file."""
    malformed: list[MalformedRow] = []

    def set_aside(line: Any) -> str:  # noqa: ANN401 - pyarrow has no types
        counts = (line.number - 2, line.actual_columns, line.expected_columns)
        malformed.append(MalformedRow(*counts, line.text))
        return "skip"

    reader = pa_csv.open_csv(
        pa.PythonFile(lines, mode="r"),
        # One thread, as only then lines have numbers.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(invalid_row_handler=set_aside, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            include_columns=list(columns),
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=False,
        ),
    )
    start, n_told = 0, 0
    for block in reader:
        rows, start = _number_rows(start, block.num_rows, [bad.row for bad in malformed])
        for first in range(0, block.num_rows, batch_rows):
            told, n_told = tuple(malformed[n_told:]), len(malformed)
            part = slice(first, first + batch_rows)
            yield Batch(rows[part], block.slice(first, batch_rows), told)
    if len(malformed) > n_told:
        empty = pa.RecordBatch.from_pylist([], schema=reader.schema)
        yield Batch(np.arange(0), empty, tuple(malformed[n_told:]))


def _number_rows(start: int, n_rows: int, skipped: list[int]) -> tuple[np.ndarray, int]:
    """Positions of the next well-formed rows, and where the ones after them begin.

    ``skipped`` holds the positions of malformed lines, ascending.
    """
    stop = start + n_rows
    while stop - start - (bisect_left(skipped, stop) - bisect_left(skipped, start)) < n_rows:
        stop += 1
    between = skipped[bisect_left(skipped, start) : bisect_left(skipped, stop)]
    return np.setdiff1d(np.arange(start, stop), np.array(between, dtype=np.int64)), stop
