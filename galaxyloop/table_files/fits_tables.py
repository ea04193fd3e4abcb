"""FITS binary tables: which extension holds the table, and its rows slice by slice."""

import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from galaxyloop.table_files.batches import Batch, TableColumn, refuse_missing
from galaxyloop.table_files.fits_cells import FitsColumn, fits_columns_of
from galaxyloop.table_files.places import BinaryFile, TableFile, local_file, open_anywhere
from galaxyloop.table_files.refusals import NoTableError


@dataclass(frozen=True)
class _Extension:
    """A binary table inside a FITS file."""

    columns: list[FitsColumn]
    n_rows: int
    row_bytes: int
    offset: int
    """Bytes before the first row."""


def fits_columns(file: TableFile) -> list[TableColumn]:
    """The columns of the file's table."""
    with open_anywhere(file) as opened:
        extension = _find_extension(opened, file)
    return [TableColumn(column.name, column.kind, column.unit) for column in extension.columns]


def fits_batches(file: TableFile, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """Batches of the table's rows, mapped from a local file."""
    with local_file(file) as path:
        with open(path, "rb") as opened:
            extension = _find_extension(opened, file)
        by_name = {column.name: column for column in extension.columns}
        refuse_missing(columns, list(by_name), file.uri)
        wanted = [by_name[name] for name in columns]
        rows = _map_rows(path, extension, wanted, file.uri)
        for start in range(0, extension.n_rows, batch_rows):
            part = rows[start : start + batch_rows]
            cells = [column.read(part[f"f{i}"], file.uri) for i, column in enumerate(wanted)]
            table = pa.RecordBatch.from_arrays(cells, names=list(columns))
            yield Batch(np.arange(start, start + len(part)), table)


def _map_rows(
    path: str, extension: _Extension, wanted: Sequence[FitsColumn], uri: str
) -> np.ndarray:
    """The table's rows with the wanted cells only, read from disk when looked at."""
    n_bytes = os.path.getsize(path)
    n_needed = extension.offset + extension.n_rows * extension.row_bytes
    if n_bytes < n_needed:
        raise NoTableError(
            f"{uri} is truncated: its header tells of {n_needed} bytes and it has {n_bytes}; "
            "fetch it again"
        )
    layout = np.dtype(
        {
            "names": [f"f{i}" for i in range(len(wanted))],
            "formats": [column.stored for column in wanted],
            "offsets": [column.offset for column in wanted],
            "itemsize": extension.row_bytes,
        }
    )
    if extension.n_rows == 0:
        return np.empty(0, layout)
    return np.memmap(path, layout, "r", extension.offset, (extension.n_rows,))


def _find_extension(opened: BinaryFile, file: TableFile) -> _Extension:
    """The binary table that was asked for, or the first that has rows, or else the first."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        # Of a truncated file astropy warns; it is measured below.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            with fits.open(opened, memmap=False, lazy_load_hdus=True) as hdus:
                return _describe(_choose(hdus, file), file.uri)
        except (OSError, fits.VerifyError, ValueError, LookupError, TypeError, EOFError) as error:
            if isinstance(error, OSError) and not _tells_damage(error):
                raise
            raise NoTableError(
                f"{file.uri} is a damaged FITS file ({' '.join(str(error).split())}); fetch it "
                "again"
            ) from error


def _tells_damage(error: OSError) -> bool:
    """Whether it is astropy's word on the content, or of a place that no file has, not a disk's."""
    return (type(error) is OSError and error.errno is None) or error.errno == errno.EINVAL


def _choose(hdus: Any, file: TableFile) -> Any:  # noqa: ANN401 - astropy has no types
    """The HDU that holds the table."""
    if file.part:
        for number, hdu in enumerate(hdus):
            if file.part == str(number) or file.part.casefold() == hdu.name.casefold():
                if _is_table(hdu):
                    return hdu
                break
    else:
        empty = None
        for hdu in hdus:
            if _is_table(hdu):
                if hdu.header["NAXIS2"] > 0:
                    return hdu
                empty = hdu if empty is None else empty
        if empty is not None:
            return empty
    what = f"no binary table [{file.part}]" if file.part else "no binary table"
    listed = "; ".join(_line(number, hdu) for number, hdu in enumerate(hdus))
    tables = [number for number, hdu in enumerate(hdus) if _is_table(hdu)]
    name = os.path.basename(file.uri)
    remedy = f"name one, as in {name}[{tables[0]}]" if tables else "give another file"
    raise NoTableError(f"{file.uri} has {what}; it has: {listed}; fetch it again, or {remedy}")


def _is_table(hdu: Any) -> bool:  # noqa: ANN401 - astropy has no types
    """Whether it is a binary table, and not a compressed image, which is stored as one."""
    header = hdu.header
    is_compressed = header.get("ZIMAGE", False) or header.get("ZTABLE", False)
    return header.get("XTENSION") == "BINTABLE" and not is_compressed


def _line(number: int, hdu: Any) -> str:  # noqa: ANN401 - astropy has no types
    """One HDU in a list of them."""
    header = hdu.header
    kind = {"BINTABLE": "binary table", "TABLE": "text table"}.get(header.get("XTENSION"), "image")
    if header.get("ZTABLE", False):
        kind = "compressed table (unpack it with funpack)"
    n_columns = f" of {header['TFIELDS']} columns" if "TFIELDS" in header else ""
    return f"[{number}] {hdu.name or 'unnamed'}: {kind}{n_columns}"


def _describe(hdu: Any, uri: str) -> _Extension:  # noqa: ANN401 - astropy has no types
    """Where the rows of an HDU lie and what they hold."""
    header = hdu.header
    columns = fits_columns_of(header)
    row_bytes, n_rows = int(header["NAXIS1"]), int(header["NAXIS2"])
    n_bytes = sum(column.n_bytes for column in columns)
    if n_bytes != row_bytes or n_rows < 0:
        raise NoTableError(
            f"{uri} is a damaged FITS file: its columns take {n_bytes} bytes and NAXIS1 says "
            f"{row_bytes}; fetch it again"
        )
    return _Extension(columns, n_rows, row_bytes, int(hdu.fileinfo()["datLoc"]))
