"""JPEG and PNG to RGB, or the reason why not."""

import struct
import zlib

import cv2
import numpy as np

from galaxyloop.images.bounds import ImageBounds, ImageRejectedError, Pixels, check_size

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_SCAN_MARKER = 0xDA
_PNG_START = b"\x89PNG\r\n\x1a\n"
_FRAME_MARKERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
_TEXT_STARTS = {
    b"<!doctype html": "an HTML page instead of an image",
    b"<html": "an HTML page instead of an image",
    b"<?xml": "an XML document instead of an image",
    b"<error": "an XML document instead of an image",
    b"{": "a JSON document instead of an image",
    b"version https://git-lfs": "a Git LFS pointer instead of an image",
    b"simple  =": "a damaged FITS file",
}


def is_picture(content: bytes) -> bool:
    """Whether bytes begin like a JPEG or PNG."""
    return content.startswith((_JPEG_START, _PNG_START))


def is_jpeg(content: bytes) -> bool:
    """Whether bytes begin like a JPEG."""
    return content.startswith(_JPEG_START)


def decode_rgb(content: bytes, bounds: ImageBounds, wanted_px: int = 0) -> Pixels:
    """Decode a JPEG or PNG to 8-bit RGB; grey is repeated, alpha dropped, 16 bits scaled.

    The size is read from the header first, so that a small file cannot unpack into more memory
    than allowed. OpenCV decodes: torchvision 0.29 announces the end of its own decoders, and a
    damaged PNG ends the whole process there. An orientation tag is not followed.

    Args:
        content: the file.
        bounds: what it may measure, before any reduction.
        wanted_px: a JPEG may be decoded at 1/8, 1/4 or 1/2 of its size, the smallest that leaves
            its shorter side at least so long [px] and divides both sides; 0 decodes it whole.
            The low frequencies of its blocks are all that is unpacked, so they are averages.

    Raises:
        ImageRejectedError: not an image, damaged, truncated, too large or too small.
    """
    if is_jpeg(content):
        size = _jpeg_size(content)
        check_size(size, bounds)
        return _decode_jpeg(content, _reduction(size, wanted_px))
    if content.startswith(_PNG_START):
        check_size(_png_size(content), bounds)
        return _decode_png(content)
    raise not_an_image(content)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height from the frame header, after checking that the file has its end.

    Decoders fill what is missing of a truncated JPEG with grey and say nothing. Inside the
    compressed data 0xFF is always followed by 0 or a restart mark, so an end mark after the
    start of the scan is the real one; a thumbnail's lies before.
    """
    at, size = 2, None
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            size = width, height
        if marker == _SCAN_MARKER:
            break
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    if content.rfind(_JPEG_END, at) < 0:
        raise ImageRejectedError("a truncated JPEG", f"{len(content)} bytes")
    if size is None:
        raise ImageRejectedError("a damaged JPEG", "no size in its header")
    return size


def _reduction(size_px: tuple[int, int], wanted_px: int) -> int:
    """How many times smaller an image of this width and height is decoded.

    Sides are divided without remainder, or the last pixels would be averages of half an edge.
    """
    for factor in _REDUCED:
        if 0 < wanted_px * factor <= min(size_px) and not any(side % factor for side in size_px):
            return factor
    return 1


def _decode_jpeg(content: bytes, reduction: int) -> Pixels:
    """JPEG bytes to RGB, 1, 2, 4 or 8 times smaller."""
    flags = _REDUCED.get(reduction, cv2.IMREAD_COLOR_RGB) | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None:
        raise ImageRejectedError("a damaged JPEG", f"{len(content)} bytes")
    if reduction > 1:
        # OpenCV reduces to BGR alone.
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    return np.asarray(image)


def _png_size(content: bytes) -> tuple[int, int]:
    """Width and height from the first chunk, after checking that every chunk is whole."""
    at = len(_PNG_START)
    while True:
        header = content[at : at + 8]
        if len(header) < 8:
            raise ImageRejectedError("a truncated PNG", f"{len(content)} bytes")
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        end = at + 8 + length
        checksum = content[end : end + 4]
        if len(checksum) < 4:
            raise ImageRejectedError("a truncated PNG", f"{len(content)} bytes")
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(checksum, "big"):
            raise ImageRejectedError("a damaged PNG", f"checksum of the chunk at byte {at}")
        if kind == b"IEND":
            break
        at = end + 4
    if content[12:16] != b"IHDR":
        raise ImageRejectedError("a damaged PNG", "its first chunk is not IHDR")
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _decode_png(content: bytes) -> Pixels:
    """PNG bytes to RGB, whatever its depth and channels."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageRejectedError("a damaged PNG", f"{len(content)} bytes")
    if image.dtype == np.uint16:
        # 65535 becomes 255: 257 = 65535 / 255, rounded to the nearest level.
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.ndim == 2:
        return np.ascontiguousarray(np.repeat(image[:, :, None], 3, axis=2))
    return np.ascontiguousarray(image[:, :, 2::-1])


def not_an_image(content: bytes) -> ImageRejectedError:
    """What the file is instead, as far as its first bytes tell."""
    if not content:
        return ImageRejectedError("an empty file", "0 bytes")
    start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for text, reason in _TEXT_STARTS.items():
        if start.startswith(text):
            return ImageRejectedError(reason, repr(content[:40]))
    return ImageRejectedError("neither JPEG, PNG nor FITS", repr(content[:16]))
