"""A source of votes as a table of one row a galaxy, whatever shape it was published in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from galaxyloop.table_files import Batch, read_batches, read_header
from galaxyloop.vote_tables.settings import VoteSource


@dataclass(frozen=True)
class SourceTable:
    """A table of votes that can be read in batches."""

    source: VoteSource
    header: list[str]
    """Names of its columns."""

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
        """The given columns, at most ``batch_rows`` rows at a time.

        Raises:
            VoteTableError: the file is damaged.
            StorageError: the network or the storage failed; it may work later.
        """
        return read_batches(self.source.uri, columns, batch_rows)


def open_source(source: VoteSource) -> SourceTable:
    """The table of a source.

    Raises:
        VoteTableError: there is no such file, or it is no table.
        StorageError: the network or the storage failed; it may work later.
    """
    return SourceTable(source, read_header(source.uri))
