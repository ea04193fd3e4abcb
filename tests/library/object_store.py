"""An object store for tests, on a server on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler


@contextmanager
def new_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket, which the environment's credentials open."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").clear_instance_cache()
    place = f"s3://survey-{port}"
    fsspec.filesystem("s3").mkdir(place)
    yield place
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


def put(bucket: str, contents: dict[str, bytes]) -> None:
    """Store objects by name."""
    for name, content in contents.items():
        fsspec.filesystem("s3").pipe_file(f"{bucket}/{name}", content)


def put_folder(bucket: str, folder: Path) -> None:
    """Store a folder's files under the names they have in it."""
    for path in folder.rglob("*.*"):
        fsspec.filesystem("s3").put_file(str(path), f"{bucket}/{path.relative_to(folder)}")


def note_requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the server is asked from now on, as ``GET /bucket/name``; the list grows."""
    requests: list[str] = []

    def note(handler: WSGIRequestHandler, *_: object) -> None:
        requests.append(f"{handler.command} {handler.path}")

    monkeypatch.setattr(WSGIRequestHandler, "log_request", note)
    return requests
