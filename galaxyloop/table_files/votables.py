"""VOTables (IVOA, 1.1 to 1.5): TABLEDATA, BINARY and BINARY2; a table is read as a whole."""

import io
import re
import struct
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from galaxyloop.storage import local_path
from galaxyloop.table_files.batches import Batch, TableColumn, refuse_missing
from galaxyloop.table_files.kinds import N_FIRST_BYTES
from galaxyloop.table_files.places import (
    BinaryFile,
    BoundedReader,
    TableFile,
    local_file,
    open_stream,
)
from galaxyloop.table_files.refusals import NoTableError
from galaxyloop.table_files.votable_streams import ends_within_a_row

_KINDS = {
    "boolean": pa.bool_(),
    "bit": pa.bool_(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
}
_TEXT = ("char", "unicodeChar")
_ROOT = re.compile(rb"(<(?:\w+:)?VOTABLE)(?=[\s>])([^>]*)")
_VERSION = re.compile(rb"(?<=\s)version\s*=")
_OLD_VERSION = re.compile(rb"((?<=\s)version\s*=\s*[\"'])1\.[012](?=[\"'])")


@dataclass
class _Outline:
    """A TABLE element as its FIELDs describe it."""

    names: tuple[str, str]
    """Its name and its ID."""
    columns: list[TableColumn] = field(default_factory=list)
    has_rows: bool = False
    is_stream: bool = False
    """Whether its rows are a stream of bytes."""
    n_rows: int | None = None
    """As the element states it."""
    is_elsewhere: bool = False
    """Whether its rows lie at another address, or in FITS."""


def votable_columns(file: TableFile) -> list[TableColumn]:
    """The columns of the file's table, read up to its first row."""
    return _choose(file)[1].columns


def votable_batches(file: TableFile, columns: Sequence[str], batch_rows: int) -> Iterator[Batch]:
    """Batches of the table's rows."""
    number, outline = _choose(file)
    names = [column.name for column in outline.columns]
    refuse_missing(columns, names, file.uri)
    rows = _parse(file, number, outline)
    for start in range(0, len(rows), batch_rows):
        part = rows[start : start + batch_rows]
        cells = [_cells(part, names.index(name), name, file.uri) for name in columns]
        table = pa.RecordBatch.from_arrays(cells, names=list(columns))
        yield Batch(np.arange(start, start + len(part)), table)


def _parse(file: TableFile, number: int, outline: _Outline) -> np.ma.MaskedArray:
    """The rows of one table of the file."""
    from astropy.io.votable import parse
    from astropy.io.votable.exceptions import W51
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings(), local_file(file) as path, open(path, "rb") as opened:
        # Files of archives break the standard in many harmless ways, but W51 changes a number.
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.simplefilter("error", W51)
        try:
            source = _as_version_1_3(opened)
            tables = list(parse(source, table_number=number, verify="warn").iter_tables())
            is_cut = outline.is_stream and ends_within_a_row(path, number)
        except (ValueError, TypeError, IndexError, KeyError, struct.error, W51) as error:
            raise _damaged(file, error) from error
    rows: np.ma.MaskedArray = tables[number].array
    if is_cut or (outline.is_stream and outline.n_rows not in (None, len(rows))):
        stated = "" if outline.n_rows is None else f" of {outline.n_rows}"
        raise NoTableError(
            f"{file.uri} is truncated: its stream ends after {len(rows)}{stated} whole rows; fetch "
            "it again"
        )
    return rows


def _as_version_1_3(opened: BinaryFile) -> Callable[[int], bytes]:
    """Reads a file as one of version 1.3 at least, where empty cells of whole numbers are null.

    By the versions before they would be 0.
    """
    start = _ROOT.sub(_with_version, opened.read(N_FIRST_BYTES), count=1)
    parts = io.BytesIO(start)

    def read(size: int) -> bytes:
        # A shorter answer would be taken for the end.
        block = parts.read(size)
        return block + bytes(opened.read(size - len(block)))

    return read


def _with_version(root: re.Match[bytes]) -> bytes:
    """The beginning of the VOTABLE element with a version of 1.3 or later."""
    name, attributes = root.groups()
    if _VERSION.search(attributes) is None:
        return name + b' version="1.3"' + attributes
    return name + _OLD_VERSION.sub(rb"\g<1>1.3", attributes)


def _cells(rows: np.ma.MaskedArray, number: int, name: str, uri: str) -> pa.Array:
    """One column of some rows; masked cells are null."""
    column = rows[(rows.dtype.names or ())[number]]
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    values, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    is_text = values.dtype.kind in "OUS" and all(isinstance(value, str | bytes) for value in values)
    if column.ndim == 1 and is_text:
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        return pa.array(texts, pa.string(), mask=mask)
    if column.ndim != 1 or values.dtype.kind not in "biuf":
        raise NoTableError(
            f"{uri}: a cell of column '{name}' holds several values or none that is a number or "
            "text; write the values as columns of their own"
        )
    return pa.array(values.astype(values.dtype.newbyteorder("=")), mask=mask)


def _choose(file: TableFile) -> tuple[int, _Outline]:
    """Number and outline of the table asked for, or of the first with rows, or else the first."""
    outlines: list[_Outline] = []
    wanted = file.part.casefold()
    for outline in _outlines(file):
        outlines.append(outline)
        is_named = wanted in (str(len(outlines) - 1), *(name.casefold() for name in outline.names))
        if is_named if wanted else outline.has_rows:
            if outline.is_elsewhere:
                raise NoTableError(
                    f"{file.uri} only names the place of its rows, or holds them as FITS; give "
                    "that file, or a VOTable with TABLEDATA, BINARY or BINARY2 inside"
                )
            return len(outlines) - 1, outline
    if outlines and not wanted:
        return 0, outlines[0]
    what = f"no table [{file.part}]" if wanted else "no table"
    listed = "; ".join(
        f"[{i}] {outline.names[0] or outline.names[1] or 'unnamed'} of {len(outline.columns)} "
        "columns"
        for i, outline in enumerate(outlines)
    )
    raise NoTableError(f"{file.uri} has {what}; it has: {listed or 'none'}; fetch or name another")


def _outlines(file: TableFile) -> Iterator[_Outline]:
    """The TABLE elements of a file, each when its first row or its end is met."""
    current: _Outline | None = None
    is_local = local_path(file.uri) is not None and not file.is_zipped
    try:
        with open_stream(file.uri, file.is_zipped) as opened:
            source = opened if is_local else BoundedReader(opened, file)
            for event, element in ElementTree.iterparse(source, events=("start", "end")):
                tag = element.tag.rsplit("}", 1)[-1]
                if event == "start" and tag == "TABLE":
                    current = _outline(element)
                elif event == "start" and tag == "FIELD" and current is not None:
                    current.columns.append(_column(element))
                elif event == "start" and tag in ("TR", "STREAM", "FITS") and current is not None:
                    current.has_rows = True
                    current.is_stream = tag == "STREAM"
                    current.is_elsewhere = tag == "FITS" or "href" in element.attrib
                    yield current
                    current = None
                elif event == "end" and tag == "TABLE" and current is not None:
                    yield current
                    current = None
                elif event == "end":
                    _refuse_error(element, tag, file.uri)
                    element.clear()
    except ElementTree.ParseError as error:
        raise _damaged(file, error) from error


def _outline(element: ElementTree.Element) -> _Outline:
    """A table as its TABLE element begins."""
    n_rows = element.get("nrows", "")
    names = (element.get("name", ""), element.get("ID", ""))
    return _Outline(names, n_rows=int(n_rows) if n_rows.isdecimal() else None)


def _column(element: ElementTree.Element) -> TableColumn:
    """A column as its FIELD describes it."""
    datatype, size = element.get("datatype", ""), element.get("arraysize", "1")
    kind = pa.string() if datatype in _TEXT else _KINDS.get(datatype)
    if kind is None or (size != "1" and datatype not in _TEXT):
        kind = pa.list_(pa.null())
    return TableColumn(
        element.get("name") or element.get("ID") or "", kind, element.get("unit", "")
    )


def _refuse_error(element: ElementTree.Element, tag: str, uri: str) -> None:
    """Stop at the message that a service sends in place of a table."""
    is_status = tag == "INFO" and element.get("name", "").upper() == "QUERY_STATUS"
    if is_status and element.get("value", "").upper() == "ERROR":
        told = " ".join((element.text or "no reason given").split())
        raise NoTableError(f"{uri} holds an error of the service, not a table: {told[:300]}")


def _damaged(file: TableFile, error: Exception) -> NoTableError:
    """The refusal of a file that ends early or breaks the standard."""
    told = " ".join(str(error).split())
    return NoTableError(f"{file.uri} is a damaged VOTable ({told}); fetch it again")
