"""Reading which galaxies to ask for."""

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxyloop.cutout_services.config import CutoutServiceConfig
from galaxyloop.errors import ManifestError
from galaxyloop.surveys.positions import check_positions, find_positions
from galaxyloop.table_files import check_id_digits, read_batches, read_columns

_OPTIONAL = ("survey", "group_id")
_TEXT = ("id_str", *_OPTIONAL)
_BATCH_ROWS = 100_000


def read_positions(uri: str, config: CutoutServiceConfig) -> pd.DataFrame:
    """The galaxies of a table: id, position, and what the config asks for besides.

    Args:
        uri: any table that galaxyloop reads, with ids, positions (``ra_deg`` and ``dec_deg`` or
            another usual pair of names) and the config's size columns.
        config: ``id_column`` and ``size_columns``.

    Returns:
        ``id_str``, ``ra_deg`` and ``dec_deg``, size columns, ``survey`` and ``group_id`` where the
        table has them; cells may still be unusable, which ``fetch_cutouts`` judges.

    Raises:
        ManifestError: there is no such table, a column is missing, ids lost digits, positions as a
            whole cannot be meant, or a line has another number of cells than the header.
        StorageError: the network failed; it may work later.
    """
    sources = _find_columns(uri, config)
    parts: list[pa.RecordBatch] = []
    wanted = list(dict.fromkeys(sources.values()))
    for batch in read_batches(uri, wanted, _BATCH_ROWS, ManifestError):
        if batch.malformed:
            raise ManifestError(
                f"{uri}: row {batch.malformed[0].row} has {batch.malformed[0].n_cells} cells, the "
                f"header {batch.malformed[0].n_columns}; mend or remove it"
            )
        parts.append(batch.table)
    columns: dict[str, np.ndarray] = {}
    for name, source in sources.items():
        column = pa.chunked_array(
            [part.column(source) for part in parts], None if parts else pa.string()
        )
        columns[name] = _cells(uri, name, source, column)
    galaxies = pd.DataFrame(columns)
    angles = {name: pd.to_numeric(galaxies[name], "coerce") for name in ("ra_deg", "dec_deg")}
    check_positions(pd.DataFrame(angles), uri)
    return galaxies


def _find_columns(uri: str, config: CutoutServiceConfig) -> dict[str, str]:
    """For each column that is needed, or of use, its name in the table."""
    columns = read_columns(uri, ManifestError)
    names = [column.name for column in columns]
    sources = {"id_str": config.id_column or "id_str", "ra_deg": "ra_deg", "dec_deg": "dec_deg"}
    sources |= find_positions(columns, uri) | {name: name for name in config.size_columns}
    missing = [source for source in sources.values() if source not in names]
    if missing:
        shown = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
        raise ManifestError(
            f"{uri} lacks the columns {', '.join(missing)}; it has: {shown}; to fetch images it "
            "needs ids (id_column names them), ra_deg and dec_deg, and the size_columns"
        )
    return sources | {name: name for name in _OPTIONAL if name in names}


def _cells(uri: str, name: str, source: str, column: pa.ChunkedArray) -> np.ndarray:
    """A column as it is needed: text for names, anything for numbers."""
    if name not in _TEXT:
        return np.asarray(column.to_pandas())
    if pa.types.is_floating(column.type):
        raise ManifestError(
            f"{uri} holds {source} as {column.type}, which rounds long ids; store it as text or as "
            "whole numbers"
        )
    if name == "id_str":
        check_id_digits(column, uri, source, ManifestError)
    return np.asarray(column.cast(pa.string()).fill_null("").to_pandas(), dtype=object)
