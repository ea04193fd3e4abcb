"""Columns of FITS binary tables (standard 4.0, section 7.3): stored bytes to exact values."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyloop.table_files.refusals import NoTableError

_FORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])(.*)")
_WIDTH = re.compile(r"w?(\d+)")
_SIZE = re.compile(r"\d+")
_STORED = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_N_BYTES = {"L": 1, "X": 0, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1}
_N_BYTES |= {"E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
_OFFSET_BINARY = {
    ("B", -128): "i1",
    ("I", 2**15): "u2",
    ("J", 2**31): "u4",
    ("K", 2**63): "u8",
}
"""Code and TZERO to the type that FITS stores shifted by half its range."""


@dataclass(frozen=True)
class FitsColumn:
    """A column as the header describes it."""

    name: str
    form: str
    """TFORM without blanks."""
    offset: int
    """Bytes before its cell in a row."""
    unit: str
    null: int | None
    """TNULL: the stored number that means nothing."""
    scale: float
    zero: float | int
    shape: str = ""
    """TDIM; of text, with more than one number, it cuts a cell into several."""

    @property
    def repeat(self) -> int:
        """Values, or characters, in a cell."""
        count = _parts(self.form)[0]
        return int(count) if count else 1

    @property
    def code(self) -> str:
        """The letter of TFORM."""
        return _parts(self.form)[1]

    @property
    def n_bytes(self) -> int:
        """Size of a cell."""
        if self.code == "X":
            return -(-self.repeat // 8)
        return self.repeat * _N_BYTES[self.code]

    @property
    def is_scalar(self) -> bool:
        """Whether a cell is one value that can be read."""
        if self.code != "A":
            return self.code in _STORED and self.repeat == 1
        width = _WIDTH.fullmatch(_parts(self.form)[2])
        n_texts = self.repeat // max(int(width[1]), 1) if width else 1
        return n_texts <= 1 and math.prod(int(n) for n in _SIZE.findall(self.shape)[1:]) == 1

    @property
    def stored(self) -> np.dtype[Any]:
        """How a cell is stored; bytes if it cannot be read."""
        readable = self.code in _STORED and self.repeat == 1
        form = _STORED[self.code] if readable else f"{'S' if self.code == 'A' else 'V'}"
        return np.dtype(form if readable else f"{form}{self.n_bytes}")

    @property
    def kind(self) -> pa.DataType:
        """What it gives."""
        if not self.is_scalar:
            return pa.list_(pa.null())
        if self.code == "A":
            return pa.string()
        return pa.bool_() if self.code == "L" else pa.from_numpy_dtype(self._given)

    @property
    def _given(self) -> np.dtype[Any]:
        """The number type of its values."""
        native = self.stored.newbyteorder("=")
        if self.scale == 1 and self.zero == 0:
            return native
        if self.code in "ED":
            return np.dtype("f8")
        if self.scale == 1 and (self.code, self.zero) in _OFFSET_BINARY:
            return np.dtype(_OFFSET_BINARY[self.code, int(self.zero)])
        return np.dtype("f8")

    def read(self, cells: np.ndarray, uri: str) -> pa.Array:
        """Stored cells to values.

        Raises:
            NoTableError: the cells are vectors, bits or complex numbers.
        """
        if not self.is_scalar:
            raise NoTableError(
                f"{uri}: a cell of column '{self.name}' holds several values or none that is a "
                f"number or text (TFORM {self.form}); write the values as columns of their own"
            )
        if self.code == "A" and not self.repeat:
            return pa.array([""] * len(cells), pa.string())
        if self.code == "A":
            return _text(cells, self.name, uri)
        if self.code == "L":
            return pa.array(cells == ord("T"), mask=(cells != ord("T")) & (cells != ord("F")))
        numbers = cells.astype(cells.dtype.newbyteorder("="))
        is_null = None if self.null is None or self.code in "ED" else numbers == self.null
        return pa.array(self._scaled(numbers), mask=is_null)

    def _scaled(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers times TSCAL plus TZERO; unsigned ones exactly."""
        given = self._given
        if given == numbers.dtype:
            return numbers
        if given.kind in "iu":
            # Half the range is one bit: turning it over adds TZERO without overflow.
            unsigned = numbers.view(f"u{given.itemsize}")
            half = np.array(1 << (8 * given.itemsize - 1), unsigned.dtype)
            return np.asarray(np.bitwise_xor(unsigned, half).view(given))
        return np.asarray(numbers.astype(np.float64) * self.scale + float(self.zero))


def fits_columns_of(header: Any) -> list[FitsColumn]:  # noqa: ANN401 - astropy has no types
    """The columns that a header of a binary table describes; those without a name get COLn."""
    columns: list[FitsColumn] = []
    offset = 0
    for number in range(1, int(header["TFIELDS"]) + 1):
        column = FitsColumn(
            name=str(header.get(f"TTYPE{number}", f"COL{number}")).strip(),
            form=str(header[f"TFORM{number}"]).strip(),
            offset=offset,
            unit=str(header.get(f"TUNIT{number}", "")).strip(),
            null=_number(header, f"TNULL{number}", None),
            scale=float(_number(header, f"TSCAL{number}", 1)),
            zero=_number(header, f"TZERO{number}", 0),
            shape=str(header.get(f"TDIM{number}", "")),
        )
        columns.append(column)
        offset += column.n_bytes
    return columns


def _number(header: Any, key: str, default: int | None) -> Any:  # noqa: ANN401 - as above
    """A number of a header.

    Raises:
        ValueError: it is none.
    """
    value = header.get(key, default)
    if value is not default and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"{key} = {value!r} is no number")
    return value


def _parts(form: str) -> tuple[str, str, str]:
    """Repeat count, letter and the rest of a TFORM."""
    match = _FORM.fullmatch(form)
    if match is None:
        raise ValueError(f"TFORM {form!r} is none of the standard")
    return match[1], match[2], match[3]


def _text(cells: np.ndarray, name: str, uri: str) -> pa.Array:
    """Text without trailing blanks, up to a NUL if there is one."""
    values = pa.array(np.strings.rstrip(cells, b" ").tolist(), pa.binary())
    try:
        texts = values.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise NoTableError(f"{uri}: column '{name}' holds bytes that are no text in UTF-8") from (
            error
        )
    has_nul = pc.any(pc.match_substring(texts, "\x00")).as_py()
    return pc.replace_substring_regex(texts, "\x00.*", "") if has_nul else texts
