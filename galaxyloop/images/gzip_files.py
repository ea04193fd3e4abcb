"""FITS files packed by gzip, unpacked no further than allowed."""

import zlib

from galaxyloop.images.bounds import ImageBounds, ImageRejectedError

FITS_START = b"SIMPLE  ="
GZIP_START = b"\x1f\x8b"
_MAX_BYTES_A_PIXEL = 8
_HEADER_BYTES = 1_000_000
_PIECE_BYTES = 65_536
_MAX_MEMBERS = 10_000


def unpack_gzip(content: bytes, bounds: ImageBounds) -> bytes:
    """The FITS file that a gzip file holds, of one member or several.

    Raises:
        ImageRejectedError: no FITS, damaged, truncated, or longer than the largest image allowed.
    """
    limit = _MAX_BYTES_A_PIXEL * bounds.max_image_px + _HEADER_BYTES
    unpacked = bytearray()
    at = 0
    for _ in range(_MAX_MEMBERS):
        at = _unpack_member(content, at, unpacked, limit)
        if len(unpacked) > limit:
            raise ImageRejectedError(
                f"more than max_image_px={bounds.max_image_px} pixels",
                f"over {limit} bytes out of {len(content)} of gzip",
            )
        if not unpacked.startswith(FITS_START):
            raise ImageRejectedError("a gzip file without FITS", repr(bytes(unpacked[:16])))
        if not content.startswith(GZIP_START, at):
            return bytes(unpacked)
    raise ImageRejectedError("a damaged gzip file", f"over {_MAX_MEMBERS} members")


def _unpack_member(content: bytes, at: int, unpacked: bytearray, limit: int) -> int:
    """Append what one member holds, to just past the limit; where it ends."""
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    while not member.eof and len(unpacked) <= limit:
        piece = content[at : at + _PIECE_BYTES]
        if not piece:
            raise ImageRejectedError("a truncated gzip file", f"{len(content)} bytes")
        try:
            unpacked += member.decompress(piece, limit + 1 - len(unpacked))
        except zlib.error as error:
            raise ImageRejectedError("a damaged gzip file", str(error)) from error
        at += len(piece) - len(member.unused_data)
    return at
