"""Galaxies that volunteers have been sent already and may not have voted on yet."""

from collections.abc import Sequence

import pyarrow as pa

from galaxyloop.errors import SubjectSetError, VoteTableError
from galaxyloop.table_files import (
    CONTROL_CHARACTER,
    FLOAT_ID,
    MISSING_IDS,
    Batch,
    IdDigits,
    read_batches,
    read_header,
)
from galaxyloop.vote_tables.cells import read_id_texts
from galaxyloop.zooniverse.subject_set import ID_COLUMN

ID_COLUMNS = ("id_str", ID_COLUMN)
BATCH_COLUMNS = ("votes_wanted", "#retirement_limit")
"""A batch has one of them; a table of votes or a manifest of a survey has none."""
_BATCH_ROWS = 32_768


def read_asked_ids(uris: Sequence[str]) -> set[str]:
    """Ids of earlier batches, from what a selection leaves or Zooniverse is given.

    Args:
        uris: paths or addresses of ``ask_next.csv``, ``ask_next.parquet``, a subject set's
            ``manifest.csv``; patterns too.

    Raises:
        SubjectSetError: there is no such table, or it is no batch, or has no id, or one that is
            missing, has spaces around it, holds a control character or may have lost digits.
        StorageError: the network or the storage failed; it may work later.
    """
    asked: set[str] = set()
    for uri in uris:
        header = read_header(uri, SubjectSetError)
        names = [name for name in header if name in ID_COLUMNS]
        if len(names) != 1:
            raise SubjectSetError(
                f"an earlier batch has one column of {', '.join(ID_COLUMNS)}, but {uri} has "
                f"{names}; name an ask_next.csv or a subject set's manifest.csv"
            )
        if not set(header).intersection(BATCH_COLUMNS):
            raise SubjectSetError(
                f"{uri} is no earlier batch, which has a column {' or '.join(BATCH_COLUMNS)}; name "
                "the ask_next.csv or the subject set's manifest.csv that a selection wrote"
            )
        asked |= _read_ids(uri, names[0])
    return asked


def _read_ids(uri: str, name: str) -> set[str]:
    """The ids of one table."""
    ids: set[str] = set()
    digits = IdDigits()
    for batch in read_batches(uri, [name], _BATCH_ROWS, SubjectSetError):
        if batch.malformed:
            bad = batch.malformed[0]
            raise SubjectSetError(
                f"row {bad.row} of {uri} has {bad.n_cells} cells under {bad.n_columns} "
                f"columns: {bad.text[:80]!r}; mend the line"
            )
        texts = _as_text(batch, name)
        digits.add(texts)
        for row, id_str in zip(batch.file_rows.tolist(), texts.to_pylist(), strict=True):
            if wrong := _what_is_wrong(id_str):
                raise SubjectSetError(f"row {row} of {batch.file}: the id {id_str!r} {wrong}")
            ids.add(id_str)
    if complaint := digits.complaint():
        raise SubjectSetError(f"{uri}: in column '{name}' {complaint}")
    if not ids:
        raise SubjectSetError(f"{uri} names no galaxy; leave it out")
    return ids


def _as_text(batch: Batch, name: str) -> pa.StringArray:
    """Ids as text, exactly; missing ones are empty."""
    remedy = "give them as text or as whole numbers, which keep all their digits"
    try:
        return read_id_texts(batch.table.column(0), name, batch.file, remedy)
    except VoteTableError as error:
        raise SubjectSetError(str(error)) from error


def _what_is_wrong(id_str: str) -> str:
    """Why this is no id, with the remedy; empty if it may be one."""
    if id_str.strip().casefold() in MISSING_IDS:
        return "is missing; give every row of an earlier batch its galaxy's id"
    if FLOAT_ID.fullmatch(id_str.strip()):
        return (
            "was written as a floating-point number, as spreadsheets do, and may have lost digits; "
            "give ids as text: name the file as the selection wrote it"
        )
    if CONTROL_CHARACTER.search(id_str):
        return "holds a line end or another control character; remove it"
    if id_str != id_str.strip():
        return "has spaces around it; remove them"
    return ""
