"""Galaxies that volunteers have been sent already and may not have voted on yet."""

from collections.abc import Sequence

from galaxyloop.errors import SubjectSetError
from galaxyloop.table_files import read_batches, read_header
from galaxyloop.zooniverse.subject_set import ID_COLUMN

ID_COLUMNS = ("id_str", ID_COLUMN)
_BATCH_ROWS = 32_768


def read_asked_ids(uris: Sequence[str]) -> set[str]:
    """Ids of earlier batches, from what a selection leaves or Zooniverse is given.

    Args:
        uris: paths or addresses of ``ask_next.csv``, ``ask_next.parquet``, a subject set's
            ``manifest.csv`` or any table with a column ``id_str`` or ``#id_str``; patterns too.

    Raises:
        SubjectSetError: there is no such table, or it has no such column, or no id.
        StorageError: the network or the storage failed; it may work later.
    """
    asked: set[str] = set()
    for uri in uris:
        names = [name for name in read_header(uri, SubjectSetError) if name in ID_COLUMNS]
        if len(names) != 1:
            raise SubjectSetError(
                f"an earlier batch has one column of {', '.join(ID_COLUMNS)}, but {uri} has "
                f"{names}; name an ask_next.csv or a subject set's manifest.csv"
            )
        ids: set[str] = set()
        for batch in read_batches(uri, names, _BATCH_ROWS, SubjectSetError):
            if batch.malformed:
                bad = batch.malformed[0]
                raise SubjectSetError(
                    f"row {bad.row} of {uri} has {bad.n_cells} cells under {bad.n_columns} "
                    f"columns: {bad.text[:80]!r}; mend the line"
                )
            ids.update(str(value) for value in batch.table.column(0).to_pylist() if value)
        if not ids:
            raise SubjectSetError(f"{uri} names no galaxy; leave it out")
        asked |= ids
    return asked
