"""Files from servers that do not behave."""

import os
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError

from benchmarks.file_server import FileServer, serving
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.errors import StorageError
from galaxyloop.image_files import ImageFiles
from galaxyloop.shards import CutoutShard
from galaxyloop.storage import ABSENT_ERRORS, FileReader, LocationError
from galaxyloop.surveys.fingerprints import UNREADABLE, fingerprint_images
from galaxyloop.surveys.manifest import IngestConfig
from tests.library.image_files import chunk_of, jpeg_bytes


class Endless(BaseHTTPRequestHandler):
    """/flood sends as fast as it can, /trickle a byte at a time; neither ends by itself."""

    n_asked = 0
    is_over = threading.Event()

    def do_GET(self) -> None:
        type(self).n_asked += 1
        if self.path.startswith("/busy"):
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        block = b"\xff\xd8\xff" + bytes(60_000 if self.path == "/flood" else 0)
        try:
            while not self.is_over.wait(0 if self.path == "/flood" else 0.05):
                self.wfile.write(block)
        except OSError:
            self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def endless() -> Iterator[str]:
    Endless.n_asked = 0
    Endless.is_over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Endless.is_over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_file_reader_read__stops_after_the_bound_though_the_server_sends_on(endless: str) -> None:
    content = FileReader(max_bytes=200_000, timeout_s=20.0).read(f"{endless}/flood")
    assert len(content) == 200_001


def test_cut_out_chunk__rejects_an_answer_without_end(tmp_path: Path, endless: str) -> None:
    chunk = chunk_of(["a"], [f"{endless}/flood"], "uri")
    cut_out_chunk(chunk, CutoutConfig(max_image_bytes=100_000), tmp_path / "shard")
    rejects = CutoutShard.open(tmp_path / "shard").rejects
    assert rejects["reason"].tolist() == ["more than max_image_bytes=100000 bytes"]


def test_file_reader_read__gives_up_on_a_trickle_after_timeout_s(endless: str) -> None:
    reader = FileReader(max_bytes=200_000, n_attempts=2, wait_s=0.0, timeout_s=0.4)
    start = time.monotonic()
    with pytest.raises(
        StorageError, match=r"trickle could not be read in 2 attempts: no end .*timeout_s=0.4 s"
    ):
        reader.read(f"{endless}/trickle")
    assert time.monotonic() - start < 10
    assert Endless.n_asked == 2


def test_file_reader_fingerprint__takes_a_busy_server_for_no_missing_file(endless: str) -> None:
    reader = FileReader(max_bytes=200_000, n_attempts=2, wait_s=0.0)
    with pytest.raises(StorageError, match=r"busy could not be read in 2 attempts: 503"):
        reader.fingerprint(f"{endless}/busy")


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("a\0b.jpg", "no path: embedded null"),
        ("x" * 256, "no path: File name too long"),
        ("{folder}/loop", "no path: Too many levels"),
        ("{folder}/pipe", "no regular file"),
        ("/dev/zero", "no regular file"),
        ("http://[::1", "no address: Invalid IPv6 URL"),
        (f"http://{'a' * 64}.org/x", "no address: .*label"),
        ("http:///x", "no address: http:///x"),
        ("ftp://x/y", "nothing here reads ftp://"),
        ("github://x", "nothing here reads github://"),
        ("nothing://x", "nothing here reads nothing://"),
        ("s3://", "no address: .*Invalid bucket name"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_file_reader__tells_a_location_that_can_name_no_file(
    tmp_path: Path, uri: str, told: str
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    place = uri.replace("{folder}", str(tmp_path))
    reader = FileReader(max_bytes=100, wait_s=1e6)
    with pytest.raises(LocationError, match=told):
        reader.read(place)
    with pytest.raises(ABSENT_ERRORS):
        reader.fingerprint(place)
    assert fingerprint_images([place], IngestConfig()) == [UNREADABLE]
    chunk = chunk_of(["a", "b"], [place, str(tmp_path / "page")], "uri")
    (tmp_path / "page").write_bytes(b"<html>")
    cut_out_chunk(chunk, CutoutConfig(), tmp_path / "shard")
    reject = CutoutShard.open(tmp_path / "shard").rejects.iloc[0]
    assert reject["reason"] == "not readable"
    assert re.search(told, reject["value"])


def test_image_files_read__takes_no_pipe_for_a_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")
    for place in (f"{tmp_path}/pipe.parquet", "a\0b.parquet", f"{'x' * 256}.parquet"):
        with pytest.raises(LocationError):
            ImageFiles(100).read(f"{place}#image/0")


def test_file_reader_read__tells_missing_credentials_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoCredentialsError

    reader = FileReader(max_bytes=100, wait_s=1e6)
    monkeypatch.setattr(reader, "_ask", refuse)
    with pytest.raises(StorageError, match="s3://b/x may not be read: Unable to locate cred"):
        reader.read("s3://b/x")


def test_file_reader_read__never_waits_longer_than_a_minute(
    monkeypatch: pytest.MonkeyPatch, endless: str
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("galaxyloop.storage.time.sleep", pauses.append)
    with pytest.raises(StorageError, match="in 5 attempts: 503"):
        FileReader(max_bytes=100, n_attempts=5, wait_s=20.0).read(f"{endless}/busy")
    assert pauses == [20, 40, 60, 60]


def test_file_reader_read_range__gives_the_range_and_no_more(tmp_path: Path) -> None:
    content = jpeg_bytes.__doc__.encode() * 50
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "empty").touch()
    with serving(FileServer(tmp_path)) as server:
        reader = FileReader(max_bytes=10)
        assert reader.size(f"{server.url}/file") == len(content)
        assert reader.read_range(f"{server.url}/file", 5, 90) == content[5:90]
        assert reader.read_range(f"{server.url}/file", 5, 10**6) == content[5:]
        assert reader.read(f"{server.url}/file") == content[:11]
        server.takes_ranges = False
        assert reader.read(f"{server.url}/file") == content[:11]
        assert reader.read_range(f"{server.url}/file", 0, 40) == content[:40]
        with pytest.raises(StorageError, match="sends whole files only .status 200"):
            reader.read_range(f"{server.url}/file", 5, 40)
        with pytest.raises(FileNotFoundError):
            reader.size(f"{server.url}/absent")
