"""Tables that hold images: one column of a Parquet file, read forward."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from galaxyloop.errors import StorageError
from galaxyloop.image_files.parts import NoImageError
from galaxyloop.image_files.ranges import ByteRange, RangedFile, plan_pieces
from galaxyloop.storage import ABSENT_ERRORS, FileReader, local_path, local_status

_BUFFER_BYTES = 1 << 20
_BATCH_BYTES = 4 << 20
_MAX_BATCH_ROWS = 256
_DAMAGED = "a damaged table"

Cell = bytes | OSError
"""The bytes of an image, or why there are none."""


class PackedTable:
    """The images in one column of a Parquet file: ``binary``, or ``struct`` with ``bytes``.

    Only the file's footer is read at first.

    Args:
        reader: reads the file; an image is cut after its ``max_bytes + 1``.
        uri: the file.
        column: the column.

    Raises:
        NoImageError: it is no Parquet file, or has no such column of images.
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        StorageError: the network failed, or the server sends whole files only.
    """

    def __init__(self, reader: FileReader, uri: str, column: str) -> None:
        """Read the footer."""
        self.reader = reader
        self.uri = uri
        self.column = column
        self._path = local_path(uri)
        self._size = reader.size(uri) if self._path is None else local_status(self._path).st_size
        self._metadata: Any = None
        with _naming(uri), self._opened([]) as file:
            self._metadata = file.metadata
            self._leaf = _leaf(uri, file.schema_arrow, column)
            paths = [file.schema.column(i).path for i in range(file.metadata.num_columns)]
            self._leaf_index = paths.index(self._leaf)
        n_groups = self._metadata.num_row_groups
        counts = [self._metadata.row_group(i).num_rows for i in range(n_groups)]
        self._starts = list(accumulate(counts, initial=0))
        self.n_rows = self._starts[-1]

    @cached_property
    def mark(self) -> str:
        """Changes when the file does; asked for once."""
        return self.reader.fingerprint(self.uri)

    def mark_of(self, row: int) -> str:
        """Changes when the file does, and is another for each row.

        Raises:
            NoImageError: there is no such row.
        """
        if row >= self.n_rows:
            raise self._no_such_row(row)
        return f"{self.mark} {self.column}/{row}"

    def stream(self, rows: Sequence[int]) -> Iterator[Cell]:
        """The images of the given rows, which must ascend; each row group is fetched once.

        A page is the least that can be unpacked: memory holds two of them beside the column's
        dictionary, if it has one, a batch of 4 MB or one image, and what is fetched ahead (16 MB).
        Of a row group, pages before the first row asked for are read too.
        """
        groups = sorted({self._group(row) for row in rows})
        pieces = plan_pieces([self._range(i) for i in groups if i < len(self._starts) - 1])
        n_given = 0
        try:
            with _naming(self.uri), self._opened(pieces) as file:
                for group, of_group in groupby(rows, self._group):
                    for cell in self._cells(file, group, list(of_group)):
                        n_given += 1
                        yield cell
        except ABSENT_ERRORS as error:
            yield from (error for _ in rows[n_given:])

    def _cells(self, file: Any, group: int, rows: list[int]) -> Iterator[Cell]:  # noqa: ANN401
        """Images of one row group; where it is damaged, so are all that follow."""
        if group == len(self._starts) - 1:
            yield from map(self._no_such_row, rows)
            return
        batches = file.iter_batches(
            self._batch_rows(group), row_groups=[group], columns=[self._leaf], use_threads=False
        )
        first, values = self._starts[group], pa.array([], pa.binary())
        for i, row in enumerate(rows):
            try:
                with _naming(self.uri):
                    while row >= first + len(values):
                        first += len(values)
                        values = _values(next(batches, None))
            except NoImageError as error:
                yield from (error for _ in rows[i:])
                return
            yield self._cell(values[row - first], row)

    def _cell(self, value: pa.Scalar, row: int) -> Cell:
        """One image's bytes."""
        if not value.is_valid:
            return NoImageError("a null image cell", f"{self.uri}#{self.column}/{row}")
        buffer = value.as_buffer()
        content: bytes = buffer.slice(0, min(buffer.size, self.reader.max_bytes + 1)).to_pybytes()
        return content

    def _group(self, row: int) -> int:
        """The row group of a row; beyond the file it is the number of groups."""
        if row >= self.n_rows:
            return len(self._starts) - 1
        return bisect_right(self._starts, row) - 1

    def _range(self, group: int) -> ByteRange:
        """Where the column lies in the file."""
        chunk = self._metadata.row_group(group).column(self._leaf_index)
        start = chunk.data_page_offset
        if chunk.dictionary_page_offset:
            start = min(start, chunk.dictionary_page_offset)
        return ByteRange(start, min(start + chunk.total_compressed_size, self._size))

    def _batch_rows(self, group: int) -> int:
        """Rows that are a few megabytes together."""
        rows = self._metadata.row_group(group)
        n_bytes = int(rows.column(self._leaf_index).total_uncompressed_size)
        return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES * int(rows.num_rows) // max(n_bytes, 1)))

    def _no_such_row(self, row: int) -> NoImageError:
        """A row beyond the file."""
        return NoImageError("no such row in the table", f"row {row} of {self.n_rows} in {self.uri}")

    @contextmanager
    def _opened(self, pieces: list[ByteRange]) -> Iterator[Any]:
        """The file; without a buffer whole column chunks would be held."""
        options = {"metadata": self._metadata, "buffer_size": _BUFFER_BYTES, "pre_buffer": False}
        if self._path is not None:
            with pa.parquet.ParquetFile(self._path, **options) as file:
                yield file
            return
        source = RangedFile(
            lambda start, stop: self.reader.read_range(self.uri, start, stop), self._size, pieces
        )
        try:
            yield pa.parquet.ParquetFile(pa.PythonFile(source, mode="r"), **options)
        finally:
            source.close()


def _leaf(uri: str, schema: pa.Schema, column: str) -> str:
    """Path of the column, or of the struct's field, that holds the bytes."""
    if column not in schema.names:
        shown = ", ".join(schema.names[:20]) + (" ..." if len(schema.names) > 20 else "")
        raise NoImageError("no such column in the table", f"{column} in {uri}, which has: {shown}")
    kind, path = schema.types[schema.names.index(column)], column
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind, path = kind.field("bytes").type, f"{column}.bytes"
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise NoImageError(
            "a column that holds no images",
            f"{column} in {uri} is {kind}; give binary, or a struct with the field bytes",
        )
    return path


def _values(batch: pa.RecordBatch | None) -> pa.Array:
    """The cells of a batch, null where the struct around them is."""
    if batch is None:
        raise NoImageError(_DAMAGED, "a row group is shorter than the footer says")
    column = batch.column(0)
    return column.flatten()[0] if pa.types.is_struct(column.type) else column


@contextmanager
def _naming(uri: str) -> Iterator[None]:
    """Tell a file that Arrow cannot read from one that cannot be had."""
    try:
        yield
    except (*ABSENT_ERRORS, StorageError):
        raise
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise NoImageError(_DAMAGED, f"{uri}: {error}") from error
