"""What makes a folder of partitions a HATS catalogue, written by the package hats."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop import __version__
from galaxyloop.catalogue.exports.hats_partitions import (
    CELL,
    FINEST_ORDER,
    HISTOGRAM_ORDER,
    Cells,
    Partition,
)
from galaxyloop.errors import ConfigError

_DIRECTORY_PIXELS = 10_000


@dataclass(frozen=True)
class HatsCatalogue:
    """A catalogue or a margin of a collection."""

    name: str
    """Name, and folder in the collection."""
    properties: dict[str, Any]
    """What its kind needs besides: type, primary catalogue, threshold."""
    schema: pa.Schema
    """Of its files."""
    default_columns: tuple[str, ...]
    """Columns that readers get who name none."""
    description: str
    """One line about it."""


def check_hats() -> None:
    """Refuse to begin without the package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import hats  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"exports to HATS need the package hats, which comes with lsdb ({error}); "
            "pip install 'galaxyloop[hats]', or leave hats out of the formats"
        ) from error


def partition_file(catalogue: Path, partition: Partition) -> Path:
    """Where HATS wants the rows of a cell."""
    directory = partition.pixel // _DIRECTORY_PIXELS * _DIRECTORY_PIXELS
    folder = catalogue / "dataset" / f"Norder={partition.order}" / f"Dir={directory}"
    return folder / f"Npix={partition.pixel}.parquet"


def margin_order(margin_arcsec: float) -> int:
    """The finest HEALPix order whose cells are nowhere narrower than a margin."""
    from hats.pixel_math.healpix_shim import margin2order

    return int(margin2order(np.array([margin_arcsec / 60]))[0])


def compute_cells(rows: pa.RecordBatch) -> Cells:
    """The cell of the finest order of each galaxy, as readers of HATS compute it."""
    from hats.pixel_math.spatial_index import compute_spatial_index

    ra, dec = (rows.column(name).to_numpy() for name in ("ra_deg", "dec_deg"))
    return np.asarray(compute_spatial_index(ra, dec), dtype=np.int64)


def describe_catalogue(
    catalogue: HatsCatalogue, directory: Path, n_rows: dict[Partition, int]
) -> None:
    """Write properties, partitions and the parquet metadata of a catalogue whose files are there.

    Args:
        catalogue: what it is.
        directory: its folder.
        n_rows: rows of each partition that has a file.
    """
    from hats.catalog.dataset.table_properties import TableProperties
    from hats.catalog.partition_info import PartitionInfo
    from hats.io.parquet_metadata import write_parquet_metadata
    from hats.pixel_math.healpix_pixel import HealpixPixel

    pixels = [HealpixPixel(partition.order, partition.pixel) for partition in n_rows]
    partitions: Any = PartitionInfo(pixels)
    partitions.write_to_file(directory / "partition_info.csv")
    if pixels:
        write_parquet_metadata(directory, create_per_partition_stats=True)
    else:
        for name in ("_metadata", "_common_metadata"):
            (directory / "dataset").mkdir(parents=True, exist_ok=True)
            pq.write_metadata(catalogue.schema, directory / "dataset" / name)
    properties: dict[str, Any] = {
        "obs_collection": catalogue.name,
        "hats_nrows": sum(n_rows.values()),
        "hats_col_ra": "ra_deg",
        "hats_col_dec": "dec_deg",
        "hats_cols_default": list(catalogue.default_columns),
        "hats_col_healpix": CELL,
        "hats_col_healpix_order": FINEST_ORDER,
        "hats_max_rows": max(n_rows.values(), default=0),
        "hats_order": max((partition.order for partition in n_rows), default=0),
        "moc_sky_fraction": float(f"{partitions.calculate_fractional_coverage():.5g}"),
        "obs_description": catalogue.description,
    }
    told = properties | catalogue.properties | _provenance(directory)
    TableProperties(**told).to_properties_file(directory)


def write_sky_maps(directory: Path, counts: Cells) -> None:
    """Galaxies in each cell of ``HISTOGRAM_ORDER``, as FITS maps under both names in use."""
    from hats.io.file_io.file_io import write_fits_image

    for name in ("skymap.fits", "point_map.fits"):
        write_fits_image(counts, directory / name)


def object_properties() -> dict[str, Any]:
    """What the main catalogue needs besides."""
    return {"dataproduct_type": "object", "hats_skymap_order": HISTOGRAM_ORDER}


def describe_collection(directory: Path, name: str, margins: Sequence[str]) -> None:
    """Say which catalogue and which margin belong together."""
    from hats.catalog.dataset.collection_properties import CollectionProperties

    told: dict[str, Any] = {
        "obs_collection": name,
        "hats_primary_table_url": name,
        "all_margins": list(margins),
        "default_margin": margins[0],
    }
    CollectionProperties(**told, **_provenance(directory)).to_properties_file(directory)


def _provenance(directory: Path) -> dict[str, Any]:
    """Who wrote it, and by which version of the format."""
    from hats.catalog.dataset.hats_properties import HatsProperties

    told: dict[str, Any] = HatsProperties.new_provenance_dict(
        directory, builder=f"galaxyloop v{__version__}"
    )
    return told
