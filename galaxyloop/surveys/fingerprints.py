"""Fingerprints of images, by which a changed image is noticed."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from galaxyloop.image_files import (
    ImageFiles,
    ImagePart,
    ImageReading,
    PackedLocation,
    map_in_order,
    packed_location,
)
from galaxyloop.storage import ABSENT_ERRORS
from galaxyloop.surveys.manifest import IngestConfig

UNREADABLE = ""
"""The fingerprint of an image that could not be read; cutting out rejects it."""
CONTENT = "sha256:"
"""Start of a fingerprint of the bytes themselves."""
STAT = "stat:"
"""Start of a fingerprint of what the storage says about a file."""


def fingerprint_images(uris: Sequence[str], config: IngestConfig) -> list[str]:
    """One fingerprint an image, ``n_readers`` at a time.

    Bytes alone make a fingerprint by content: an image keeps it when it moves into a packed table.
    By ``stat``, all images of a table change when the table does.

    Returns:
        ``sha256:``, ``stat:`` or ``uri:`` with 64 hexadecimal digits; empty for an image that is
        missing, may not be read, or is longer than ``max_image_bytes``.

    Raises:
        StorageError: the network failed repeatedly.
    """
    if config.fingerprint == "uri":
        return [f"uri:{_hex(uri.encode())}" for uri in uris]
    files = ImageFiles(config.max_image_bytes, config.n_attempts)
    order = _reading_order(uris)
    in_order = [uris[i] for i in order]
    jobs: Iterable[Callable[[], str]]
    if config.fingerprint == "content":
        jobs = (partial(_of_content, reading, config) for reading in files.in_order(in_order))
    else:
        jobs = (partial(_of_stat, files, uri) for uri in in_order)
    digests = [UNREADABLE] * len(uris)
    for i, digest in zip(order, map_in_order(_or_unreadable, jobs, config.n_readers), strict=True):
        digests[i] = digest
    return digests


def _reading_order(uris: Sequence[str]) -> list[int]:
    """Places of the files as they are, then of the cells by table, column and row."""
    first = PackedLocation("", "", 0)
    places = [packed_location(uri) or first for uri in uris]
    return sorted(range(len(uris)), key=places.__getitem__)


def _of_content(reading: ImageReading, config: IngestConfig) -> str:
    """Fingerprint of what is read."""
    return content_fingerprint(reading(), config.max_image_bytes)


def _of_stat(files: ImageFiles, uri: str) -> str:
    """Fingerprint of what the storage says."""
    return stat_fingerprint(files.fingerprint(uri))


def _or_unreadable(fingerprint: Callable[[], str]) -> str:
    """A fingerprint, empty if the image is not there to be read."""
    try:
        return fingerprint()
    except ABSENT_ERRORS:
        return UNREADABLE


def content_fingerprint(parts: Sequence[ImagePart], max_image_bytes: int) -> str:
    """The fingerprint of an image's bytes, empty if a file of it has too many.

    One file without a band is its bytes; else every band counts with its name, in order.
    """
    if any(len(part.content) > max_image_bytes for part in parts):
        return UNREADABLE
    if len(parts) == 1 and not parts[0].band:
        return f"{CONTENT}{_hex(parts[0].content)}"
    state = hashlib.sha256()
    for band, content in parts:
        for text in (band.encode(), content):
            state.update(b"%d:" % len(text))
            state.update(text)
    return f"{CONTENT}{state.hexdigest()}"


def stat_fingerprint(mark: str) -> str:
    """The fingerprint of a file's size with its time of change or ETag."""
    return f"{STAT}{_hex(mark.encode())}"


def _hex(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
