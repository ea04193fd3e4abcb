"""Reading a table file into text columns, each row with its number."""

import csv
import gzip
import io
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from galaxyloop.errors import ManifestError, StorageError
from galaxyloop.storage import NETWORK_ERRORS, is_lasting

_OpenFile = Any
"""What fsspec opens: its handles have no base class in common."""
N_COLUMNS_REASON = "another number of columns than the header"


def read_text_columns(
    uri: str, wanted: list[str], needed: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The wanted columns of a csv, csv.gz or parquet file as text, and the ragged rows.

    Args:
        uri: local path, S3 or HTTPS location.
        wanted: columns to keep where the file has them.
        needed: columns without which the file is refused.

    Returns:
        The columns, with the row's 0-based number as index; and ``row, value`` of every csv row
        that has another number of columns than the header.

    Raises:
        ManifestError: the file is missing, may not be read, is not a table, or lacks a needed
            column.
        StorageError: the network failed; it may work later.
    """
    try:
        with _opened(uri) as file:
            if uri.endswith((".parquet", ".pq")):
                return _read_parquet(uri, file, wanted, needed), _no_ragged_rows()
            return _read_csv(uri, file, wanted, needed)
    except (pa.ArrowInvalid, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise ManifestError(
            f"{uri} cannot be read as a table: {error}; give csv, csv.gz or parquet"
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ManifestError(f"there is no manifest at {uri}; check the location") from error
    except IsADirectoryError as error:
        raise ManifestError(f"{uri} is a directory; name the table in it") from error
    except NETWORK_ERRORS as error:
        if is_lasting(error):
            raise ManifestError(
                f"{uri} may not be read: {error}; check the location and your credentials"
            ) from error
        raise StorageError(
            f"{uri} could not be read: {error}; check the network and the endpoint, then run again"
        ) from error


def _opened(uri: str) -> _OpenFile:
    """The file, unzipped if its name says so."""
    try:
        return fsspec.open(uri, "rb", compression="infer")
    except (ValueError, ImportError) as error:
        raise ManifestError(
            f"nothing here reads {uri}: {error}; give a path, s3:// or https://"
        ) from error


def _read_csv(
    uri: str, file: _OpenFile, wanted: list[str], needed: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every cell as it stands in the file; row numbers count the ragged rows too."""
    header = file.readline()
    names = next(csv.reader(io.StringIO(header.decode("utf-8-sig"))), [])
    _check_columns(uri, names, needed)
    ragged: list[tuple[int, str]] = []

    def remember(row: pa.csv.InvalidRow) -> str:
        ragged.append((row.number - 1, row.text))
        return "skip"

    kept = [name for name in wanted if name in names]
    try:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=pa.csv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=remember
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(kept, pa.string()),
                include_columns=kept,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise
        table = pa.table({name: pa.array([], pa.string()) for name in kept})
    frame = table.to_pandas()
    n_read = len(frame) + len(ragged)
    frame.index = pd.Index(np.setdiff1d(np.arange(n_read), [row for row, _ in ragged]))
    return frame, pd.DataFrame(ragged, columns=["row", "value"])


def _read_parquet(uri: str, file: _OpenFile, wanted: list[str], needed: list[str]) -> pd.DataFrame:
    """Text columns; integers become text exactly, an id in floating point is refused."""
    parquet = pa.parquet.ParquetFile(file)
    names = parquet.schema_arrow.names
    _check_columns(uri, names, needed)
    table = parquet.read(columns=[name for name in wanted if name in names])
    for name in table.column_names:
        kind = table.schema.field(name).type
        if pa.types.is_floating(kind) and name in ("id_str", "group_id"):
            raise ManifestError(
                f"{uri} holds {name} as {kind}, which rounds long ids; store it as text or as "
                "whole numbers"
            )
    return pd.DataFrame(
        {
            name: table.column(name).cast(pa.string()).fill_null("").to_pandas()
            for name in table.column_names
        }
    )


def _check_columns(uri: str, names: list[str], needed: list[str]) -> None:
    """Refuse a table without the needed columns, and show what it has."""
    missing = [name for name in needed if name not in names]
    if missing:
        shown = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
        raise ManifestError(
            f"{uri} lacks the columns {', '.join(missing)}; it has: {shown}; a manifest needs "
            f"{', '.join(needed)}"
        )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ManifestError(f"{uri} has the columns {', '.join(repeated)} twice; keep one of each")


def _no_ragged_rows() -> pd.DataFrame:
    """Parquet has none."""
    return pd.DataFrame({"row": pd.Series(dtype=np.int64), "value": pd.Series(dtype=str)})
