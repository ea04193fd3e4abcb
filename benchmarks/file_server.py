"""A folder served over HTTP from this machine, with ranges, latency and a count of requests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FileServer:
    """What the server does, and what it was asked for."""

    folder: Path
    latency_s: float = 0.0
    """Pause before every answer [s]."""
    takes_ranges: bool = True
    """Whether a request for a part is answered by that part."""
    url: str = ""
    n_gets: int = 0
    n_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, n_bytes: int) -> None:
        """Note a GET and the bytes it was answered with."""
        with self._lock:
            self.n_gets += 1
            self.n_bytes += n_bytes

    def forget(self) -> None:
        """Count from zero."""
        self.n_gets = self.n_bytes = 0


@contextmanager
def serving(files: FileServer) -> Iterator[FileServer]:
    """The folder behind ``files.url`` as long as the context lasts."""
    handler = type("Handler", (_Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, and keeps the connection."""

    files: FileServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        """Length and mark of a file."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """A file or a part of it."""
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        time.sleep(self.files.latency_s)
        path = self.files.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        size, (start, stop) = path.stat().st_size, self._range(path.stat().st_size)
        is_part = "Range" in self.headers and self.files.takes_ranges
        self.send_response(206 if is_part else 200)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("ETag", f'"{size}-{path.stat().st_mtime_ns}"')
        if self.files.takes_ranges:
            self.send_header("Accept-Ranges", "bytes")
        if is_part:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if with_body:
            with path.open("rb") as file:
                file.seek(start)
                content = file.read(stop - start)
            self.files.count(len(content))
            self.wfile.write(content)

    def _range(self, size: int) -> tuple[int, int]:
        """First byte and the one after the last."""
        asked = self.headers.get("Range", "")
        if not asked or not self.files.takes_ranges:
            return 0, size
        first, last = asked.removeprefix("bytes=").split("-")
        return int(first), min(int(last or size) + 1, size)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
