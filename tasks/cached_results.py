"""What Flyte's local cache holds, and which directories of the store its results point at."""

import pickle
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flyteidl.core.literals_pb2 import LiteralMap
from google.protobuf.message import DecodeError, Message

from galaxyloop.errors import StorageError

DAMAGE = (DecodeError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError)
"""What reading an entry of the cache raises that is not as it was written."""
_NO_NAME = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class CachedResult:
    """What a task once gave."""

    task: str
    version: str
    """Of its code."""
    points_at: frozenset[tuple[str, str]]
    """Neighbouring parts of every path in it: kind and name of directories are among them."""
    fault: str
    """Why it cannot be read, so that the task runs again; empty if it can."""


def read_caches(store: Path) -> list[CachedResult]:
    """All results that caches in a store hold; none if there is no cache yet.

    A store that was moved or copied has several caches. All count, so that it can be moved back.

    Raises:
        StorageError: a cache cannot be read at all.
    """
    found: list[CachedResult] = []
    for folder in sorted(store.glob("cache-*")):
        if (folder / "cache.db").is_file():
            try:
                found += _read(folder)
            except sqlite3.Error as error:
                raise StorageError(
                    f"the cache {folder} cannot be read: {error}; nobody knows what its results "
                    "point at: remove it, and all of them are made again"
                ) from error
    return found


def _read(folder: Path) -> Iterator[CachedResult]:
    """The results of one cache."""
    from diskcache import Cache

    with Cache(str(folder)) as cache:
        for key in cache:
            task, version, _ = (*str(key).rsplit("-", 2), "", "")[:3]
            content, fault = _content(cache, key)
            points_at = frozenset(_pairs(content)) if content else frozenset()
            yield CachedResult(task, version, points_at, fault)


def _content(cache: Any, key: str) -> tuple[LiteralMap | None, str]:  # noqa: ANN401 - untyped
    """What an entry holds; else why it holds nothing."""
    try:
        value = cache.get(key)
        if not isinstance(value, bytes):
            return None, "its content is missing" if value is None else "it is no result of Flyte"
        content = LiteralMap()
        content.ParseFromString(value)
    except DAMAGE as error:
        return None, " ".join(str(error).split())
    return content, ""


def _pairs(message: Message) -> Iterator[tuple[str, str]]:
    """Neighbouring parts of every path in a message, however deep and in whatever field."""
    for text in _texts(message):
        parts = _NO_NAME.split(text)
        yield from zip(parts, parts[1:], strict=False)


def _texts(value: object) -> Iterator[str]:
    """All texts in a message; bytes may hold texts too."""
    if isinstance(value, Message):
        for _, inner in value.ListFields():
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("latin-1")
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)
