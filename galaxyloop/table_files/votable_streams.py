"""VOTables' BINARY and BINARY2: whether a stream ends where a row does."""

import base64
import math
import re
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

_N_BYTES = {
    "boolean": 1,
    "unsignedByte": 1,
    "char": 1,
    "short": 2,
    "unicodeChar": 2,
    "int": 4,
    "float": 4,
    "long": 8,
    "double": 8,
    "floatComplex": 8,
    "doubleComplex": 16,
}
_SHAPE = re.compile(r"\d+(?:x\d+)*")
_VARIABLE = re.compile(r"\d*\*")


@dataclass(frozen=True)
class _Cell:
    """How many bytes a cell takes."""

    n_bytes: int
    """Of the whole cell, or of each value where their number is written before them."""
    is_variable: bool = False


def ends_within_a_row(path: str, number: int) -> bool:
    """Whether the stream of one table of a file was cut; false if that cannot be told.

    Args:
        path: a local VOTable.
        number: of the TABLE element, from 0.
    """
    at, fields, is_binary2 = -1, [], False
    for event, element in ElementTree.iterparse(path, events=("start", "end")):
        tag = element.tag.rsplit("}", 1)[-1]
        if event == "start" and tag == "TABLE":
            at += 1
        elif event == "start" and tag == "FIELD" and at == number:
            fields.append((element.get("datatype", ""), element.get("arraysize") or "1"))
        elif event == "start" and tag == "BINARY2":
            is_binary2 = at == number
        elif event == "end" and tag == "STREAM" and at == number:
            data = base64.b64decode("".join((element.text or "").split()))
            cells = _cells(fields, is_binary2)
            return cells is not None and not _is_whole(data, cells)
        elif event == "end":
            element.clear()
    return False


def _cells(fields: Sequence[tuple[str, str]], is_binary2: bool) -> list[_Cell] | None:
    """The cells of a row; none where the standard leaves their size open."""
    cells = [_Cell(-(-len(fields) // 8))] if is_binary2 else []
    for datatype, shape in fields:
        is_fixed = _SHAPE.fullmatch(shape) is not None
        n_values = math.prod(int(size) for size in shape.split("x")) if is_fixed else 1
        if datatype == "bit" and is_fixed:
            cells.append(_Cell(-(-n_values // 8)))
        elif datatype in _N_BYTES and (is_fixed or _VARIABLE.fullmatch(shape)):
            cells.append(_Cell(n_values * _N_BYTES[datatype], not is_fixed))
        else:
            return None
    return cells


def _is_whole(data: bytes, cells: Sequence[_Cell]) -> bool:
    """Whether the bytes are rows from the first to the last."""
    if not any(cell.is_variable for cell in cells):
        row_bytes = sum(cell.n_bytes for cell in cells)
        return not data or (row_bytes > 0 and len(data) % row_bytes == 0)
    place = 0
    while place < len(data):
        for cell in cells:
            if cell.is_variable:
                if place + 4 > len(data):
                    return False
                (n_values,) = struct.unpack_from(">I", data, place)
                place += 4 + n_values * cell.n_bytes
            else:
                place += cell.n_bytes
    return place == len(data)
