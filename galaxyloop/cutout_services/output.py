"""Where images, record and tables go: a folder of this machine or of an object store."""

import fcntl
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import fsspec

from galaxyloop.config import require
from galaxyloop.cutout_services.record import RECORD, Record
from galaxyloop.errors import StorageError
from galaxyloop.storage import NETWORK_ERRORS, FileReader, local_path, publish_file

IMAGES = "images"
_LINES_A_SYNC = 100
_LONGEST_NAME = 150


class OutputFolder:
    """A folder that one process at a time fills.

    In an object store every image lies there at once, and the record, which cannot grow there, is
    put there every hundred lines and at the end.

    Attributes:
        uri: where it is.
        record: what happened so far.
    """

    record: Record

    def __init__(self, uri: str, request: dict[str, object]) -> None:
        """Say where, and which request all images in it are of."""
        require(bool(uri.rstrip("/")), f"directory must name a folder or address, got '{uri}'")
        path = local_path(uri)
        self.uri = (os.path.expanduser(path) if path is not None else uri).rstrip("/")
        self._is_local = path is not None
        self._request = request
        self._n_unsynced = 0
        self._stack = ExitStack()

    def __enter__(self) -> "OutputFolder":
        """Lock the folder and open its record."""
        with self._stack:
            self._scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            if self._is_local:
                os.makedirs(self.uri, exist_ok=True)
                self._stack.enter_context(_locked(Path(self.uri)))
                self._record_path = Path(self.uri) / RECORD
            else:
                self._record_path = self._scratch / RECORD
                self._bring_record()
            self.record = Record(self._record_path, self._request)
            self._owners = {
                line["file"].casefold(): id_str
                for id_str, line in self.record.last.items()
                if line["file"]
            }
            self._stack.callback(self._finish)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the record where it belongs, and unlock."""
        self._stack.__exit__(kind, error, trace)

    def image_sizes(self) -> dict[str, int]:
        """Size of every image that lies here, by its place relative to the folder [bytes]."""
        if self._is_local:
            return _local_sizes(Path(self.uri) / IMAGES)
        try:
            filesystem, root = _fresh_filesystem(f"{self.uri}/{IMAGES}")
            found = filesystem.find(root, maxdepth=1, detail=True)
        except NETWORK_ERRORS as error:
            raise StorageError(
                f"{self.uri} cannot be listed: {error}; check the place and run again"
            ) from error
        return {f"{IMAGES}/{path.rsplit('/', 1)[-1]}": item["size"] for path, item in found.items()}

    def image_digest(self, place: str, n_bytes: int) -> str:
        """SHA-256 of an image that lies here."""
        return hashlib.sha256(FileReader(n_bytes).read(f"{self.uri}/{place}")).hexdigest()

    def place(self, id_str: str, suffix: str) -> str:
        """Where an image belongs, relative to the folder.

        Some file systems take J1a and J1A for one name; the second of such ids has its digest in
        the name.
        """
        place = f"{IMAGES}/{file_name(id_str, suffix)}"
        if self._owners.setdefault(place.casefold(), id_str) == id_str:
            return place
        return f"{IMAGES}/{file_name(id_str, suffix, is_taken=True)}"

    def keep(self, line: dict[str, object], content: bytes) -> None:
        """Write an image, if there is one, then what the record says of it."""
        if content:
            self.write(str(line["file"]), content)
        self.record.append(line)
        self._n_unsynced += 1
        if self._n_unsynced >= _LINES_A_SYNC:
            self._sync()

    def write(self, place: str, content: bytes) -> str:
        """A file that appears complete or not at all; returns where."""
        draft = self._scratch / "draft"
        draft.write_bytes(content)
        return publish_file(draft, f"{self.uri}/{place}")

    def _bring_record(self) -> None:
        """Fetch the record of earlier runs from the object store."""
        try:
            filesystem, path = _fresh_filesystem(f"{self.uri}/{RECORD}")
            if filesystem.exists(path):
                filesystem.get_file(path, str(self._record_path))
        except NETWORK_ERRORS as error:
            raise StorageError(
                f"{self.uri} cannot be read: {error}; check the address and run again"
            ) from error

    def _sync(self) -> None:
        """Put the record into the object store."""
        self._n_unsynced = 0
        if not self._is_local:
            publish_file(self._record_path, f"{self.uri}/{RECORD}")

    def _finish(self) -> None:
        """Close the record and leave it where the next run finds it."""
        self.record.close()
        self._sync()


def file_name(id_str: str, suffix: str, *, is_taken: bool = False) -> str:
    """A name that every file system, address and manifest takes, other for every id.

    Unusual characters become = and two hexadecimal digits: unlike %, that means the same in a
    path and in an address. A long id is cut and told apart by its digest; so is one whose name
    is taken, by an id that differs in capitals only.
    """
    # A dot in front would hide the file, or mean another directory.
    name = quote(id_str, safe="").replace("%", "=").replace("~", "=7E")
    name = f"=2E{name[1:]}" if name.startswith(".") else name
    if is_taken or len(name) > _LONGEST_NAME:
        name = f"{name[:80]}={hashlib.sha256(id_str.encode()).hexdigest()}"
    return f"{name}{suffix}"


def _local_sizes(directory: Path) -> dict[str, int]:
    """Size of every file of a folder, by its place relative to the folder above [bytes]."""
    if not directory.is_dir():
        return {}
    with os.scandir(directory) as entries:
        return {f"{IMAGES}/{item.name}": item.stat().st_size for item in entries if item.is_file()}


def _fresh_filesystem(uri: str) -> tuple[Any, str]:
    """The file system of a place and the path there; listings that it remembers are dropped."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    filesystem.invalidate_cache()
    return filesystem, path


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other processes out; the system opens the lock when its holder ends, however it ends."""
    path = directory / ".lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise StorageError(
                f"{directory} is being filled by process {file.read().strip()}; wait for it, or "
                "fetch into another directory"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{directory} cannot be locked ({error.strerror}), as on some network file "
                "systems; fetch into a folder of a local disk, or of an object store"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
