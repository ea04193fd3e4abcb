"""A catalogue as a HATS collection: parquet files by HEALPix cell, which lsdb opens."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyloop.catalogue.exports.hats_metadata import (
    HatsCatalogue,
    check_hats,
    compute_cells,
    describe_catalogue,
    describe_collection,
    margin_order,
    object_properties,
    partition_file,
    write_sky_maps,
)
from galaxyloop.catalogue.exports.hats_partitions import (
    CELL,
    FINEST_ORDER,
    HISTOGRAM_ORDER,
    Cells,
    Partition,
    choose_partitions,
    find_margins,
    find_partitions,
)
from galaxyloop.catalogue.exports.table import ExportTable
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import write_row_groups
from galaxyloop.scratch import ScratchTables
from galaxyloop.storage import whole_directory

MAX_ROWS = 500_000
"""Most galaxies in a partition, which is sorted in memory."""
MARGIN_ARCSEC = 10.0
"""Around each partition its neighbours' galaxies are kept too; crossmatch up to this radius."""


@dataclass(frozen=True)
class HatsSummary:
    """What a HATS export holds: ``n_galaxies + n_without_position`` is the catalogue."""

    n_galaxies: int
    """Galaxies with a position."""
    n_without_position: int
    """Galaxies left out, as they have none."""
    n_partitions: int
    """Files they are in."""


def check_positions(n_placed: int, n_galaxies: int) -> None:
    """Refuse a catalogue that has no place in HATS.

    Raises:
        CatalogueError: no galaxy has a position.
    """
    if not n_placed:
        raise CatalogueError(
            f"none of {n_galaxies} galaxies has a position, and HATS sorts by position; give "
            "ra_deg and dec_deg in the manifest, or export fits, votable or csv"
        )


def write_hats(table: ExportTable, directory: Path, max_rows: int = MAX_ROWS) -> HatsSummary:
    """Write a catalogue as a HATS collection (IVOA Note HATS) with a margin of 10 arcsec.

    Rows go through files on disk, so memory holds one partition, not the catalogue. Galaxies
    without a position have no place in it and are counted.

    Args:
        table: the catalogue.
        directory: the collection, whose name the catalogue in it gets; replaced if it is there.
        max_rows: most galaxies in a partition.

    Raises:
        CatalogueError: no galaxy has a position, or two names would become one.
        ConfigError: the package hats is not installed.
    """
    check_hats()
    schema = _schema(table)
    counts = _count_cells(table)
    check_positions(int(counts.sum()), table.n_rows)
    partitions = choose_partitions(counts, max_rows)
    main, margin = _catalogues(table, schema, directory.name)
    with whole_directory(directory, replace=True) as draft:
        scratch = draft / "scratch"
        scratch.mkdir()
        inside, around = (ScratchTables(scratch / name) for name in ("inside", "around"))
        _sort_out(table, schema, partitions, (inside, around))
        for catalogue, rows in ((main, inside), (margin, around)):
            n_rows = _write_partitions(rows, partitions, schema, draft / catalogue.name)
            describe_catalogue(catalogue, draft / catalogue.name, n_rows)
        write_sky_maps(draft / main.name, counts)
        shutil.rmtree(scratch)
        describe_collection(draft, main.name, [margin.name])
    n_galaxies = int(counts.sum())
    return HatsSummary(n_galaxies, table.n_rows - n_galaxies, len(partitions))


def _schema(table: ExportTable) -> pa.Schema:
    """The columns with their units and UCDs, and the cell that orders the rows."""
    fields = [
        pa.field(
            column.name,
            column.type,
            metadata={"ucd": column.ucd, "unit": column.unit, "description": column.description},
        )
        for column in table.renamed
    ]
    told = {f"galaxyloop.{name}": text for name, text in table.provenance.as_texts().items()}
    cell = pa.field(CELL, pa.int64(), metadata={"ucd": "pos.healpix"})
    return pa.schema([*fields, cell], metadata=told)


def _catalogues(
    table: ExportTable, schema: pa.Schema, name: str
) -> tuple[HatsCatalogue, HatsCatalogue]:
    """The catalogue and its margin."""
    intervals = ("_fraction_p05", "_fraction_p95", CELL)
    shown = tuple(name for name in schema.names if not name.endswith(intervals))
    margin = {
        "dataproduct_type": "margin",
        "hats_primary_table_url": name,
        "hats_margin_threshold": MARGIN_ARCSEC,
    }
    return (
        HatsCatalogue(name, object_properties(), schema, shown, table.title),
        HatsCatalogue(f"{name}_{MARGIN_ARCSEC:g}arcs", margin, schema, shown, table.title),
    )


def _count_cells(table: ExportTable) -> Cells:
    """Galaxies in each cell of ``HISTOGRAM_ORDER``."""
    n_cells = 12 * 4**HISTOGRAM_ORDER
    counts = np.zeros(n_cells, dtype=np.int64)
    for batch in _positioned(table):
        cells = compute_cells(batch) >> 2 * (FINEST_ORDER - HISTOGRAM_ORDER)
        counts += np.bincount(cells, minlength=n_cells)
    return counts


def _positioned(table: ExportTable) -> Iterator[pa.RecordBatch]:
    """The rows of galaxies that have a position."""
    for batch in table.batches():
        ra, dec = batch.column("ra_deg"), batch.column("dec_deg")
        batch = batch.filter(pc.fill_null(pc.and_(pc.is_finite(ra), pc.is_finite(dec)), False))
        if batch.num_rows:
            yield batch


def _sort_out(
    table: ExportTable,
    schema: pa.Schema,
    partitions: Sequence[Partition],
    scratch: tuple[ScratchTables, ScratchTables],
) -> None:
    """Put every row with its partition, and with those whose margin it is in."""
    inside, around = scratch
    order = margin_order(MARGIN_ARCSEC)
    for batch in _positioned(table):
        cells = compute_cells(batch)
        rows = pa.table([*batch.columns, pa.array(cells)], schema=schema)
        inside.add(rows, find_partitions(partitions, cells))
        near, places = find_margins(partitions, cells >> 2 * (FINEST_ORDER - order), order)
        if len(near):
            around.add(rows.take(pa.array(near)), places)


def _write_partitions(
    rows: ScratchTables, partitions: Sequence[Partition], schema: pa.Schema, directory: Path
) -> dict[Partition, int]:
    """A file for each partition that has rows, in order of cell and id; returns how many."""
    n_rows = {}
    directory.mkdir()
    for place in sorted(rows.places):
        path = partition_file(directory, partitions[place])
        path.parent.mkdir(parents=True, exist_ok=True)
        table = rows.take(place).sort_by([(CELL, "ascending"), ("id_str", "ascending")])
        n_rows[partitions[place]] = write_row_groups(iter([table]), schema, path)
    return n_rows
