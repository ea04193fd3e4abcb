"""Reading which galaxies to ask for."""

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxyloop.cutout_services.config import CutoutServiceConfig
from galaxyloop.errors import ManifestError
from galaxyloop.table_files import read_batches, read_header

_SPELLINGS = {
    "ra_deg": ("ra_deg", "ra", "raj2000", "ra_j2000", "ra_icrs"),
    "dec_deg": ("dec_deg", "dec", "dej2000", "dec_j2000", "de_icrs", "dec_icrs"),
}
_OPTIONAL = ("survey", "group_id")
_TEXT = ("id_str", "survey", "group_id")
_BATCH_ROWS = 100_000


def read_positions(uri: str, config: CutoutServiceConfig) -> pd.DataFrame:
    """The galaxies of a table: id, position, and what the config asks for besides.

    Args:
        uri: any table that galaxyloop reads, with ids, positions (``ra_deg`` and ``dec_deg`` or a
            usual spelling, whatever the case) and the config's size columns.
        config: ``id_column`` and ``size_columns``.

    Returns:
        ``id_str``, ``ra_deg`` and ``dec_deg``, size columns, ``survey`` and ``group_id`` where the
        table has them; cells may still be unusable, which ``fetch_cutouts`` judges.

    Raises:
        ManifestError: a column is missing, ids are stored as rounded numbers, or a line has
            another number of cells than the header.
        VoteTableError: the file is missing, may not be read, or is no table.
        StorageError: the network failed; it may work later.
    """
    header = read_header(uri)
    sources = _find_columns(uri, header, config)
    parts: list[pa.RecordBatch] = []
    for batch in read_batches(uri, list(dict.fromkeys(sources.values())), _BATCH_ROWS):
        if batch.malformed:
            raise ManifestError(
                f"{uri}: row {batch.malformed[0].row} has {batch.malformed[0].n_cells} cells, the "
                f"header {batch.malformed[0].n_columns}; mend or remove it"
            )
        parts.append(batch.table)
    if not parts:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in sources})
    table = pa.Table.from_batches(parts)
    return pd.DataFrame(
        {name: _cells(uri, name, table.column(source)) for name, source in sources.items()}
    )


def _find_columns(uri: str, header: list[str], config: CutoutServiceConfig) -> dict[str, str]:
    """For each column that is needed, or of use, its name in the table."""
    lowered = {name.lower(): name for name in reversed(header)}
    sources = {"id_str": config.id_column or "id_str"}
    for name, spellings in _SPELLINGS.items():
        found = [lowered[spelling] for spelling in spellings if spelling in lowered]
        sources[name] = found[0] if found else name
    sources |= {name: name for name in config.size_columns}
    missing = [name for name in sources.values() if name not in header]
    if missing:
        shown = ", ".join(header[:20]) + (" ..." if len(header) > 20 else "")
        raise ManifestError(
            f"{uri} lacks the columns {', '.join(missing)}; it has: {shown}; to fetch images it "
            "needs ids (id_column names them), ra_deg and dec_deg, and the size_columns"
        )
    return sources | {name: name for name in _OPTIONAL if name in header}


def _cells(uri: str, name: str, column: pa.ChunkedArray) -> np.ndarray:
    """A column as it is needed: text for names, anything for numbers."""
    if name not in _TEXT:
        return np.asarray(column.to_pandas())
    if pa.types.is_floating(column.type):
        raise ManifestError(
            f"{uri} holds {name} as {column.type}, which rounds long ids; store it as text or as "
            "whole numbers"
        )
    return np.asarray(column.cast(pa.string()).fill_null("").to_pandas(), dtype=object)
