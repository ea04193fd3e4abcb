"""The formats of exports: one line each."""

from collections.abc import Callable
from pathlib import Path

from galaxyloop.catalogue.exports.csv_tables import write_csv
from galaxyloop.catalogue.exports.fits_tables import write_fits
from galaxyloop.catalogue.exports.hats_collections import write_hats
from galaxyloop.catalogue.exports.table import ExportTable
from galaxyloop.catalogue.exports.votables import write_votable
from galaxyloop.errors import UnknownNameError

EXPORTS: dict[str, tuple[str, Callable[[ExportTable, Path], object]]] = {
    "fits": (".fits", write_fits),
    "votable": (".vot", write_votable),
    "csv": (".csv", write_csv),
    "hats": ("_hats", write_hats),
}
"""How the name of each format's file ends, and what writes it."""


def check_formats(formats: list[str]) -> None:
    """Refuse formats that there are not.

    Raises:
        UnknownNameError: one is unknown.
    """
    for name in formats:
        if name not in EXPORTS:
            raise UnknownNameError("export format", name, EXPORTS)


def export_path(catalogue: Path, name: str, directory: Path) -> Path:
    """The file, for HATS the folder, that a catalogue is exported to."""
    return directory / f"{catalogue.stem}{EXPORTS[name][0]}"


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
        written[path] = _remark(EXPORTS[name][1](table, path))
    return written


def _remark(summary: object) -> str:
    """What is to be said about an export."""
    n_lost = getattr(summary, "n_without_position", 0)
    return f"without {n_lost} galaxies that have no position" if n_lost else ""
