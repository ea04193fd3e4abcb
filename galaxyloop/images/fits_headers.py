"""The headers of a FITS file: which HDUs it has, of what size, and where their data begin.

Only the keywords that an image needs are looked at, since reading headers is most of the work for
a small cutout. Pence et al. 2010 (A&A 524, A42) define the format.
"""

import math
import re
from dataclasses import dataclass

from galaxyloop.images.bounds import ImageRejectedError

BLOCK_BYTES = 2880
_CARD_BYTES = 80
_END = b"END     "
_MAX_AXES = 999
_MAX_LISTED = 12
_MAX_UNITS = 1000
_TEXT = re.compile(rb"\s*'((?:[^']|'')*)'")
_WHOLE = re.compile(rb" *([+-]?[0-9]+) *(?:/|$)")
_NUMBERS = {b"BITPIX  ", b"PCOUNT  ", b"GCOUNT  ", b"ZNAXIS  "}
_OTHERS = {
    *(b"XTENSION", b"BSCALE  ", b"BZERO   ", b"BLANK   ", b"ZIMAGE  ", b"GROUPS  "),
    *(b"EXTNAME ", b"BAND    ", b"FILTER  ", b"BANDS   ", b"IMAGETYP", b"IMTYPE  "),
}
_WANTED = _NUMBERS | _OTHERS
_FAMILIES = (b"NAXIS", b"ZNAXI", b"BAND", b"ZNAME", b"ZVAL", b"ZCMPTYPE")


@dataclass(frozen=True)
class HeaderUnit:
    """One header and what it says of the data after it."""

    index: int
    """Place in the file, from 0."""
    cards: dict[bytes, bytes]
    """Keywords as they stand, eight bytes, and what follows them."""
    start: int
    """Where the data begin [byte]."""
    bitpix: int
    """Bits of a number as stored, negative for floating point."""
    shape: tuple[int, ...]
    """Of the image, slowest axis first; empty without data, or if it is no image."""
    n_bytes: int
    """Length of the data, without what fills the last block."""
    is_compressed: bool
    """Whether the image lies in tiles in a binary table."""

    @property
    def name(self) -> str:
        """EXTNAME, or what stands for it."""
        fallback = "PRIMARY" if self.index == 0 else ""
        return self.text(b"EXTNAME ") or fallback

    @property
    def end(self) -> int:
        """First byte after the data."""
        return self.start + self.n_bytes

    def text(self, keyword: bytes) -> str:
        """The value of a keyword without quotes and comment; empty if it is not there."""
        return _text(self.cards.get(keyword, b""))


def read_headers(content: bytes) -> list[HeaderUnit]:
    """The header of every HDU, as far as the file reaches.

    Raises:
        ImageRejectedError: a header is damaged, the file ends within the first, or it has more
            than a thousand.
    """
    units: list[HeaderUnit] = []
    at = 0
    while not units or content.startswith(b"XTENSION", at):
        if len(units) == _MAX_UNITS:
            raise ImageRejectedError(
                f"a FITS file of more than {_MAX_UNITS} HDUs", f"{len(content)} bytes"
            )
        units.append(_read_header(content, at, len(units)))
        at = units[-1].start + -(-units[-1].n_bytes // BLOCK_BYTES) * BLOCK_BYTES
    return units


def describe_units(units: list[HeaderUnit]) -> str:
    """What a file holds, for messages."""
    told = [f"{unit.index} {unit.name or 'unnamed'} ({_kind(unit)})" for unit in units]
    more = f" and {len(told) - _MAX_LISTED} more" if len(told) > _MAX_LISTED else ""
    return "HDUs " + ", ".join(told[:_MAX_LISTED]) + more


def _kind(unit: HeaderUnit) -> str:
    """Size of an image in the order of its header, or that there is none."""
    if unit.shape:
        return " x ".join(str(length) for length in reversed(unit.shape))
    return "no image" if unit.n_bytes else "no data"


def _read_header(content: bytes, start: int, index: int) -> HeaderUnit:
    """One header, from its first byte on."""
    cards: dict[bytes, bytes] = {}
    at = start
    while (keyword := content[at : at + 8]) != _END:
        if keyword in _WANTED or keyword.startswith(_FAMILIES):
            cards.setdefault(keyword, content[at + 10 : at + _CARD_BYTES])
        at += _CARD_BYTES
        if at >= len(content):
            raise ImageRejectedError("a truncated FITS file", f"{len(content)} bytes")
    data = start + -(-(at + _CARD_BYTES - start) // BLOCK_BYTES) * BLOCK_BYTES
    axes = _axes(cards, b"NAXIS")
    bitpix = _number(cards, b"BITPIX  ")
    extra = _number(cards, b"PCOUNT  ", 0), _number(cards, b"GCOUNT  ", 1)
    if min(extra) < 0:
        raise ImageRejectedError("a damaged FITS header", f"PCOUNT, GCOUNT = {extra}")
    is_grouped = _text(cards.get(b"GROUPS  ", b"")) == "T" and axes[:1] == [0]
    size = math.prod(axes[1:] if is_grouped else axes) if axes else -extra[0]
    n_bytes = abs(bitpix) // 8 * extra[1] * (extra[0] + size)
    is_compressed = _text(cards.get(b"ZIMAGE  ", b"")) == "T"
    is_image = b"XTENSION" not in cards or _text(cards[b"XTENSION"]) == "IMAGE"
    shape = _axes(cards, b"ZNAXIS") if is_compressed else axes if is_image else []
    shape = shape[::-1] if math.prod(shape) else []
    return HeaderUnit(index, cards, data, bitpix, tuple(shape), n_bytes, is_compressed)


def _axes(cards: dict[bytes, bytes], keyword: bytes) -> list[int]:
    """Lengths of the axes, fastest first."""
    n_axes = _number(cards, keyword.ljust(8))
    if not 0 <= n_axes <= _MAX_AXES:
        raise ImageRejectedError("a damaged FITS header", f"{keyword.decode()} = {n_axes}")
    axes = [_number(cards, (keyword + b"%d" % i).ljust(8)) for i in range(1, n_axes + 1)]
    if min(axes, default=0) < 0:
        raise ImageRejectedError("a damaged FITS header", f"axes of {axes}")
    return axes


def _number(cards: dict[bytes, bytes], keyword: bytes, default: int | None = None) -> int:
    """A whole number."""
    raw = cards.get(keyword)
    if raw is None and default is not None:
        return default
    # int() alone would take 3_2, too.
    number = _WHOLE.match(raw or b"")
    if not number:
        found = repr(_text(raw or b"")) if raw else "missing"
        name = keyword.decode("ascii").strip()
        raise ImageRejectedError("a damaged FITS header", f"{name} is {found}")
    return int(number[1])


def _text(raw: bytes) -> str:
    """A value without quotes and comment."""
    quoted = _TEXT.match(raw)
    value = quoted[1].replace(b"''", b"'") if quoted else raw.partition(b"/")[0]
    return value.decode("ascii", "replace").strip()
