"""Tables of any format from anywhere: their columns, and their rows batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from galaxyloop.errors import GalaxyloopError, VoteTableError
from galaxyloop.table_files.batches import Batch, TableColumn
from galaxyloop.table_files.csv_tables import csv_batches, csv_columns
from galaxyloop.table_files.fits_tables import fits_batches, fits_columns
from galaxyloop.table_files.parquet_tables import parquet_batches, parquet_columns
from galaxyloop.table_files.places import MAX_BYTES, find_file, list_files
from galaxyloop.table_files.refusals import telling
from galaxyloop.table_files.votables import votable_batches, votable_columns

_COLUMNS = {
    "csv": csv_columns,
    "parquet": parquet_columns,
    "FITS": fits_columns,
    "VOTable": votable_columns,
}
_BATCHES = {
    "csv": csv_batches,
    "parquet": parquet_batches,
    "FITS": fits_batches,
    "VOTable": votable_batches,
}


def read_header(uri: str, refuse: type[GalaxyloopError] = VoteTableError) -> list[str]:
    """Names of the columns of a table; see ``read_columns``."""
    return [column.name for column in read_columns(uri, refuse)]


def read_columns(
    uri: str, refuse: type[GalaxyloopError] = VoteTableError, max_bytes: int = MAX_BYTES
) -> list[TableColumn]:
    """The columns of a table, a repeated name once; of a pattern, those that any of its files has.

    Args:
        uri: path or address of csv, csv.gz, parquet, FITS or VOTable, gzipped or not; a pattern
            such as ``data/train-*.parquet``; ``name.fits[2]`` or ``name.fits[GALAXIES]`` for one
            of several tables in a file, else the first with rows is read.
        refuse: the error class that says why there is no table.
        max_bytes: bound on what is fetched or unzipped to a temporary file.

    Raises:
        GalaxyloopError: of class ``refuse``: there is no file, it may not be read, or it is
            not a table.
        StorageError: the network or the storage failed; it may work later.
    """
    found: dict[str, TableColumn] = {}
    for file_uri in _list(uri, refuse):
        with telling(file_uri, refuse):
            file = find_file(file_uri, max_bytes)
            for column in _COLUMNS[file.kind](file):
                found.setdefault(column.name, column)
    return list(found.values())


def read_batches(
    uri: str,
    columns: Sequence[str],
    batch_rows: int,
    refuse: type[GalaxyloopError] = VoteTableError,
    max_bytes: int = MAX_BYTES,
) -> Iterator[Batch]:
    """The given columns of a table, some rows at a time; the files of a pattern in turn.

    Args:
        uri: path or address; see ``read_columns``.
        columns: names among those of ``read_header``.
        batch_rows: at most this many rows at a time.
        refuse: the error class that says what is wrong with a file.
        max_bytes: bound on what is fetched or unzipped to a temporary file.

    Raises:
        GalaxyloopError: of class ``refuse``: a file is damaged, or lacks a column or
            has it twice.
        StorageError: the network or the storage failed; it may work later.
    """
    first = 0
    for file_uri in _list(uri, refuse):
        stop = first
        with telling(file_uri, refuse):
            file = find_file(file_uri, max_bytes)
            for batch in _BATCHES[file.kind](file, columns, batch_rows):
                placed = _place(batch, file.uri, first)
                positions = [*placed.rows[-1:].tolist(), *(bad.row for bad in placed.malformed)]
                stop = max([stop, *(position + 1 for position in positions)])
                yield placed
        first = stop


def _place(batch: Batch, file: str, first: int) -> Batch:
    """A batch of a file as part of the whole table."""
    malformed = tuple(replace(bad, row=bad.row + first) for bad in batch.malformed)
    return Batch(batch.rows + first, batch.table, malformed, file, first)


def _list(uri: str, refuse: type[GalaxyloopError]) -> list[str]:
    """The files of a location."""
    with telling(uri, refuse):
        return list_files(uri)
