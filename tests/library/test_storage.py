"""Files from servers that do not behave."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.file_server import FileServer, serving
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.errors import StorageError
from galaxyloop.shards import CutoutShard
from galaxyloop.storage import FileReader
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
