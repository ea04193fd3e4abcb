"""Files on this machine: told from addresses, and opened whatever their names hold."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

_NAME_ERRNOS = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO}


class LocationError(FileNotFoundError):
    """A location that names no file that can be read; the message says why."""


def local_path(uri: str) -> str | None:
    """The path on this machine, or None if the location is elsewhere."""
    if uri.startswith("file://"):
        return uri.removeprefix("file://")
    return None if "://" in uri else uri


def read_local(path: str, max_bytes: int) -> bytes:
    """A file's bytes, cut after ``max_bytes``.

    Raises:
        LocationError: no file can have that name, or it is a pipe, a device or the like.
        OSError: as ``open`` does.
    """
    with _refusing_names(), open(path, "rb", opener=_open_at_once) as file:
        # read(n) sets n bytes aside whatever the file holds.
        size = _of_regular(os.fstat(file.fileno())).st_size
        return file.read(min(size + 1, max_bytes))


def local_status(path: str) -> os.stat_result:
    """Size and times of a file; raises as ``read_local`` does.

    Raises:
        IsADirectoryError: it is a directory.
    """
    with _refusing_names():
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return _of_regular(status)


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe would otherwise wait for someone to write into it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _of_regular(status: os.stat_result) -> os.stat_result:
    """The status of a file that has an end."""
    if not stat.S_ISREG(status.st_mode):
        raise LocationError("a pipe, a device or the like, and no regular file")
    return status


@contextmanager
def _refusing_names() -> Iterator[None]:
    """Tell names that no file can have."""
    try:
        yield
    except ValueError as error:
        raise LocationError(f"no path: {error}") from error
    except OSError as error:
        if error.errno in _NAME_ERRNOS:
            raise LocationError(f"no path: {error.strerror}") from error
        raise
