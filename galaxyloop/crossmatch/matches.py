"""The nearest galaxy of every row of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from galaxyloop.errors import VoteTableError
from galaxyloop.surveys.groups import chord, unit_vectors
from galaxyloop.surveys.positions import (
    PAIRS,
    check_positions,
    degrees,
    find_positions,
    in_degrees,
)
from galaxyloop.table_files import TableColumn, read_batches

NOBODY, NOWHERE = -1, -2
BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Matches:
    """For each row of the table its galaxy."""

    rows: Int64[np.ndarray, " row"]
    """Position in the table, ascending."""
    galaxy: Int64[np.ndarray, " row"]
    """Nearest galaxy within the radius; ``NOBODY`` if there is none, ``NOWHERE`` for a row without
    a sound position."""
    separation_arcsec: Float64[np.ndarray, " row"]
    unsound: dict[int, str]
    """Unsound positions as they were written, by place in ``rows``."""
    malformed: list[tuple[int, str]]
    """Lines of a csv that could not be cut into cells."""
    is_kept: Bool[np.ndarray, " row"] = field(init=False)
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
    def is_rejected(self) -> Bool[np.ndarray, " row"]:
        """Rows with a match that another row has taken, and those without a position."""
        is_rejected: np.ndarray = ~self.is_kept & (self.galaxy != NOBODY)
        return is_rejected


@dataclass
class _Places:
    """Where the rows of a table are on the sky, batch after batch."""

    rows: list[np.ndarray] = field(default_factory=list)
    ra_deg: list[np.ndarray] = field(default_factory=list)
    """NaN where a cell is empty or no number."""
    dec_deg: list[np.ndarray] = field(default_factory=list)
    unsound: dict[int, str] = field(default_factory=dict)
    malformed: list[tuple[int, str]] = field(default_factory=list)


def find_places(
    header: Sequence[TableColumn], uri: str, columns: tuple[str, str] | None
) -> tuple[str, str]:
    """Names of right ascension and declination: those given, or such as a manifest may have.

    Raises:
        VoteTableError: the table lacks them, or states another unit than degrees.
    """
    by_name = {column.name: column for column in header}
    found: dict[str, str] = {}
    if columns is None:
        found = find_positions(header, uri, VoteTableError)
    elif set(columns) <= set(by_name):
        named = {"ra_deg": by_name[columns[0]], "dec_deg": by_name[columns[1]]}
        found = in_degrees(named, uri, VoteTableError)
    if len(found) == 2:
        return found["ra_deg"], found["dec_deg"]
    wanted = "one of the pairs " + ", ".join("/".join(pair) for pair in PAIRS)
    raise VoteTableError(
        f"{uri} lacks {wanted if columns is None else f'the columns {list(columns)}'}; it has "
        f"{list(by_name)[:20]}; name the columns of right ascension and declination [deg]"
    )


def match_rows(
    uri: str, columns: tuple[str, str], galaxies: pd.DataFrame, radius_arcsec: float
) -> Matches:
    """The nearest galaxy of every row.

    Raises:
        VoteTableError: the table has no rows, its positions cannot be meant, or none is near.
    """
    from scipy.spatial import cKDTree  # here: scipy takes a while

    places = _read_places(uri, columns)
    rows, ra, dec = (np.concatenate(x) for x in (places.rows, places.ra_deg, places.dec_deg))
    check_positions(pd.DataFrame({"ra_deg": ra, "dec_deg": dec}), uri, VoteTableError)
    tree = cKDTree(
        unit_vectors(*(galaxies[name].to_numpy(np.float64) for name in ("ra_deg", "dec_deg")))
    )
    bound = np.nextafter(chord(radius_arcsec), np.inf)
    galaxy = np.where(_are_sound(ra, dec), NOBODY, NOWHERE)
    distance = np.full(len(rows), np.nan)
    sound = np.flatnonzero(galaxy == NOBODY)
    for start in range(0, len(sound), BATCH_ROWS):
        part = sound[start : start + BATCH_ROWS]
        apart, near = tree.query(unit_vectors(ra[part], dec[part]), distance_upper_bound=bound)
        is_near = near < len(galaxies)
        galaxy[part[is_near]], distance[part[is_near]] = near[is_near], apart[is_near]
    if not (galaxy >= 0).any():
        raise VoteTableError(
            f"none of the {len(rows)} rows of {uri} lies within {radius_arcsec:g} arcsec of a "
            "galaxy of the manifest; are both positions in degrees and of the same sky? else "
            "raise radius_arcsec"
        )
    separation = np.degrees(2 * np.arcsin(distance / 2)) * 3600
    return Matches(rows, galaxy, separation, places.unsound, places.malformed)


def _read_places(uri: str, columns: tuple[str, str]) -> _Places:
    """The positions of all rows."""
    places, n_rows = _Places(), 0
    for batch in read_batches(uri, columns, BATCH_ROWS):
        places.malformed += [(bad.row, f"{bad.n_cells} cells") for bad in batch.malformed]
        cells = [batch.table.column(name) for name in columns]
        ra, dec = (
            degrees(column, name, batch.file, VoteTableError)
            for column, name in zip(cells, columns, strict=True)
        )
        for i in np.flatnonzero(~_are_sound(ra, dec)).tolist():
            places.unsound[n_rows + i] = ", ".join(str(column[i]) for column in cells)
        places.rows.append(batch.rows)
        places.ra_deg.append(ra)
        places.dec_deg.append(dec)
        n_rows += len(ra)
    if not n_rows:
        raise VoteTableError(f"{uri} has a header but no rows; fetch it again")
    return places


def _are_sound(
    ra_deg: Float64[np.ndarray, " row"], dec_deg: Float64[np.ndarray, " row"]
) -> Bool[np.ndarray, " row"]:
    """Whether both are given and in the ranges that a manifest has."""
    is_sound: np.ndarray = (ra_deg >= 0) & (ra_deg <= 360) & (np.abs(dec_deg) <= 90)
    return is_sound
