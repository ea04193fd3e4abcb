"""Files packed by gzip, unpacked no further than allowed."""

import zlib

from galaxyloop.images.bounds import ImageBounds, ImageRejectedError

GZIP_START = b"\x1f\x8b"
_MAX_BYTES_A_PIXEL = 8
_HEADER_BYTES = 1_000_000


def unpack_gzip(content: bytes, bounds: ImageBounds) -> bytes:
    """What a gzip file holds, if that can be an image within bounds.

    Raises:
        ImageRejectedError: damaged, truncated, or longer than the largest image allowed.
    """
    limit = _MAX_BYTES_A_PIXEL * bounds.max_image_px + _HEADER_BYTES
    unpacked = bytearray()
    while content.startswith(GZIP_START):
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            unpacked += member.decompress(content, limit + 1 - len(unpacked))
        except zlib.error as error:
            raise ImageRejectedError("a damaged gzip file", str(error)) from error
        if len(unpacked) > limit:
            raise ImageRejectedError(
                f"a gzip file with more than max_image_px={bounds.max_image_px} pixels",
                f"over {limit} bytes",
            )
        if not member.eof:
            raise ImageRejectedError("a truncated gzip file", f"{len(content)} bytes")
        content = member.unused_data
    return bytes(unpacked)
