"""Tables as files: csv, csv.gz and parquet, from anywhere fsspec reaches, batch by batch."""

import csv
import gzip
import io
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from galaxyloop.errors import StorageError, VoteTableError
from galaxyloop.storage import NETWORK_ERRORS, is_lasting

BinaryFile: TypeAlias = Any
"""A file open for reading bytes; fsspec's and gzip's have no class in common but this."""

_CSV_BLOCK_BYTES = 4 * 2**20
_DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
_MAGIC = {
    b"PAR1": "parquet",
    b"\x1f\x8b": "csv.gz",
    b"SIMPLE": "FITS",
    b"<": "web page or XML",
    b"PK": "zip",
    b"\x89HDF": "HDF5",
}


@dataclass(frozen=True)
class MalformedRow:
    """A csv line that has another number of cells than the header."""

    row: int
    """Position in the table, 0 is the first after the header."""
    n_cells: int
    """Cells that it has."""
    n_columns: int
    """Cells that the header has."""


@dataclass(frozen=True)
class Batch:
    """Some rows of a table."""

    rows: np.ndarray
    """Position of each row in the table."""
    table: pa.RecordBatch
    """The columns asked for; from csv all are text."""
    malformed: tuple[MalformedRow, ...] = ()
    """Lines met since the last batch that could not be cut into cells."""


def read_header(uri: str) -> list[str]:
    """Names of the columns of a table.

    Raises:
        VoteTableError: there is no file, it may not be read, it is not a table, or a name repeats.
        StorageError: the network or the storage failed; it may work later.
    """
    with _told_by_storage(uri), ExitStack() as stack:
        kind, file = _open(uri, stack)
        if kind == "parquet":
            names = list(_parquet(file, uri).schema_arrow.names)
        else:
            with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                names = _first_line(text, uri)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise VoteTableError(f"{uri} has the columns {repeated} twice; keep one of each")
    return names


def read_batches(uri: str, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """The given columns of a table, some rows at a time.

    Args:
        uri: path or address.
        columns: names among those of ``read_header``.
        batch_rows: at most this many rows at a time.

    Raises:
        VoteTableError: the file is damaged.
        StorageError: the network or the storage failed; it may work later.
    """
    with _told_by_storage(uri), ExitStack() as stack:
        kind, file = _open(uri, stack)
        reader = _parquet_batches if kind == "parquet" else _csv_batches
        try:
            yield from reader(file, uri, columns, batch_rows)
        except (pa.ArrowInvalid, *_DAMAGED_GZIP) as error:
            raise VoteTableError(
                f"{uri} is damaged or not a {kind} table ({error}); fetch it again"
            ) from error


def _open(uri: str, stack: ExitStack) -> tuple[str, BinaryFile]:
    """What kind of table it is, and the file, unzipped if need be."""
    _refuse_unknown_protocol(uri)
    with fsspec.open(uri, "rb") as file:
        start = file.read(64)
    kind = _kind_of(start, uri)
    opened: BinaryFile = stack.enter_context(fsspec.open(uri, "rb"))
    if kind == "csv.gz":
        opened = stack.enter_context(gzip.GzipFile(fileobj=opened))
    return kind, opened


@contextmanager
def _told_by_storage(uri: str) -> Iterator[None]:
    """Say in a sentence why a place gives no table, and whether that may pass."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        # Of the web fsspec says so whatever went wrong; the cause tells.
        if isinstance(error.__cause__, NETWORK_ERRORS) and not is_lasting(error.__cause__):
            raise _failure(uri, error.__cause__) from error
        raise VoteTableError(f"there is no file at {uri}; check the path or address") from error
    except IsADirectoryError as error:
        raise VoteTableError(f"{uri} is a directory; name one table in it") from error
    except NETWORK_ERRORS as error:
        if isinstance(error, StorageError):
            raise
        if is_lasting(error):
            raise VoteTableError(
                f"{uri} may not be read ({error}); check its address, its permissions or your "
                "credentials"
            ) from error
        raise _failure(uri, error) from error


def _failure(uri: str, error: BaseException) -> StorageError:
    """A failure that may pass."""
    return StorageError(
        f"{uri} could not be read ({error or type(error).__name__}); check the network and the "
        "endpoint, then run again"
    )


def _refuse_unknown_protocol(uri: str) -> None:
    """Stop at an address of a kind that no installed package opens."""
    protocol = fsspec.utils.get_protocol(uri)
    try:
        fsspec.get_filesystem_class(protocol)
    except (ValueError, ImportError) as error:
        raise VoteTableError(
            f"{uri} cannot be opened ({error}); give a path, an s3:// or an https:// address"
        ) from error


def _kind_of(start: bytes, uri: str) -> str:
    """The kind of file by its first bytes, as names may lie."""
    if not start.strip():
        raise VoteTableError(f"{uri} is empty; fetch it again")
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "csv")
    if kind not in ("parquet", "csv", "csv.gz") or b"\x00" in start[:64] and kind == "csv":
        found = f"a {kind} file" if kind != "csv" else "a binary file"
        raise VoteTableError(f"{uri} is {found}; give votes as csv, csv.gz or parquet")
    return kind


def _first_line(text: Iterable[str], uri: str) -> list[str]:
    """The header of a csv table."""
    try:
        names = next(csv.reader(text), [])
    except (UnicodeDecodeError, csv.Error, *_DAMAGED_GZIP) as error:
        raise VoteTableError(
            f"{uri} is not a csv table in UTF-8 ({error}); give votes as csv, csv.gz or parquet"
        ) from error
    if not names:
        raise VoteTableError(f"{uri} has no header line; its first line must name the columns")
    return names


def _parquet(file: BinaryFile, uri: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The opened parquet file."""
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise VoteTableError(
            f"{uri} is a damaged parquet file ({error}); fetch it again"
        ) from error


def _parquet_batches(
    file: BinaryFile, uri: str, columns: Sequence[str], batch_rows: int
) -> Iterator[Batch]:
    """Batches of a parquet file with the types that it stores."""
    start = 0
    for table in _parquet(file, uri).iter_batches(batch_rows, columns=list(columns)):
        yield Batch(np.arange(start, start + table.num_rows), table)
        start += table.num_rows


def _csv_batches(
    file: BinaryFile, uri: str, columns: Sequence[str], batch_rows: int
) -> Iterator[Batch]:
    """Batches of a csv file as text; malformed lines are set aside with their number."""
    malformed: list[MalformedRow] = []

    def set_aside(line: Any) -> str:  # noqa: ANN401 - pyarrow has no types
        malformed.append(MalformedRow(line.number - 2, line.actual_columns, line.expected_columns))
        return "skip"

    reader = pa_csv.open_csv(
        file,
        # One thread, as only then lines have numbers.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES),
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
