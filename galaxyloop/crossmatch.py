"""Votes published under other ids: each row is given the survey's id by its place on the sky."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxyloop.config import require
from galaxyloop.errors import ManifestError, VoteTableError
from galaxyloop.storage import publish_file
from galaxyloop.surveys import IngestConfig, read_manifest
from galaxyloop.surveys.groups import chord, unit_vectors
from galaxyloop.table_files import Batch, read_batches, read_header

POSITION_COLUMNS = (
    ("ra_deg", "dec_deg"),
    ("ra", "dec"),
    ("RA", "DEC"),
    ("right_ascension", "declination"),
)
"""Pairs of columns that are taken for positions [deg], the first that is there."""
_ID, _PUBLISHED_ID, _SEPARATION = "id_str", "id_str_published", "match_separation_arcsec"
_BATCH_ROWS = 100_000
_MAX_RADIUS_ARCSEC = 3600.0
_REJECTS = pa.schema(
    [("row", pa.int64())]
    + [(name, pa.string()) for name in ("id_str", "column", "value", "reason")]
)


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


def crossmatch_table(
    votes_uri: str,
    manifest: str,
    radius_arcsec: float,
    output: str,
    columns: tuple[str, str] | None = None,
) -> Crossmatch:
    """Write a copy of a vote table with the survey's ids.

    The copy is parquet: ``id_str`` of the nearest galaxy within the radius, then
    ``match_separation_arcsec``, then the table's own columns with their types but no images; an
    ``id_str`` that the table had is kept as ``id_str_published``. Of two rows nearest to one
    galaxy the nearer is kept, of equally near ones the first. The table is read twice, batch by
    batch; memory grows with its number of rows and with the survey.

    Args:
        votes_uri: any table that votes are read from.
        manifest: table with the survey's ``id_str``, ``ra_deg`` and ``dec_deg``.
        radius_arcsec: largest separation of a match, above 0 and at most 3600.
        output: path or address of the copy; its rejects lie beside it.
        columns: right ascension and declination [deg] of the table; by default the first pair of
            ``POSITION_COLUMNS`` that it has.

    Raises:
        ConfigError: the radius is out of range.
        VoteTableError: the table has no positions, or nothing of it is near the survey.
        ManifestError: no galaxy of the survey has a position.
        StorageError: the network or the storage failed.
    """
    require(
        0 < radius_arcsec <= _MAX_RADIUS_ARCSEC,
        f"radius_arcsec must be in (0, {_MAX_RADIUS_ARCSEC:g}], got {radius_arcsec}; try 1",
    )
    columns = _position_columns(votes_uri, columns)
    galaxies = _placed_galaxies(manifest)
    matches = _match_rows(votes_uri, columns, galaxies, radius_arcsec)
    target = Path(output)
    rejects = str(output).removesuffix(target.suffix) + ".rejects.parquet"
    with tempfile.TemporaryDirectory() as scratch:
        drafts = [Path(scratch) / name for name in ("table", "rejects")]
        _write_copy(votes_uri, matches, galaxies["id_str"].to_numpy(object), drafts[0])
        pq.write_table(_rejects_table(matches, galaxies), drafts[1], compression="zstd")
        places = [publish_file(*pair) for pair in zip(drafts, (output, rejects), strict=True)]
    kept = matches.separation_arcsec[matches.is_kept]
    return Crossmatch(
        output=places[0],
        rejects=places[1],
        n_read=len(matches.rows) + len(matches.malformed),
        n_matched=len(kept),
        n_unmatched=int((matches.galaxy == _NOBODY).sum()),
        n_rejected=int(matches.is_rejected.sum()) + len(matches.malformed),
        n_galaxies=len(galaxies),
        median_separation_arcsec=float(np.median(kept)),
    )


_NOBODY, _NOWHERE = -1, -2


@dataclass(frozen=True)
class _Matches:
    """For each row of the table its galaxy."""

    rows: np.ndarray
    """Position in the table, ascending."""
    galaxy: np.ndarray
    """Nearest galaxy within the radius; -1 for none, -2 for a row without a sound position."""
    separation_arcsec: np.ndarray
    positions: dict[int, str]
    """Unsound positions as they were written, by place in ``rows``."""
    malformed: list[tuple[int, str]] = field(default_factory=list)
    """Lines of a csv that could not be cut into cells."""
    is_kept: np.ndarray = field(init=False)
    """Whether the row is the nearest of its galaxy's."""

    def __post_init__(self) -> None:
        """One row a galaxy."""
        order = np.lexsort([self.rows, self.separation_arcsec])
        order = order[self.galaxy[order] >= 0]
        kept = order[np.unique(self.galaxy[order], return_index=True)[1]]
        is_kept = np.zeros(len(self.rows), dtype=bool)
        is_kept[kept] = True
        object.__setattr__(self, "is_kept", is_kept)

    @property
    def is_rejected(self) -> np.ndarray:
        """Rows with a match that another row has taken, and those without a position."""
        is_rejected: np.ndarray = ~self.is_kept & (self.galaxy != _NOBODY)
        return is_rejected


def _position_columns(uri: str, columns: tuple[str, str] | None) -> tuple[str, str]:
    """Names of right ascension and declination in the table."""
    header = read_header(uri)
    taken = {_PUBLISHED_ID, _SEPARATION}.intersection(header)
    if taken:
        raise VoteTableError(
            f"{uri} has the columns {sorted(taken)} already, as if it had been matched before; "
            "match the published table, or rename them"
        )
    for pair in POSITION_COLUMNS if columns is None else (columns,):
        if set(pair) <= set(header):
            return pair
    wanted = "one of the pairs " + ", ".join("/".join(pair) for pair in POSITION_COLUMNS)
    raise VoteTableError(
        f"{uri} lacks {wanted if columns is None else f'the columns {list(columns)}'}; it has "
        f"{header[:20]}; name the columns of right ascension and declination [deg]"
    )


def _placed_galaxies(manifest: str) -> pd.DataFrame:
    """The survey's galaxies that have a position, in order of id."""
    galaxies = read_manifest(manifest, IngestConfig()).galaxies
    placed = galaxies.dropna(subset=["ra_deg", "dec_deg"])
    if placed.empty:
        raise ManifestError(
            f"{manifest}: none of its {len(galaxies)} galaxies has a position; give it the columns "
            "ra_deg and dec_deg"
        )
    return placed.sort_values("id_str", ignore_index=True)


def _match_rows(
    uri: str, columns: tuple[str, str], galaxies: pd.DataFrame, radius_arcsec: float
) -> _Matches:
    """The nearest galaxy of every row."""
    from scipy.spatial import cKDTree  # here: scipy takes a while

    tree = cKDTree(
        unit_vectors(*(galaxies[name].to_numpy(np.float64) for name in ("ra_deg", "dec_deg")))
    )
    bound = np.nextafter(chord(radius_arcsec), np.inf)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    positions: dict[int, str] = {}
    malformed: list[tuple[int, str]] = []
    n_rows = 0
    for batch in read_batches(uri, columns, _BATCH_ROWS):
        malformed += [(bad.row, f"{bad.n_cells} cells") for bad in batch.malformed]
        ra, dec = (_degrees(batch, name, uri) for name in columns)
        is_sound = (ra >= -180) & (ra <= 360) & (np.abs(dec) <= 90)
        galaxy = np.where(is_sound, _NOBODY, _NOWHERE)
        distance = np.full(len(ra), np.inf)
        distance[is_sound], near = tree.query(
            unit_vectors(ra[is_sound], dec[is_sound]), distance_upper_bound=bound
        )
        galaxy[is_sound] = np.where(near < len(galaxies), near, _NOBODY)
        for i in np.flatnonzero(~is_sound).tolist():
            positions[n_rows + i] = ", ".join(str(batch.table.column(c)[i]) for c in columns)
        parts.append((batch.rows, galaxy, distance))
        n_rows += len(ra)
    return _Matches(*_joined(parts, uri, radius_arcsec), positions, malformed)


def _joined(
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], uri: str, radius_arcsec: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, galaxies and separations of all batches; some must match."""
    if not sum(len(rows) for rows, _, _ in parts):
        raise VoteTableError(f"{uri} has a header but no rows; fetch it again")
    rows, galaxy, distance = (np.concatenate(each) for each in zip(*parts, strict=True))
    if not (galaxy >= 0).any():
        raise VoteTableError(
            f"none of the {len(rows)} rows of {uri} lies within {radius_arcsec:g} arcsec of a "
            "galaxy of the manifest; are both positions in degrees and of the same sky? else "
            "raise radius_arcsec"
        )
    is_far = ~np.isfinite(distance)
    half = np.where(is_far, 0, distance) / 2
    separation = np.degrees(2 * np.arcsin(half)) * 3600
    return rows, galaxy, np.where(is_far, np.nan, separation)


def _degrees(batch: Batch, name: str, uri: str) -> np.ndarray:
    """A column of positions as float64; NaN where a cell is empty or no number."""
    column = batch.table.column(name)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = pd.Series(pc.utf8_trim_whitespace(column).to_pylist(), dtype=object)
        return pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        numbers = pc.cast(column, pa.float64(), safe=False)
        return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
    raise VoteTableError(f"{uri}: column '{name}' stores {kind}; positions must be degrees")


def _write_copy(uri: str, matches: _Matches, id_strs: np.ndarray, path: Path) -> None:
    """The kept rows with their new columns."""
    wanted = _table_columns(uri)
    places = np.flatnonzero(matches.is_kept)
    rows = matches.rows[places]
    writer: pq.ParquetWriter | None = None
    for batch in read_batches(uri, wanted, _BATCH_ROWS):
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
        writer.write_table(table.cast(writer.schema))
    if writer is not None:
        writer.close()


def _table_columns(uri: str) -> list[str]:
    """The columns of a table without images; the first row shows the types."""
    header = read_header(uri)
    schema = next(read_batches(uri, header, 1)).table.schema
    return [name for name in header if not _holds_bytes(schema.field(name).type)]


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column holds encoded images, bare or beside their path."""
    if pa.types.is_struct(kind):
        return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _rejects_table(matches: _Matches, galaxies: pd.DataFrame) -> pa.Table:
    """Rejected rows with their reason, in the order of the table."""
    id_strs = galaxies["id_str"].tolist()
    lines = [
        (row, "", "", value, "another number of cells than the header; mend the line")
        for row, value in matches.malformed
    ]
    for i in np.flatnonzero(matches.is_rejected).tolist():
        row, galaxy = int(matches.rows[i]), int(matches.galaxy[i])
        if galaxy == _NOWHERE:
            value, reason = matches.positions[i], "no position in degrees; mend the row"
            lines.append((row, "", "position", value, reason))
        else:
            separation = f"{matches.separation_arcsec[i]:.3f}"
            reason = "another row is nearer to the galaxy, or as near and earlier"
            lines.append((row, id_strs[galaxy], _SEPARATION, separation, reason))
    lines.sort(key=lambda line: line[0])
    columns = [list(column) for column in zip(*lines, strict=True)] or [[] for _ in _REJECTS]
    return pa.table(columns, schema=_REJECTS)
