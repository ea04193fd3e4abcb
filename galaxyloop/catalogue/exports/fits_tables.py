"""A catalogue as a FITS binary table (standard 4.0, section 7.3), streamed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from galaxyloop.catalogue.columns import CatalogueColumn, export_names
from galaxyloop.catalogue.exports.files import complete_file
from galaxyloop.catalogue.exports.table import ExportTable
from galaxyloop.errors import CatalogueError

MAX_COLUMNS = 999
"""Columns that a FITS table may have: their number has three digits in the header."""
MAX_NAME = 68
"""Letters of a name that fit into one header card."""
_BLOCK = 2880
_FORMS = {"f8": "D", "f4": "E", "i4": "J"}


def check_fits(columns: Sequence[CatalogueColumn]) -> None:
    """Refuse columns that a FITS table cannot hold.

    Raises:
        CatalogueError: there are too many, a name is too long, or two names would become one.
    """
    if len(columns) > MAX_COLUMNS:
        raise CatalogueError(
            f"the catalogue has {len(columns)} columns, and a FITS table at most {MAX_COLUMNS}; "
            "export its friendly version, votable or hats"
        )
    for name in export_names([column.name for column in columns]).values():
        if len(name) > MAX_NAME:
            raise CatalogueError(
                f"the column '{name}' has {len(name)} letters, and FITS names at most {MAX_NAME}; "
                "shorten the question or the answer, or export votable or hats"
            )


def write_fits(table: ExportTable, path: Path) -> None:
    """Write a catalogue as FITS.

    Each column has ``TTYPE``, ``TUNIT``, and what TOPCAT reads besides: ``TUCD`` and ``TCOMM``.
    Where it came from stands in the header's comments. Rows are streamed.

    Raises:
        CatalogueError: there are too many columns, a name is too long, two names would become one,
            or an id is not ASCII.
    """
    check_fits(table.columns)
    kind = table.binary_type()
    with complete_file(path) as file:
        for header in _headers(table, kind):
            file.write(header.tostring().encode("ascii"))
        n_bytes = 0
        for rows in table.binary_rows(kind):
            n_bytes += file.write(rows)
        file.write(b"\0" * (-n_bytes % _BLOCK))


def _headers(table: ExportTable, kind: np.dtype) -> tuple[Any, Any]:
    """The headers of the empty primary unit and of the table."""
    from astropy.io import fits

    columns = [
        fits.Column(column.name, _form(kind[column.name]), unit=column.unit or None)
        for column in table.renamed
    ]
    header = fits.BinTableHDU.from_columns(columns, nrows=0).header
    header["NAXIS2"] = table.n_rows
    header["EXTNAME"] = "CATALOGUE"
    for number, column in enumerate(table.renamed, start=1):
        header[f"TUCD{number}"] = column.ucd
        header[f"TCOMM{number}"] = _ascii(column.description)
    for name, text in table.provenance.as_texts().items():
        header.add_comment(_ascii(f"galaxyloop.{name} = {text}"))
    return fits.PrimaryHDU().header, header


def _form(kind: np.dtype) -> str:
    """A column's TFORM."""
    return f"{kind.itemsize}A" if kind.kind == "S" else _FORMS[kind.str[1:]]


def _ascii(text: str) -> str:
    """A text as FITS headers take it: other letters become question marks."""
    return text.encode("ascii", "replace").decode("ascii")
