"""What an image location names: a file, a file a band, or a row of a packed table."""

import re
from typing import NamedTuple

from galaxyloop.image_files.parts import NoImageError

PACKED = r"(?s)^(.+\.(?:parquet|pq))#(.+)/(\d{1,18})$"
"""Table, column and row of ``train-0.parquet#image/17``."""
_PACKED = re.compile(PACKED)
_LITERAL = r"(?:[^{}]|\{[^{},]*\})*"
_BRACES = re.compile(rf"^({_LITERAL})\{{([^{{}}]*,[^{{}}]*)\}}({_LITERAL})$", re.DOTALL)
_NO_BANDS = re.compile(rf"^{_LITERAL}$", re.DOTALL)
_BRACES_REASON = "a location with wrong braces"


class PackedLocation(NamedTuple):
    """A cell of a Parquet table."""

    table: str
    column: str
    row: int
    """Counted from 0 over the whole file."""


class BandLocation(NamedTuple):
    """A file that holds an image or one band of it."""

    band: str
    """Empty if the location names none."""
    uri: str


def packed_location(uri: str) -> PackedLocation | None:
    """The cell that a location names, or None if it names files."""
    found = _PACKED.match(uri) if "#" in uri else None
    return PackedLocation(found[1], found[2], int(found[3])) if found else None


def band_locations(uri: str) -> list[BandLocation]:
    """The files of an image: ``J1_{g,r,z}.fits`` is three, anything without such braces is one.

    Braces around a comma hold bands. Others, as in ``run{1}/J1.jpg``, belong to the name.

    Raises:
        NoImageError: the braces are no one pair around distinct names, parted by commas.
    """
    if _NO_BANDS.match(uri):
        return [BandLocation("", uri)]
    found = _BRACES.match(uri)
    if not found:
        raise NoImageError(_BRACES_REASON, f"{uri}: give one pair of braces, as in J1_{{g,r,z}}")
    bands = found[2].split(",")
    if any(not band or band != band.strip() for band in bands):
        raise NoImageError(_BRACES_REASON, f"{uri}: a band without a name, or blanks around it")
    if len(set(bands)) < len(bands):
        raise NoImageError(_BRACES_REASON, f"{uri}: a band is named twice")
    return [BandLocation(band, f"{found[1]}{band}{found[3]}") for band in bands]
