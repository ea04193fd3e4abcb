"""Where a table lies: one file or the files of a pattern, on disk, in a store or on the web."""

import glob
import gzip
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import fsspec

from galaxyloop.storage import local_path
from galaxyloop.table_files.kinds import N_FIRST_BYTES, find_kind
from galaxyloop.table_files.refusals import NoTableError

BinaryFile: TypeAlias = Any
"""A file open for reading bytes; fsspec's and gzip's have no class in common but this."""
MAX_BYTES = 10_000_000_000
"""Bound on what is fetched or unzipped to a temporary file, unless the caller sets another."""

_PART = re.compile(r"(.+\.(?:fits?|fts|vot|votable|xml)(?:\.gz)?)\[([^\[\]]+)\]", re.IGNORECASE)
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class TableFile:
    """One file that holds a table."""

    uri: str
    """Path or address, without the part."""
    part: str
    """The HDU of a FITS file, or the table of a VOTable, that was asked for; empty if none was."""
    kind: str
    """csv, parquet, FITS or VOTable."""
    is_zipped: bool
    """Whether it is inside a gzip file."""
    max_bytes: int = MAX_BYTES
    """Bound on what is fetched or unzipped to a temporary file."""


def list_files(uri: str) -> list[str]:
    """The files that a location names: itself, or those that match its pattern, sorted.

    A local file whose name has wildcards in it is itself. On the web only ``*`` is one, as ``?``
    begins a query.

    Raises:
        NoTableError: nothing opens such an address, or no file matches.
    """
    place, part = _split_part(uri)
    protocol = _protocol(place)
    on_web = protocol in ("http", "https")
    is_pattern = "*" in place.split("?", 1)[0] if on_web else glob.has_magic(place)
    path = local_path(place)
    if not is_pattern or (path is not None and os.path.exists(path)):
        return [uri]
    filesystem, pattern = fsspec.core.url_to_fs(place)
    found = filesystem.glob(pattern, detail=True)
    paths = sorted(
        name
        for name, info in found.items()
        if info.get("type") != "directory" and not name.rsplit("/", 1)[-1].startswith(".")
    )
    if not paths:
        raise NoTableError(f"no file matches {place}; check the pattern and the folder")
    files = paths if path is not None else [filesystem.unstrip_protocol(name) for name in paths]
    return [f"{file}[{part}]" if part else file for file in files]


def find_file(uri: str, max_bytes: int) -> TableFile:
    """What kind of table a file holds.

    Raises:
        NoTableError: it is no table, or has no parts though one is named.
    """
    place, part = _split_part(uri)
    _protocol(place)
    with open_stream(place) as file:
        start = file.read(N_FIRST_BYTES)
    kind, is_zipped = find_kind(start, place)
    if part and kind not in ("FITS", "VOTable"):
        raise NoTableError(f"{uri} is a {kind} file, which has no parts; leave out [{part}]")
    return TableFile(place, part, kind, is_zipped, max_bytes)


@contextmanager
def open_stream(uri: str, is_zipped: bool = False) -> Iterator[BinaryFile]:
    """The file for reading from its beginning to its end, unzipped if need be."""
    # Without blocks a web server is asked once, and need not know of ranges.
    settings = {"block_size": 0} if uri.startswith(("http://", "https://")) else {}
    with fsspec.open(uri, "rb", **settings) as file:
        if not is_zipped:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unzipped:
            yield unzipped


@contextmanager
def open_anywhere(file: TableFile) -> Iterator[BinaryFile]:
    """The file for reading at any place; fetched first if its server cannot give parts."""
    if file.is_zipped:
        with local_file(file) as path, open(path, "rb") as opened:
            yield opened
        return
    with fsspec.open(file.uri, "rb") as opened:
        if local_path(file.uri) is not None or _gives_parts(opened):
            yield opened
            return
    with local_file(file) as path, open(path, "rb") as opened:
        yield opened


@contextmanager
def local_file(file: TableFile) -> Iterator[str]:
    """A path on this machine where the unzipped file lies; a temporary copy goes away again.

    Raises:
        NoTableError: more than ``max_bytes`` had to be copied.
    """
    path = local_path(file.uri)
    if path is not None and not file.is_zipped:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="galaxyloop-table-") as copy:
        with open_stream(file.uri, file.is_zipped) as source:
            shutil.copyfileobj(BoundedReader(source, file), copy, _BLOCK_BYTES)
        copy.flush()
        yield copy.name


def _gives_parts(opened: BinaryFile) -> bool:
    """Whether a server gives the end of a file without its beginning; some answer with all."""
    try:
        opened.seek(-1, os.SEEK_END)
        opened.read(1)
        opened.seek(0)
    except ValueError:
        return False
    return True


class BoundedReader:
    """Reads a file up to its ``max_bytes``; a response without end stops there."""

    def __init__(self, source: BinaryFile, file: TableFile) -> None:
        """Begin at the place where the source stands."""
        self._source, self._file, self._n_bytes = source, file, 0

    def read(self, size: int = _BLOCK_BYTES) -> bytes:
        """The next bytes, at most ``size``.

        Raises:
            NoTableError: there are more than ``max_bytes`` in all.
        """
        block: bytes = self._source.read(size)
        self._n_bytes += len(block)
        if self._n_bytes > self._file.max_bytes:
            raise NoTableError(
                f"{self._file.uri} is longer than max_table_bytes={self._file.max_bytes}; raise it "
                "if the table is that long, or give parquet, which needs no copy"
            )
        return block


def _split_part(uri: str) -> tuple[str, str]:
    """Location and part of ``name.fits[2]`` or ``name.fits[GALAXIES]``."""
    path = local_path(uri)
    match = _PART.fullmatch(uri)
    if match is None or (path is not None and os.path.exists(path)):
        return uri, ""
    return match[1], match[2].strip()


def _protocol(uri: str) -> str:
    """The protocol of an address, one that an installed package opens."""
    protocol = str(fsspec.utils.get_protocol(uri))
    try:
        fsspec.get_filesystem_class(protocol)
    except (ValueError, ImportError) as error:
        raise NoTableError(
            f"{uri} cannot be opened ({error}); give a path, an s3:// or an https:// address"
        ) from error
    return protocol
