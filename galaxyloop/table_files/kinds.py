"""Which format a file has, by its first bytes, as names may lie."""

import re
import zlib

from galaxyloop.table_files.refusals import FORMATS, NoTableError

N_FIRST_BYTES = 4096
"""Enough to find VOTable's element behind an XML declaration and comments."""
_GZIP = b"\x1f\x8b"
_MAGIC = {
    b"PAR1": "parquet",
    b"SIMPLE  =": "FITS",
    b"PK\x03\x04": "zip",
    b"\x89HDF": "HDF5",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"ARROW1": "Arrow",
}
_READABLE = ("csv", "parquet", "FITS", "VOTable")
_VOTABLE = re.compile(rb"<(\w+:)?VOTABLE[\s>]")


def find_kind(start: bytes, uri: str) -> tuple[str, bool]:
    """The format of a file, and whether it is zipped by gzip.

    Args:
        start: its first bytes, ``N_FIRST_BYTES`` if it has as many.
        uri: names the file in errors.

    Returns:
        One of csv, parquet, FITS and VOTable; and true if it is inside a gzip file.

    Raises:
        NoTableError: it is empty, or of another kind.
    """
    is_zipped = start.startswith(_GZIP)
    if is_zipped:
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, N_FIRST_BYTES)
        except zlib.error as error:
            raise NoTableError(f"{uri} is a damaged gzip file ({error}); fetch it again") from error
    kind = _kind_of(start, uri)
    if kind not in _READABLE:
        raise NoTableError(f"{uri} is {kind}; give {FORMATS}")
    return kind, is_zipped


def _kind_of(start: bytes, uri: str) -> str:
    """The format of unzipped bytes, or what else they are."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise NoTableError(f"{uri} is empty; fetch it again")
    if text.startswith(b"<"):
        return "VOTable" if _VOTABLE.search(start) else "a web page or XML file"
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind if kind in _READABLE else f"a {kind} file"
    return "a binary file" if b"\x00" in start[:64] else "csv"
