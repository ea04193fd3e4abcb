"""A catalogue as VOTable 1.4, BINARY2, streamed."""

import base64
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from galaxyloop.catalogue.columns import CatalogueColumn
from galaxyloop.catalogue.exports.files import complete_file
from galaxyloop.catalogue.exports.table import ExportTable

_TYPES = {"f8": "double", "f4": "float", "i4": "int"}
_END_OF_TABLE = b"</TABLE>"
# In the place of descriptions: astropy breaks long lines, after hyphens too.
_MARK = "@{}@"
_MARKED = re.compile(rb"\s*@(\d+)@\s*")
_LINE_BYTES = 3 * 2**14  # A multiple of 3, so that each line is base64 by itself.


def write_votable(table: ExportTable, path: Path) -> None:
    """Write a catalogue as VOTable, with UCDs, units, descriptions and ICRS as coordinate system.

    astropy writes the description of the columns; the rows are streamed into it.

    Raises:
        CatalogueError: two names would become one, or an id is not ASCII.
    """
    kind = table.binary_type()
    before, after = _describe(table, kind).split(_END_OF_TABLE)
    with complete_file(path) as file:
        file.write(before + b'<DATA><BINARY2><STREAM encoding="base64">\n')
        for line in _lines(_marked(table.binary_rows(kind), kind)):
            file.write(base64.b64encode(line) + b"\n")
        file.write(b"</STREAM></BINARY2></DATA>" + _END_OF_TABLE + after)


def _describe(table: ExportTable, kind: np.dtype) -> bytes:
    """The VOTable without rows."""
    from astropy.io.votable import tree

    document = tree.VOTableFile(version="1.4")
    resource = tree.Resource()
    document.resources.append(resource)
    resource.coordinate_systems.append(tree.CooSys(ID="icrs", system="ICRS"))
    for name, told in table.provenance.as_texts().items():
        resource.infos.append(tree.Info(name=f"galaxyloop.{name}", value=told))
    element = tree.TableElement(document, name="catalogue", nrows=table.n_rows)
    texts = [table.title, *(column.description for column in table.renamed)]
    element.description = _MARK.format(0)
    resource.tables.append(element)
    for number, column in enumerate(table.renamed, start=1):
        field = tree.Field(
            document,
            name=column.name,
            ucd=column.ucd,
            unit=column.unit or None,
            ref="icrs" if _is_position(column) else None,
            **_type(kind[column.name]),
        )
        field.description = _MARK.format(number)
        element.fields.append(field)
    written = io.BytesIO()
    document.to_xml(written)
    return _MARKED.sub(lambda mark: escape(texts[int(mark[1])]).encode("utf-8"), written.getvalue())


def _type(kind: np.dtype) -> dict[str, str]:
    """A field's data type and size."""
    if kind.kind == "S":
        return {"datatype": "char", "arraysize": str(kind.itemsize)}
    return {"datatype": _TYPES[kind.str[1:]]}


def _is_position(column: CatalogueColumn) -> bool:
    """Whether a column is a coordinate on the sky."""
    return column.ucd.startswith("pos.eq.")


def _marked(batches: Iterable[bytes], kind: np.dtype) -> Iterator[bytes]:
    """Rows with BINARY2's bits of nulls before each; none is set, as NaN says the same."""
    n_fields = len(kind.names or ())
    marked = np.dtype([("nulls", f"V{-(-n_fields // 8)}"), ("row", f"V{kind.itemsize}")])
    for batch in batches:
        rows = np.zeros(len(batch) // kind.itemsize, dtype=marked)
        rows["row"] = np.frombuffer(batch, dtype=f"V{kind.itemsize}")
        yield rows.tobytes()


def _lines(batches: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in equal pieces, the last one excepted."""
    waiting = b""
    for batch in batches:
        waiting += batch
        n_whole = len(waiting) - len(waiting) % _LINE_BYTES
        for start in range(0, n_whole, _LINE_BYTES):
            yield waiting[start : start + _LINE_BYTES]
        waiting = waiting[n_whole:]
    if waiting:
        yield waiting
