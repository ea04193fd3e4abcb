"""The formats of exports: one line each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from galaxyloop.catalogue.columns import CatalogueColumn, export_names
from galaxyloop.catalogue.exports.csv_tables import write_csv
from galaxyloop.catalogue.exports.fits_tables import check_fits, write_fits
from galaxyloop.catalogue.exports.hats_collections import check_positions, write_hats
from galaxyloop.catalogue.exports.hats_metadata import check_hats
from galaxyloop.catalogue.exports.table import ExportTable, check_ascii
from galaxyloop.catalogue.exports.votables import write_votable
from galaxyloop.errors import UnknownNameError
from galaxyloop.surveys import SurveyVersion


def check_names(columns: Sequence[CatalogueColumn]) -> None:
    """Refuse columns of which two would get one name.

    Raises:
        CatalogueError: two would.
    """
    export_names([column.name for column in columns])


@dataclass(frozen=True)
class Export:
    """A format: what writes it, and what it cannot hold."""

    ending: str
    """How the name of its file ends."""
    write: Callable[[ExportTable, Path], object]
    check: Callable[[Sequence[CatalogueColumn]], None] = check_names
    """Refuses columns that it cannot hold."""
    is_ascii: bool = False
    """Whether it holds ASCII only."""
    is_by_position: bool = False
    """Whether galaxies without a position have no place in it."""


EXPORTS = {
    "fits": Export(".fits", write_fits, check_fits, is_ascii=True),
    "votable": Export(".vot", write_votable, is_ascii=True),
    "csv": Export(".csv", write_csv, lambda columns: None),
    "hats": Export("_hats", write_hats, is_by_position=True),
}
"""The formats by name."""


def check_formats(formats: list[str]) -> None:
    """Refuse formats that there are not.

    Raises:
        UnknownNameError: one is unknown.
    """
    for name in formats:
        if name not in EXPORTS:
            raise UnknownNameError("export format", name, EXPORTS)


def check_columns(formats: Sequence[str], columns: Sequence[CatalogueColumn]) -> None:
    """Refuse, before there is a catalogue, columns that one of the formats cannot hold.

    Raises:
        CatalogueError: one cannot; the message says how to go on.
        ConfigError: the package that HATS needs is not installed.
    """
    if "hats" in formats:
        check_hats()
    for name in formats:
        EXPORTS[name].check(columns)


def check_galaxies(formats: Sequence[str], survey: SurveyVersion) -> None:
    """Refuse, before there is a catalogue, a survey that one of the formats cannot hold.

    Raises:
        CatalogueError: an id has letters that a format cannot store, or no galaxy has the position
            by which a format sorts.
    """
    exports = [EXPORTS[name] for name in formats]
    n_placed = 0
    for rows in survey.batches(["id_str", "ra_deg", "dec_deg"]) if exports else ():
        n_placed += int(rows[["ra_deg", "dec_deg"]].notna().all(axis=1).sum())
        if any(export.is_ascii for export in exports):
            check_ascii(pa.array(rows["id_str"], pa.string()), "id_str")
    if any(export.is_by_position for export in exports):
        check_positions(n_placed, survey.n_galaxies)


def export_path(catalogue: Path, name: str, directory: Path) -> Path:
    """The file, for HATS the folder, that a catalogue is exported to."""
    return directory / f"{catalogue.stem}{EXPORTS[name].ending}"


def export_catalogue(catalogue: Path, formats: list[str], directory: Path) -> dict[Path, str]:
    """Write a catalogue in other formats; a file that is there already is replaced.

    Args:
        catalogue: what ``write_catalogue`` or ``write_friendly_catalogue`` wrote.
        formats: of ``EXPORTS``.
        directory: where to; made if it is not there.

    Returns:
        What was written, with a remark where there is one to be made.

    Raises:
        UnknownNameError: a format is unknown.
        CatalogueError: the file is no catalogue, or a format cannot hold it; the message says how
            to go on. Formats before that one are written.
        ConfigError: the package that HATS needs is not installed.
    """
    check_formats(formats)
    table = ExportTable.open(catalogue)
    directory.mkdir(parents=True, exist_ok=True)
    written = {}
    for name in dict.fromkeys(formats):
        path = export_path(catalogue, name, directory)
        written[path] = _remark(EXPORTS[name].write(table, path))
    return written


def _remark(summary: object) -> str:
    """What is to be said about an export."""
    n_lost = getattr(summary, "n_without_position", 0)
    return f"without {n_lost} galaxies that have no position" if n_lost else ""
