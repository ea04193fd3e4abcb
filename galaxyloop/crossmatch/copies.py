"""What a crossmatch writes: the matched rows under the survey's ids, and the rejected ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.crossmatch.matches import BATCH_ROWS, NOWHERE, Matches
from galaxyloop.errors import VoteTableError
from galaxyloop.surveys.tables import holds_images
from galaxyloop.table_files import TableColumn, read_batches

_ID, _PUBLISHED_ID, _SEPARATION = "id_str", "id_str_published", "match_separation_arcsec"
_UNREADABLE = pa.list_(pa.null())
"""What columns of FITS and VOTable are said to hold whose cells are no single number or text."""
_REJECTS = pa.schema(
    [("row", pa.int64())]
    + [(name, pa.string()) for name in ("id_str", "column", "value", "reason")]
)


def check_names(header: Sequence[TableColumn], uri: str) -> None:
    """Stop at a table that has the names of new columns.

    Raises:
        VoteTableError: it does.
    """
    taken = {_PUBLISHED_ID, _SEPARATION}.intersection(column.name for column in header)
    if taken:
        raise VoteTableError(
            f"{uri} has the columns {sorted(taken)} already, as if it had been matched before; "
            "match the published table, or rename them"
        )


def can_copy(column: TableColumn) -> bool:
    """Whether a column can be read, and holds no images."""
    return column.kind != _UNREADABLE and not holds_images(column.kind)


def write_copy(
    uri: str, columns: Sequence[str], matches: Matches, id_strs: np.ndarray, path: Path
) -> None:
    """The kept rows with their new columns.

    Raises:
        VoteTableError: the files of a pattern store different types.
    """
    places = np.flatnonzero(matches.is_kept)
    rows = matches.rows[places]
    writer: pq.ParquetWriter | None = None
    for batch in read_batches(uri, columns, BATCH_ROWS):
        found = np.searchsorted(rows, batch.rows)
        is_kept = np.isin(batch.rows, rows)
        mine = places[found[is_kept]]
        part = batch.table.filter(pa.array(is_kept))
        names = [_PUBLISHED_ID if name == _ID else name for name in part.schema.names]
        new = [
            pa.array(id_strs[matches.galaxy[mine]], pa.string()),
            pa.array(matches.separation_arcsec[mine], pa.float64()),
        ]
        table = pa.table([*new, *part.columns], names=[_ID, _SEPARATION, *names])
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(_with_types(table, writer.schema, batch.file))
    if writer is not None:
        writer.close()


def write_rejects(matches: Matches, id_strs: np.ndarray, path: Path) -> None:
    """Rejected rows with their reason, in the order of the table."""
    lines = [
        (row, "", "", value, "another number of cells than the header; mend the line")
        for row, value in matches.malformed
    ]
    nowhere = "no position in decimal degrees (ra 0 to 360, dec -90 to 90); mend the row"
    for i in np.flatnonzero(matches.is_rejected).tolist():
        row, galaxy = int(matches.rows[i]), int(matches.galaxy[i])
        if galaxy == NOWHERE:
            lines.append((row, "", "position", matches.unsound[i], nowhere))
        else:
            separation = f"{matches.separation_arcsec[i]:.3f}"
            reason = "another row is nearer to the galaxy, or as near and earlier"
            lines.append((row, id_strs[galaxy], _SEPARATION, separation, reason))
    lines.sort(key=lambda line: line[0])
    columns = [list(column) for column in zip(*lines, strict=True)] or [[] for _ in _REJECTS]
    pq.write_table(pa.table(columns, schema=_REJECTS), path, compression="zstd")


def _with_types(table: pa.Table, schema: pa.Schema, file: str) -> pa.Table:
    """The rows with the types of the first file, where that costs nothing."""
    for one, first in zip(table.schema, schema, strict=True):
        if one.type != first.type and not pa.types.is_null(one.type):
            raise VoteTableError(
                f"{file} stores '{one.name}' as {one.type}, the first file of the table as "
                f"{first.type}; give all files of one table the same types"
            )
    return table.cast(schema)
