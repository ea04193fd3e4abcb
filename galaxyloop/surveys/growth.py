"""How a survey grows: unchanged galaxies stay in their chunks, the others form new ones."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.image_files.locations import PACKED
from galaxyloop.storage import whole_directory, write_table
from galaxyloop.surveys.fingerprints import fingerprint_images
from galaxyloop.surveys.groups import group_by_position
from galaxyloop.surveys.manifest import REJECT_COLUMNS, IngestConfig
from galaxyloop.surveys.versions import (
    CHUNK_SCHEMA,
    FORMAT,
    GALAXY_SCHEMA,
    REJECT_SCHEMA,
    SurveyVersion,
)

HEALPIX_LEVEL = 29
NO_CELL = -1
"""The cell of a galaxy without a position."""


def version_survey(
    galaxies: pd.DataFrame,
    config: IngestConfig,
    previous: SurveyVersion | None,
    directory: Path,
    rejects: pd.DataFrame | None = None,
    n_read: int | None = None,
) -> SurveyVersion:
    """Write the survey as it is now, reusing the previous version's chunks.

    Unchanged galaxies stay where they are; added and changed ones form new chunks, by HEALPix
    cell, then id; images in packed tables by table and row, so that a chunk is read in one go. A
    chunk is named by its ids and fingerprints, so a moved image changes nothing.

    Args:
        galaxies: what ``read_manifest`` gives.
        config: chunk size, kind of fingerprint, and how near on the sky two images are of one
            galaxy.
        previous: the version to grow from, if any.
        directory: appears complete or not at all.
        rejects: the manifest's rejected rows, kept beside the galaxies.
        n_read: rows the manifest had; by default as many as galaxies and rejects.

    Raises:
        StorageError: a storage failed, or the directory exists already.
    """
    rejects = pd.DataFrame(columns=REJECT_COLUMNS) if rejects is None else rejects
    digests = fingerprint_images(galaxies["image_uri"].tolist(), config)
    galaxies = galaxies.assign(group_id=_groups(galaxies, config, previous))
    growth = grow(galaxies.assign(image_digest=digests), config.chunk_size, previous)
    n_read = len(galaxies) + len(rejects) if n_read is None else n_read
    summary = summarise(growth, config.survey, n_read, len(rejects))
    return write_version(growth, summary, rejects, previous, directory)


def write_version(
    growth: "Growth",
    summary: dict[str, object],
    rejects: pd.DataFrame,
    previous: SurveyVersion | None,
    directory: Path,
) -> SurveyVersion:
    """Write a version's files; the directory appears complete or not at all."""
    with whole_directory(directory) as draft:
        _write_chunks(growth, previous, draft / "chunks")
        write_table(growth.galaxies, GALAXY_SCHEMA, draft / "galaxies.parquet")
        write_table(rejects, REJECT_SCHEMA, draft / "rejects.parquet")
        (draft / "survey.json").write_text(json.dumps(summary, indent=1) + "\n")
    return SurveyVersion.open(directory)


def _groups(
    galaxies: pd.DataFrame, config: IngestConfig, previous: SurveyVersion | None
) -> pd.Series:
    """The manifest's groups, with galaxies that are near each other on the sky put together."""
    if not config.group_radius_arcsec:
        return galaxies["group_id"]
    before = None if previous is None else previous.galaxies
    return group_by_position(galaxies, config.group_radius_arcsec, before)


@dataclass(frozen=True)
class Growth:
    """What is where in a new version."""

    galaxies: pd.DataFrame
    chunks: list[str]
    new_chunks: dict[str, pd.DataFrame]
    origin: dict[str, int | str | None]
    """The previous version and the counts of what changed since."""


def grow(
    galaxies: pd.DataFrame,
    chunk_size: int,
    previous: SurveyVersion | None,
    dissolved: Collection[str] = (),
) -> Growth:
    """Give every galaxy its chunk, the old one if its image is the same.

    Args:
        galaxies: with ``image_digest``, one row an id.
        chunk_size: most galaxies in a new chunk.
        previous: the version to grow from, if any.
        dissolved: chunks of it whose galaxies all go to new chunks.
    """
    galaxies = galaxies.assign(healpix_29=_cells(galaxies))
    galaxies = galaxies.sort_values("id_str", ignore_index=True)
    before = _before(galaxies["id_str"], previous)
    is_known = before["chunk"].notna()
    is_same = is_known & (before["image_digest"] == galaxies["image_digest"])
    stays = is_same & ~before["chunk"].isin(dissolved)
    place, new_chunks = _form_chunks(galaxies, before["chunk"].where(stays), chunk_size)
    living = set(place) - set(new_chunks)
    old_chunks = [digest for digest in previous.chunks if digest in living] if previous else []
    chunks = [*old_chunks, *new_chunks]
    galaxies["chunk"] = place.map({digest: i for i, digest in enumerate(chunks)}).astype(np.int32)
    origin: dict[str, int | str | None] = {
        "previous": previous.digest if previous else None,
        "n_added": int((~is_known).sum()),
        "n_changed": int((is_known & ~is_same).sum()),
        "n_removed": (previous.n_galaxies if previous else 0) - int(is_known.sum()),
    }
    return Growth(galaxies, chunks, new_chunks, origin)


def summarise(growth: Growth, name: str, n_read: int, n_rejected: int) -> dict[str, object]:
    """What ``survey.json`` tells of a version."""
    return {
        "format": FORMAT,
        "name": name,
        "digest": _survey_digest(name, growth.galaxies, growth.chunks),
        "chunks": growth.chunks,
        "n_read": n_read,
        "n_galaxies": len(growth.galaxies),
        "n_rejected": n_rejected,
        **growth.origin,
    }


def _write_chunks(growth: Growth, previous: SurveyVersion | None, folder: Path) -> None:
    """Write new chunks, and old ones with today's location, position and group of the living."""
    folder.mkdir()
    places = growth.galaxies.groupby("chunk").indices
    for i, digest in enumerate(growth.chunks):
        if digest in growth.new_chunks:
            rows = growth.new_chunks[digest].assign(is_alive=True)
        elif previous is not None:
            rows = previous.read_chunk(digest).set_index("id_str")
            living = growth.galaxies.iloc[places[i]].assign(is_alive=True).set_index("id_str")
            rows["is_alive"] = False
            rows.loc[living.index] = living[rows.columns]
            rows = rows.reset_index()
        write_table(rows, CHUNK_SCHEMA, folder / f"{digest}.parquet")


def _cells(galaxies: pd.DataFrame) -> np.ndarray:
    """Nested HEALPix cell of each galaxy at the finest level."""
    cells = np.full(len(galaxies), NO_CELL, np.int64)
    has_position = galaxies["ra_deg"].notna().to_numpy()
    if has_position.any():
        from astropy_healpix.healpy import ang2pix  # here: astropy takes most of a second

        ra, dec = (galaxies.loc[has_position, name].to_numpy() for name in ("ra_deg", "dec_deg"))
        cells[has_position] = ang2pix(2**HEALPIX_LEVEL, ra, dec, nest=True, lonlat=True)
    return cells


def _before(ids: pd.Series, previous: SurveyVersion | None) -> pd.DataFrame:
    """For each id the fingerprint and the chunk it had, missing if it is new."""
    if previous is None:
        return pd.DataFrame({"image_digest": None, "chunk": None}, index=ids.index, dtype=object)
    old = previous.galaxies.set_index("id_str")
    old = old[["image_digest"]].assign(chunk=np.asarray(previous.chunks, object)[old["chunk"]])
    return old.reindex(ids).astype(object).reset_index(drop=True)


def _form_chunks(
    galaxies: pd.DataFrame, place: pd.Series, chunk_size: int
) -> tuple[pd.Series, dict[str, pd.DataFrame]]:
    """New chunks, as equal as can be, of the galaxies that have no place yet."""
    homeless = _in_order(galaxies[place.isna()])
    n_chunks = -(-len(homeless) // chunk_size)
    place, chunks = place.copy(), {}
    for positions in np.array_split(np.arange(len(homeless)), n_chunks) if n_chunks else []:
        rows = homeless.iloc[positions]
        digest = _digest(_cells_of_text(rows[["id_str", "image_digest"]]))
        chunks[digest] = rows
        place[rows.index] = digest
    return place, chunks


def _in_order(galaxies: pd.DataFrame) -> pd.DataFrame:
    """Files by cell, those without a position last, then packed images by table and row."""
    packed = galaxies["image_uri"].str.extract(PACKED)
    is_packed = packed[0].notna()
    packed[2] = packed[2].fillna("0").astype(np.int64)
    keys = pd.DataFrame(
        {
            "is_packed": is_packed,
            "table": packed[0],
            "column": packed[1],
            "row": packed[2],
            "has_no_cell": galaxies["healpix_29"].eq(NO_CELL) & ~is_packed,
            "healpix_29": galaxies["healpix_29"].where(~is_packed, NO_CELL),
            "id_str": galaxies["id_str"],
        }
    )
    return galaxies.loc[keys.sort_values(list(keys.columns)).index]


def _survey_digest(name: str, galaxies: pd.DataFrame, chunks: list[str]) -> str:
    """Over everything that a catalogue, a split or a fan-out depends on, but no location."""
    columns = ["id_str", "image_digest", "survey", "group_id", "ra_deg", "dec_deg"]
    return _digest(iter([name, str(len(chunks)), *chunks]), _cells_of_text(galaxies[columns]))


def _cells_of_text(rows: pd.DataFrame) -> Iterator[str]:
    """All cells, row by row, as text."""
    for row in rows.itertuples(index=False):
        yield from map(str, row)


def _digest(*texts: Iterable[str]) -> str:
    """SHA-256 over texts, each with its length before it so that none can pose as two."""
    state = hashlib.sha256()
    for group in texts:
        for text in group:
            content = text.encode()
            state.update(b"%d:" % len(content) + content)
    return state.hexdigest()
