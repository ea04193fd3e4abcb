"""Parquet tables: only the columns asked for are read, with the types that they store."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.table_files.batches import Batch, TableColumn, refuse_missing
from galaxyloop.table_files.places import TableFile, open_anywhere
from galaxyloop.table_files.refusals import NoTableError

_DAMAGED = re.compile(r"thrift|corrupt|decompress|end of stream|deserial", re.IGNORECASE)


def parquet_columns(file: TableFile) -> list[TableColumn]:
    """The columns of the file's schema."""
    with _telling_damage(file.uri), open_anywhere(file) as opened:
        schema = pq.ParquetFile(opened).schema_arrow
    return [TableColumn(field.name, field.type, _unit(field)) for field in schema]


def parquet_batches(file: TableFile, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """Batches of the file's rows."""
    start = 0
    with _telling_damage(file.uri), open_anywhere(file) as opened:
        parquet = pq.ParquetFile(opened)
        refuse_missing(columns, parquet.schema_arrow.names, file.uri)
        # Group by group, as arrow keeps what it has prefetched until an iteration ends.
        for group in range(parquet.num_row_groups):
            for table in parquet.iter_batches(batch_rows, [group], list(columns)):
                yield Batch(np.arange(start, start + table.num_rows), table)
                start += table.num_rows


def _unit(field: pa.Field) -> str:
    """The unit that a field states in its metadata."""
    return str((field.metadata or {}).get(b"unit", b"").decode(errors="replace"))


@contextmanager
def _telling_damage(uri: str) -> Iterator[None]:
    """Refuse a file that ends early or was altered."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        # Of some damage pyarrow says OSError, which a failing disk or network is too.
        if isinstance(error, pa.ArrowInvalid) or _DAMAGED.search(str(error)):
            told = " ".join(str(error).split())
            raise NoTableError(
                f"{uri} is a damaged parquet file ({told}); fetch it again"
            ) from error
        raise
