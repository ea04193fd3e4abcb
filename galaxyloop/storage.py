"""Reading small files whole from disk, S3 or HTTPS, and writing what appears all at once."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import fsspec
import fsspec.asyn
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from galaxyloop.errors import StorageError
from galaxyloop.local_files import LocationError, local_path, local_status, read_local
from galaxyloop.network_errors import (
    ABSENT_ERRORS,
    NETWORK_ERRORS,
    is_lasting,
    is_unsatisfiable,
    lasting_failure,
)

__all__ = [
    "ABSENT_ERRORS",
    "NETWORK_ERRORS",
    "FileReader",
    "LocationError",
    "file_digest",
    "is_lasting",
    "local_path",
    "local_status",
    "publish_file",
    "whole_directory",
    "write_table",
]

_Answer = TypeVar("_Answer")
_MAX_WAIT_S = 60.0


class FileReader:
    """Reads files by location, with a bound on their size and patience for the network.

    One reader serves many threads: it makes one connection pool a host.

    Args:
        max_bytes: of a file that is read whole, no more than this many bytes plus one are fetched.
        n_attempts: how often a file is asked for when the network fails.
        wait_s: pause before the second attempt, doubled each time, at most a minute [s].
        timeout_s: an answer that has not ended by then is a failure of the network [s].
    """

    def __init__(
        self, max_bytes: int, n_attempts: int = 3, wait_s: float = 0.5, timeout_s: float = 120.0
    ) -> None:
        """Keep the bounds; connections are made when first needed."""
        self.max_bytes = max_bytes
        self.n_attempts = n_attempts
        self.wait_s = wait_s
        self.timeout_s = timeout_s
        self._filesystems: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self, uri: str) -> bytes:
        """The file's bytes, cut after ``max_bytes + 1`` so that the caller sees it is too long.

        Raises:
            FileNotFoundError: there is no such file, or nothing that reads such an address.
            PermissionError: the file may not be read, by its mode or by the server.
            StorageError: the network failed ``n_attempts`` times.
        """
        path = local_path(uri)
        if path is not None:
            return read_local(path, self.max_bytes + 1)
        return self._persistently(uri, lambda: self._fetch(uri, 0, self.max_bytes + 1))

    def read_range(self, uri: str, start: int, stop: int) -> bytes:
        """The bytes ``start`` to ``stop`` of a file elsewhere, fewer if it ends before.

        Raises:
            FileNotFoundError: there is no such file, or nothing that reads such an address.
            PermissionError: the file may not be read.
            StorageError: the network failed ``n_attempts`` times, or the server sends whole files
                only.
        """
        return self._persistently(uri, lambda: self._fetch(uri, start, stop))

    def size(self, uri: str) -> int:
        """Length of a file elsewhere [bytes]; raises as ``fingerprint`` does."""
        size = self._info(uri).get("size")
        if size is None:
            raise StorageError(
                f"{uri}: the server does not tell its size, so no part of it can be read; copy "
                "the file to a disk or an object store"
            )
        return int(size)

    def fingerprint(self, uri: str) -> str:
        """Size with time of change, or the server's ETag: changes when the file does.

        Raises:
            FileNotFoundError: there is no such file.
            PermissionError: the file may not be seen.
            StorageError: the network failed, or the server tells neither ETag nor time.
        """
        path = local_path(uri)
        if path is not None:
            status = local_status(path)
            return f"{status.st_size} {status.st_mtime_ns}"
        info = self._info(uri)
        mark = info.get("ETag") or info.get("Last-Modified") or info.get("LastModified")
        if not mark:
            raise StorageError(
                f"{uri}: the server gives neither ETag nor Last-Modified; use the fingerprint "
                "'content' or 'uri'"
            )
        return f"{info.get('size')} {mark}"

    def _info(self, uri: str) -> dict[str, Any]:
        """What the server says about a file."""
        info: dict[str, Any] = self._persistently(uri, lambda: self._ask(uri, "info"))
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{uri} is a folder or a bucket")
        return info

    def _fetch(self, uri: str, start: int, stop: int) -> bytes:
        """One ranged request; a range beyond the file's end answers 416, which means empty."""
        try:
            content = self._ask(uri, "cat_file", start=start, end=stop)
        except (OSError, aiohttp.ClientResponseError) as error:
            if is_unsatisfiable(error):
                return b""
            raise
        return bytes(content[: stop - start])

    def _ask(self, uri: str, what: str, **options: int) -> Any:  # noqa: ANN401 - fsspec is untyped
        """One question to a server, which must have answered within ``timeout_s``."""
        filesystem = self._filesystem(uri)
        if not filesystem.async_impl:
            return getattr(filesystem, what)(uri, **options)
        ask = getattr(filesystem, f"_{what}")
        if what == "cat_file" and uri.startswith(("http://", "https://")):
            ask = partial(_get_range, filesystem)
        try:
            return fsspec.asyn.sync(filesystem.loop, ask, uri, timeout=self.timeout_s, **options)
        except TimeoutError as error:
            raise TimeoutError(f"no end of it after timeout_s={self.timeout_s:g} s") from error

    def _filesystem(self, uri: str) -> Any:  # noqa: ANN401 - fsspec is untyped
        """The connection pool of this location's protocol."""
        protocol = uri.split("://", 1)[0]
        with self._lock:
            if protocol not in self._filesystems:
                try:
                    filesystem = fsspec.filesystem(protocol, skip_instance_cache=True)
                except (ValueError, TypeError, ImportError) as error:
                    # TypeError: it wants settings besides the address, as ftp and github do.
                    raise LocationError(f"nothing here reads {protocol}://") from error
                self._filesystems[protocol] = filesystem
            return self._filesystems[protocol]

    def _persistently(self, uri: str, ask: Callable[[], _Answer]) -> _Answer:
        """Ask again while the failure may pass."""
        for attempt in range(self.n_attempts):
            if attempt:
                time.sleep(min(self.wait_s * 2 ** (attempt - 1), _MAX_WAIT_S))
            try:
                return ask()
            except (*ABSENT_ERRORS, StorageError) as error:
                # fsspec calls a server that fails a missing file.
                if not isinstance(error.__cause__, NETWORK_ERRORS) or is_lasting(error.__cause__):
                    raise
                last = error.__cause__
            except NETWORK_ERRORS as error:
                if lasting := lasting_failure(uri, error):
                    raise lasting from error
                last = error
            except ValueError as error:
                raise LocationError(f"no address: {error}") from error
        raise StorageError(
            f"{uri} could not be read in {self.n_attempts} attempts: {last}; check the network "
            "and the endpoint, then run again"
        ) from last


async def _get_range(filesystem: Any, uri: str, start: int, end: int) -> bytes:  # noqa: ANN401
    """A range of a file over HTTP; no more is read of a server that sends on and on."""
    session = await filesystem.set_session()
    # A packed answer would be of another length than asked for.
    headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    options = {**filesystem.kwargs, "headers": {**filesystem.kwargs.get("headers", {}), **headers}}
    async with session.get(filesystem.encode_url(uri), **options) as response:
        if response.status == 404:
            raise FileNotFoundError(uri)
        response.raise_for_status()
        if start and response.status != 206:
            raise StorageError(
                f"{uri}: the server sends whole files only (status {response.status} to a request "
                "for a range); copy the file to a disk or an object store"
            )
        content = bytearray()
        async for block in response.content.iter_any():
            content += block
            if len(content) >= end - start:
                break
        return bytes(content)


@contextmanager
def whole_directory(directory: Path, *, replace: bool = False) -> Iterator[Path]:
    """A directory that appears complete or not at all.

    Files are written to a hidden sibling, which is renamed at the end and removed on failure.

    Args:
        directory: where it appears.
        replace: whether a directory that is there already makes room, at the end; on failure it
            stays as it is.

    Raises:
        StorageError: something is there already that may not be replaced.
    """
    directory = Path(directory)
    is_taken = directory.is_dir() and any(directory.iterdir()) and not replace
    if is_taken or (directory.exists() and not directory.is_dir()):
        raise StorageError(f"{directory} exists already; remove it or choose another place")
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    former = draft.with_name(f"{draft.name}.former")
    try:
        yield draft
        draft.chmod(0o755)
        if replace and directory.exists():
            directory.rename(former)
        draft.rename(directory)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_table(frame: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Write the schema's columns as Parquet; equal rows give equal bytes."""
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    pa.parquet.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def file_digest(path: Path) -> str:
    """SHA-256 of a local file, read a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def publish_file(source: Path, uri: str) -> str:
    """Copy a local file to a path or address, where it appears complete or not at all.

    Raises:
        StorageError: it cannot be written there.
    """
    target = local_path(uri)
    try:
        if target is None:
            filesystem, path = fsspec.core.url_to_fs(uri)
            filesystem.put_file(str(source), path)
            return uri
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        partial = f"{target}.partial"
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot write {uri}: {error}; choose another output") from error
    return target
