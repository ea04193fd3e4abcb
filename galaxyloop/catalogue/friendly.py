"""The friendly catalogue: fewer columns, and no fraction that few volunteers would vote on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxyloop.catalogue.columns import (
    MIN_ASKED,
    CatalogueColumn,
    describe_friendly_columns,
)
from galaxyloop.catalogue.provenance import (
    is_friendly_catalogue,
    make_footer,
    read_catalogue_provenance,
    read_catalogue_tree,
)
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import read_batches, table_schema, write_row_groups

_ADDED_LATER = {"feature_distance", "flags"}


def write_friendly_catalogue(catalogue: Path, path: Path) -> int:
    """Write the friendly version of a catalogue; returns its rows, which are all of them.

    It has ``id_str``, position, each answer's ``fraction``, ``feature_distance`` and ``flags``. A
    fraction is null where ``{question}_asked`` of its question is below 0.5, that is where the
    model expects fewer than half of the volunteers to be asked. So the fractions of a question are
    there all or none, sum to 1 where they are, and a cut such as ``bar-gz2_yes_fraction > 0.5``
    never picks a galaxy on which next to nobody would have been asked about a bar.

    Args:
        catalogue: what ``write_catalogue`` wrote.
        path: the parquet file; appears by renaming when it is complete.

    Raises:
        CatalogueError: the file is no catalogue, or a friendly one already.
    """
    if is_friendly_catalogue(catalogue):
        raise CatalogueError(f"{catalogue} is a friendly catalogue already; give the full one")
    tree = read_catalogue_tree(catalogue)
    columns = _columns_of(catalogue, describe_friendly_columns(tree))
    footer = make_footer(read_catalogue_provenance(catalogue), tree, is_friendly=True)
    schema = table_schema([column.name for column in columns]).with_metadata(footer)
    return write_row_groups(_friendly_rows(catalogue, columns, schema), schema, path)


def _columns_of(catalogue: Path, columns: Sequence[CatalogueColumn]) -> list[CatalogueColumn]:
    """The columns that a catalogue has; those from before flags lack what came with them."""
    names = set(pq.read_schema(catalogue).names)
    lost = [c.name for c in columns if not {c.name, c.asked or c.name} <= names]
    if set(lost) - _ADDED_LATER:
        raise CatalogueError(
            f"{catalogue} lacks {lost[:5]}, or the columns that tell who is asked; give the "
            "catalogue.parquet of a run"
        )
    return [column for column in columns if column.name not in lost]


def _friendly_rows(
    catalogue: Path, columns: Sequence[CatalogueColumn], schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows with their fractions hidden, batch by batch."""
    names = [column.name for column in columns] + [c.asked for c in columns if c.asked]
    for batch in read_batches(catalogue, list(dict.fromkeys(names))):
        values = [
            _hidden(batch, column) if column.asked else batch.column(column.name)
            for column in columns
        ]
        yield pa.table(values, schema=schema)


def _hidden(batch: pa.RecordBatch, column: CatalogueColumn) -> pa.Array:
    """A column's values, null where few would be asked."""
    is_asked = pc.greater_equal(batch.column(column.asked), pa.scalar(MIN_ASKED, pa.float32()))
    return pc.if_else(is_asked, batch.column(column.name), pa.scalar(None, pa.float32()))
