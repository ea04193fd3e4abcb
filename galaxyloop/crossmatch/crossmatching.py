"""A table and a survey to the same table under the survey's ids."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.config import require
from galaxyloop.crossmatch.copies import can_copy, check_names, write_copy, write_rejects
from galaxyloop.crossmatch.matches import NOBODY, Matches, find_places, match_rows
from galaxyloop.errors import ManifestError
from galaxyloop.storage import publish_file
from galaxyloop.surveys import IngestConfig, read_manifest
from galaxyloop.surveys.groups import MAX_RADIUS_ARCSEC
from galaxyloop.table_files import TableColumn, read_columns


@dataclass(frozen=True)
class Crossmatch:
    """What became of a table's rows: each is matched, unmatched or rejected."""

    output: str
    """The table with the survey's ids."""
    rejects: str
    """Table of the rejected rows: row, id_str of the survey, column, value, reason."""
    n_read: int
    n_matched: int
    n_unmatched: int
    """Rows without a galaxy of the survey within the radius."""
    n_rejected: int
    n_galaxies: int
    """Galaxies of the survey that have a position."""
    median_separation_arcsec: float
    """Of the matched rows."""
    left_out: tuple[str, ...]
    """Columns that are not copied: images, and cells of FITS or VOTable that are no single number
    or text."""


def crossmatch_table(
    votes_uri: str,
    manifest: str,
    radius_arcsec: float,
    output: str,
    columns: tuple[str, str] | None = None,
    config: IngestConfig | None = None,
) -> Crossmatch:
    """Write a copy of a vote table with the survey's ids.

    The copy is parquet: ``id_str`` of the nearest galaxy within the radius, then
    ``match_separation_arcsec``, then the table's own columns with their types, but for
    ``left_out``; an ``id_str`` that the table had becomes ``id_str_published``. Of two rows nearest
    to one galaxy the nearer is kept, of equally near ones the first. Memory grows with the number
    of rows and with the survey.

    Args:
        votes_uri: any table that votes are read from.
        manifest: table with the survey's ids and positions.
        radius_arcsec: largest separation of a match, above 0 and at most 3600.
        output: path or address of the copy; its rejects lie beside it.
        columns: right ascension and declination [deg]; by default found as in a manifest.
        config: how the manifest is read.

    Raises:
        ConfigError: the radius is out of range.
        VoteTableError: the table has no positions in degrees, or nothing of it is near the survey.
        ManifestError: no galaxy of the survey has a position.
        StorageError: the network or the storage failed.
    """
    require(
        0 < radius_arcsec <= MAX_RADIUS_ARCSEC,
        f"radius_arcsec must be in (0, {MAX_RADIUS_ARCSEC:g}], got {radius_arcsec}; try 1",
    )
    header = read_columns(votes_uri)
    check_names(header, votes_uri)
    places = find_places(header, votes_uri, columns)
    galaxies = _placed_galaxies(manifest, config or IngestConfig())
    matches = match_rows(votes_uri, places, galaxies, radius_arcsec)
    return _publish(votes_uri, header, matches, galaxies["id_str"], output)


def _placed_galaxies(manifest: str, config: IngestConfig) -> pd.DataFrame:
    """The survey's galaxies that have a position, in order of id."""
    galaxies = read_manifest(manifest, config).galaxies
    placed = galaxies.dropna(subset=["ra_deg", "dec_deg"])
    if placed.empty:
        raise ManifestError(
            f"{manifest}: none of its {len(galaxies)} galaxies has a position; give it the columns "
            "ra_deg and dec_deg"
        )
    return placed.sort_values("id_str", ignore_index=True)


def _publish(
    uri: str, header: Sequence[TableColumn], matches: Matches, id_strs: pd.Series, output: str
) -> Crossmatch:
    """Write the copy and its rejects, and count."""
    rejects = output.removesuffix(Path(output).suffix) + ".rejects.parquet"
    kept = [column.name for column in header if can_copy(column)]
    with tempfile.TemporaryDirectory() as scratch:
        drafts = [Path(scratch) / name for name in ("table", "rejects")]
        write_copy(uri, kept, matches, id_strs.to_numpy(object), drafts[0])
        write_rejects(matches, id_strs.to_numpy(object), drafts[1])
        places = [publish_file(*pair) for pair in zip(drafts, (output, rejects), strict=True)]
    return Crossmatch(
        output=places[0],
        rejects=places[1],
        n_read=len(matches.rows) + len(matches.malformed),
        n_matched=int(matches.is_kept.sum()),
        n_unmatched=int((matches.galaxy == NOBODY).sum()),
        n_rejected=int(matches.is_rejected.sum()) + len(matches.malformed),
        n_galaxies=len(id_strs),
        median_separation_arcsec=float(np.median(matches.separation_arcsec[matches.is_kept])),
        left_out=tuple(column.name for column in header if not can_copy(column)),
    )
