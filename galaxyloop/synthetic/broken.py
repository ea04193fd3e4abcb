"""Inputs broken on purpose, so that a run on a simulated survey has something to reject."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def _truncate(path: Path) -> None:
    """A download that stopped half-way."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _blank(path: Path) -> None:
    """A cutout off the survey's edge: one value everywhere."""
    _, encoded = cv2.imencode(path.suffix, np.zeros((96, 96, 3), np.uint8))
    path.write_bytes(encoded.tobytes())


def _remove(path: Path) -> None:
    """A file that the manifest names and nobody uploaded."""
    path.unlink()


def _replace_by_page(path: Path) -> None:
    """A server's error page saved under an image's name."""
    path.write_text("<html><body>503 Service Unavailable</body></html>\n")


def _make_negative(row: dict[str, Any], column: str) -> None:
    """A count below zero."""
    row[column] = -3


def _make_empty(row: dict[str, Any], column: str) -> None:
    """A count that is not there."""
    row[column] = float("nan")


def _make_fractional(row: dict[str, Any], column: str) -> None:
    """A count that is not whole."""
    row[column] = 7.5


BROKEN_IMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "blank": _blank,
    "missing": _remove,
    "not an image": _replace_by_page,
}
"""How each kind of broken image is made from a sound one."""

BROKEN_VOTES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "negative count": _make_negative,
    "empty count": _make_empty,
    "fractional count": _make_fractional,
}
"""How each kind of broken row of votes is made from a sound one."""
