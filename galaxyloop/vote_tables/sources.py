"""A source of votes as a table of one row a galaxy, whatever shape it was published in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from galaxyloop.table_files import Batch, read_batches, read_header
from galaxyloop.vote_tables.panoptes import GalaxyVotes, RejectedGalaxy, gather_reductions
from galaxyloop.vote_tables.panoptes_classifications import gather_classifications
from galaxyloop.vote_tables.panoptes_plan import refuse_panoptes_rows
from galaxyloop.vote_tables.settings import VoteSource


@dataclass(frozen=True)
class SourceTable:
    """A table of votes that can be read in batches."""

    source: VoteSource
    header: list[str]
    """Names of its columns; of gathered votes the id comes first."""
    gathered: GalaxyVotes | None = None
    """Votes that had to be gathered from several rows a galaxy; None streams the file."""

    @property
    def rejected(self) -> tuple[RejectedGalaxy, ...]:
        """Galaxies that could not be made rows; they are in no batch, and count as read."""
        return self.gathered.rejected if self.gathered else ()

    def batches(self, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
        """The given columns, at most ``batch_rows`` rows at a time.

        Raises:
            VoteTableError: the file is damaged.
            StorageError: the network or the storage failed; it may work later.
        """
        if self.gathered is None:
            yield from read_batches(self.source.uri, columns, batch_rows)
            return
        rows, id_column = self.gathered.rows, self.gathered.id_column
        for first in range(0, len(rows), batch_rows):
            part = slice(first, first + batch_rows)
            arrays = [
                pa.array(self.gathered.id_strs[part], pa.string())
                if name == id_column
                else pa.array(self.gathered.votes[name][part])
                for name in columns
            ]
            yield Batch(rows[part], pa.RecordBatch.from_arrays(arrays, names=list(columns)))


def open_source(source: VoteSource) -> SourceTable:
    """The table of a source; reductions and classifications are read whole.

    Raises:
        VoteTableError: there is no such file, it is no table, or its shape is not the one that
            the source says.
        StorageError: the network or the storage failed; it may work later.
    """
    header = read_header(source.uri)
    if not source.is_gathered:
        refuse_panoptes_rows(header, source)
        return SourceTable(source, header)
    gather = gather_reductions if source.reductions else gather_classifications
    gathered = gather(source, header)
    names = [gathered.id_column, *gathered.votes, *gathered.set_aside]
    return SourceTable(source, names, gathered)
