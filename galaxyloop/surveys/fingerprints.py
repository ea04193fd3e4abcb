"""Fingerprints of images, by which a changed image is noticed."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from galaxyloop.storage import ABSENT_ERRORS, FileReader
from galaxyloop.surveys.manifest import IngestConfig

UNREADABLE = ""
"""The fingerprint of an image that could not be read; cutting out rejects it."""
CONTENT = "sha256:"
"""Start of a fingerprint of the bytes themselves."""
STAT = "stat:"
"""Start of a fingerprint of what the storage says about a file."""
_BLOCK = 4096


def fingerprint_images(uris: Sequence[str], config: IngestConfig) -> list[str]:
    """One fingerprint an image, ``n_readers`` at a time.

    Returns:
        ``sha256:``, ``stat:`` or ``uri:`` with 64 hexadecimal digits; empty for an image that is
        missing, may not be read, or is longer than ``max_image_bytes``.

    Raises:
        StorageError: the network failed repeatedly.
    """
    reader = FileReader(config.max_image_bytes, config.n_attempts)
    one: dict[str, Callable[[str], str]] = {
        "content": lambda uri: content_fingerprint(reader.read(uri), config.max_image_bytes),
        "stat": lambda uri: stat_fingerprint(reader.fingerprint(uri)),
        "uri": lambda uri: f"uri:{_hex(uri.encode())}",
    }
    fingerprint = one[config.fingerprint]

    def or_unreadable(uri: str) -> str:
        try:
            return fingerprint(uri)
        except ABSENT_ERRORS:
            return UNREADABLE

    digests: list[str] = []
    with ThreadPoolExecutor(config.n_readers) as pool:
        for start in range(0, len(uris), _BLOCK):
            digests.extend(pool.map(or_unreadable, uris[start : start + _BLOCK]))
    return digests


def content_fingerprint(content: bytes, max_image_bytes: int) -> str:
    """The fingerprint of a file's bytes, empty if there are too many."""
    return UNREADABLE if len(content) > max_image_bytes else f"{CONTENT}{_hex(content)}"


def stat_fingerprint(mark: str) -> str:
    """The fingerprint of a file's size with its time of change or ETag."""
    return f"{STAT}{_hex(mark.encode())}"


def _hex(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
