"""Reading a manifest: which galaxies there are and where their images lie."""

import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import ManifestError, TooManyRejectsError
from galaxyloop.scratch import ScratchDirectory
from galaxyloop.storage import local_path
from galaxyloop.surveys.positions import PositionRange, parse_angles
from galaxyloop.surveys.repeats import RowIds
from galaxyloop.surveys.tables import N_COLUMNS_REASON, ManifestTable, TextBatch
from galaxyloop.table_files import CONTROL_CHARACTER, FLOAT_ID, MISSING_IDS

FINGERPRINTS = ("content", "stat", "uri")
MAX_GROUP_RADIUS_ARCSEC = 60.0
"""Farther apart are neighbours on the sky, not one galaxy measured twice."""
REJECT_COLUMNS = ["row", "id_str", "column", "value", "reason"]
FLOAT_REASON = "written as a floating-point number; write all its digits"
MISSING_REASON = "a word for a missing id; give every image one"
CONTROL_REASON = "holds a line end or another control character; remove it"
_GALAXIES = "galaxies.parquet"
_TEXT = pa.string()
_SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "id_str": _TEXT,
        "image_uri": _TEXT,
        "ra_deg": pa.float64(),
        "dec_deg": pa.float64(),
        "survey": _TEXT,
        "group_id": _TEXT,
    }
)

ManifestJudge = Callable[[pd.DataFrame], pd.DataFrame]
"""Takes manifest rows; returns ``row, column, value, reason`` of those to be rejected."""


@dataclass(frozen=True)
class IngestConfig(StrictConfig):
    """How a manifest becomes a survey version."""

    survey: str = "survey"
    """Name of the survey, for rows that do not name one."""
    chunk_size: int = 10_000
    """Most galaxies in one chunk; one task cuts out one chunk."""
    fingerprint: str = "content"
    """How a changed image is noticed: ``content`` (reads every file), ``stat`` (size and time of
    change, or ETag) or ``uri`` (a file never changes once it is there)."""
    max_reject_rate: float = 0.05
    """Share of rows that may be rejected before the run stops, from 0 to 1."""
    max_image_reject_rate: float = 0.05
    """Share of the survey's images that may give no cutout before the run stops, from 0 to 1."""
    n_readers: int = 8
    """Files read, and images decoded, at the same time; changes no result."""
    n_attempts: int = 3
    """How often a file is asked for when the network fails; changes no result."""
    max_image_bytes: int = 50_000_000
    """A longer file is not fingerprinted by content; cutting out rejects it."""
    id_column: str = ""
    """Column of the manifest that holds the ids; empty means ``id_str``."""
    image_column: str = "image"
    """Column of a parquet manifest that holds encoded images, used if ``image_uri`` is absent."""
    group_radius_arcsec: float = 0.0
    """New galaxies closer than this to another on the sky are one with it: one group, so one split.
    Groups that the manifest makes, or that an earlier version had, are never joined. 0 leaves
    groups as the manifest has them."""
    max_table_bytes: int = 10_000_000_000
    """A longer manifest in FITS or VOTable is refused, if it must be fetched or unzipped first."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(bool(self.survey), f"survey must be a name, got {self.survey!r}")
        require(
            self.fingerprint in FINGERPRINTS,
            f"fingerprint must be one of {', '.join(FINGERPRINTS)}, got {self.fingerprint!r}",
        )
        for name in ("max_reject_rate", "max_image_reject_rate"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be in [0, 1], got {value}")
        require(
            0 <= self.group_radius_arcsec <= MAX_GROUP_RADIUS_ARCSEC,
            f"group_radius_arcsec must be in [0, {MAX_GROUP_RADIUS_ARCSEC:g}], got "
            f"{self.group_radius_arcsec}",
        )
        for name in ("id_column", "image_column"):
            value = getattr(self, name)
            require(value == value.strip(), f"{name} must have no spaces around it, got {value!r}")
        require(bool(self.image_column), "image_column must name a column, got ''")
        for name in ("chunk_size", "n_readers", "n_attempts", "max_image_bytes", "max_table_bytes"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be >= 1, got {value}")


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest that can be used, and the others with their reason."""

    scratch: ScratchDirectory
    """Holds the galaxies, for as long as this manifest is held."""
    rejects: pd.DataFrame
    """``row, id_str, column, value, reason``; one line a rejected row."""
    n_read: int
    """Rows in the table; of a pattern, in all its files, through which they are numbered on."""

    @property
    def galaxies(self) -> pd.DataFrame:
        """``id_str, image_uri, ra_deg, dec_deg, survey, group_id``; no coordinates are NaN.

        Read into memory each time.
        """
        table = pq.read_table(self.scratch.path / _GALAXIES)
        is_repeated = np.isin(table.column("row").to_numpy(), self.rejects["row"].to_numpy())
        kept = table.filter(pa.array(~is_repeated)).drop_columns("row")
        galaxies: pd.DataFrame = kept.to_pandas()
        return galaxies


def judge_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rules of a manifest row, needing nothing but pandas.

    Args:
        rows: ``id_str``, ``image_uri``, ``ra_deg``, ``dec_deg``, ``group_id``, with any index.

    Returns:
        ``row`` (the index), ``column, value, reason`` of every broken rule.
    """
    ra, dec, trimmed = rows["ra_deg"], rows["dec_deg"], rows["id_str"].str.strip()
    is_word = trimmed.str.casefold().isin(MISSING_IDS - {""})
    rules = [
        ("id_str", trimmed.eq(""), "empty"),
        ("id_str", is_word, MISSING_REASON),
        ("id_str", trimmed.ne(rows["id_str"]) & trimmed.ne(""), "spaces around it"),
        ("id_str", trimmed.str.fullmatch(FLOAT_ID.pattern), FLOAT_REASON),
        *(
            (name, rows[name].str.contains(CONTROL_CHARACTER), CONTROL_REASON)
            for name in ("id_str", "group_id")
        ),
        ("group_id", rows["group_id"].str.strip().str.fullmatch(FLOAT_ID.pattern), FLOAT_REASON),
        ("image_uri", rows["image_uri"].str.strip().eq(""), "empty"),
        ("ra_deg", ra.notna() & ~((ra >= 0) & (ra <= 360)), "outside [0, 360]"),
        ("dec_deg", dec.notna() & ~(dec.abs() <= 90), "outside [-90, 90]"),
        ("ra_deg", ra.isna() & dec.notna(), "absent though dec_deg is given"),
        ("dec_deg", dec.isna() & ra.notna(), "absent though ra_deg is given"),
    ]
    return pd.concat(
        [
            _failures(rows.index[broken], column, rows[column][broken], reason)
            for column, broken, reason in rules
        ],
        ignore_index=True,
    )


def read_manifest(uri: str, config: IngestConfig, judge: ManifestJudge = judge_rows) -> Manifest:
    """Read a manifest and set aside the rows that cannot be used.

    Needs ids, and ``image_uri`` or a parquet column of encoded images; positions [ICRS, degrees],
    ``survey`` and ``group_id`` (the same for all images of one galaxy) are optional. A relative
    image location starts at the manifest's folder. Of several rows with one id the first is kept.
    Rows go through files on disk: memory holds some of them, and all that are rejected.

    Args:
        uri: csv, csv.gz, parquet, FITS or VOTable on disk, S3 or HTTPS, or a pattern of such.
        config: columns, name of the survey and tolerance.
        judge: gives the rows that break a rule.

    Raises:
        ManifestError: the file is missing, may not be read, is no table, has no rows, lacks a
            column, or its ids or positions as a whole cannot be meant.
        StorageError: the network failed; it may work later.
        TooManyRejectsError: more rows are rejected than ``max_reject_rate`` allows.
    """
    table = ManifestTable.open(uri, config.id_column, config.image_column, config.max_table_bytes)
    scratch, positions, n_read = ScratchDirectory(), PositionRange(), 0
    ids, rejects = RowIds(scratch.path / "ids"), list[pd.DataFrame]()
    with pq.ParquetWriter(scratch.path / _GALAXIES, _SCHEMA, compression="zstd") as writer:
        for batch in table.batches():
            rows, failures = _judge(batch, config.survey, judge)
            positions.add(rows)
            rejects.append(_one_line_a_row(failures, rows["id_str"], table.names))
            good = rows[~rows.index.isin(failures["row"])]
            ids.add(good["id_str"])
            writer.write_table(_located(good, batch.file))
            n_read += len(rows) + len(batch.ragged)
    if not n_read:
        raise ManifestError(f"{uri} has a header but no rows; fetch it again or name another")
    positions.check(uri)
    repeated = ids.take_repeated()
    failures = _failures(repeated.index, "id_str", repeated, "duplicate")
    rejects.append(_one_line_a_row(failures, repeated, table.names))
    rejected = pd.concat(rejects).sort_values("row", ignore_index=True)
    _check_rate(rejected, n_read, config.max_reject_rate)
    return Manifest(scratch, rejected, n_read)


def _judge(
    batch: TextBatch, survey: str, judge: ManifestJudge
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Some rows in the manifest's types, and why some of them, or ragged lines, cannot be used."""
    rows, unreadable = _typed(batch.cells, survey)
    ragged = _failures(batch.ragged["row"], "", batch.ragged["value"], N_COLUMNS_REASON)
    return rows, pd.concat([ragged, unreadable, judge(rows)[ragged.columns]], ignore_index=True)


def _located(rows: pd.DataFrame, file: str) -> pa.Table:
    """Rows of a file with their number; a relative image location starts at the file's folder."""
    absolute = _from_folder_of(file)
    places = [
        place if place.startswith("/") or "://" in place else absolute(place)
        for place in rows["image_uri"].tolist()
    ]
    rows = rows.assign(image_uri=places, row=rows.index)
    return pa.Table.from_pandas(rows[_SCHEMA.names], _SCHEMA, preserve_index=False)


def _typed(text: pd.DataFrame, survey: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Text columns to the manifest's types; what is no number becomes a failure."""
    rows = text[["id_str", "image_uri"]].astype(str)
    unreadable = [_failures(rows.index[:0], "", rows["id_str"][:0], "")]
    for name in ("ra_deg", "dec_deg"):
        cells = text[name].astype(str) if name in text else pd.Series("", index=rows.index)
        rows[name], broken = parse_angles(cells)
        unreadable += [
            _failures(rows.index[mask], name, cells[mask].str.strip(), reason)
            for mask, reason in broken
        ]
    for name, default in (("survey", survey), ("group_id", rows["id_str"])):
        cells = text[name].astype(str) if name in text else pd.Series("", index=rows.index)
        is_absent = cells.str.strip().str.casefold().isin(MISSING_IDS)
        rows[name] = cells.mask(is_absent, default)
    return rows, pd.concat(unreadable, ignore_index=True)


def _failures(
    row: "pd.Index | pd.Series", column: str, value: pd.Series, reason: str
) -> pd.DataFrame:
    """Failures of one rule."""
    text = [str(cell) for cell in value.astype(object).where(value.notna(), "")]
    failures = pd.DataFrame({"row": np.asarray(row, np.int64), "value": pd.Series(text, dtype=str)})
    failures["column"] = column
    failures["reason"] = reason
    return failures[["row", "column", "value", "reason"]]


def _one_line_a_row(
    failures: pd.DataFrame, ids: pd.Series, names: Mapping[str, str]
) -> pd.DataFrame:
    """The first failure of each row, in the order of the table, under the table's own names."""
    first = failures.drop_duplicates("row").sort_values("row", ignore_index=True)
    first["id_str"] = first["row"].map(ids).fillna("").astype(str)
    first["column"] = first["column"].replace(dict(names))
    return first[REJECT_COLUMNS]


def _check_rate(rejects: pd.DataFrame, n_read: int, max_reject_rate: float) -> None:
    """Stop if too few rows are left to be the manifest that was meant."""
    if len(rejects) > max_reject_rate * n_read:
        words = rejects["column"].str.cat(rejects["reason"], sep=" ").str.strip()
        reasons = {str(reason): int(n) for reason, n in words.value_counts().items()}
        raise TooManyRejectsError("manifest rows", len(rejects), n_read, max_reject_rate, reasons)


def _from_folder_of(uri: str) -> Callable[[str], str]:
    """What makes a relative location absolute."""
    if uri.startswith(("http://", "https://")):
        return lambda place: urljoin(uri, place)
    path = local_path(uri)
    protocol, path = ("", os.path.abspath(path)) if path is not None else uri.split("://", 1)
    start = f"{protocol}://" if protocol else ""
    folder = posixpath.dirname(path)
    base = start + (f"{folder.rstrip('/')}/" if folder else "")

    def resolve(place: str) -> str:
        if place.startswith(".") or "/." in place or "//" in place:
            return f"{start}{posixpath.normpath(posixpath.join(folder, place))}"
        return base + place

    return resolve
