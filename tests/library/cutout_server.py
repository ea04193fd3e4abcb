"""A cutout service on this machine that can misbehave in every way a test asks for."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd

from galaxyloop.cutout_services import CutoutServiceConfig
from tests.library.image_files import galaxy_pixels, jpeg_bytes

Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class CutoutServer:
    """Answers ``/cutout?id=...&size=...``; unless told otherwise, with a JPEG of that size."""

    address: str = ""
    behaviours: dict[str, list[Behaviour]] = field(default_factory=lambda: defaultdict(list))
    """What happens at the first, second ... request for a galaxy; the last goes on for ever."""
    asked: list[str] = field(default_factory=list)
    """The galaxy of every request, in order."""
    paths: list[str] = field(default_factory=list)
    """What was asked for, word by word."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """What came with each request."""
    times_s: list[float] = field(default_factory=list)
    """When each came."""
    is_closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url_template(self) -> str:
        return f"{self.address}/cutout?id={{id_str}}&ra={{ra_deg}}&dec={{dec_deg}}&size={{size_px}}"

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.asked)

    def behave(self, id_str: str, *behaviours: Behaviour) -> None:
        self.behaviours[id_str] = list(behaviours)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        id_str = parse_qs(urlsplit(handler.path).query).get("id", ["?"])[0]
        n_before = self.counts[id_str]
        self.asked.append(id_str)
        self.paths.append(handler.path)
        self.headers.append(dict(handler.headers.items()))
        self.times_s.append(time.monotonic())
        planned = self.behaviours.get(id_str, [])
        behaviour = planned[min(n_before, len(planned) - 1)] if planned else galaxy_image
        try:
            behaviour(handler)
        except ConnectionError:
            handler.close_connection = True


@contextmanager
def running_server() -> Iterator[CutoutServer]:
    server = CutoutServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        is_closing = server.is_closing

        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            server.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.is_closing.set()
        http.shutdown()
        http.server_close()
        thread.join()


def send(
    handler: BaseHTTPRequestHandler,
    content: bytes,
    content_type: str = "image/jpeg",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def galaxy_image(handler: BaseHTTPRequestHandler) -> None:
    """A JPEG of the size that is asked for."""
    query = parse_qs(urlsplit(handler.path).query)
    side = int(query.get("size", ["64"])[0])
    send(handler, jpeg_bytes(galaxy_pixels(len(handler.path), side, side)))


def sends(content: bytes, content_type: str = "image/jpeg") -> Behaviour:
    return lambda handler: send(handler, content, content_type)


def fails(status: int, **headers: str) -> Behaviour:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: send(handler, b"<html>sorry</html>", "text/html", status, told)


def redirects(address: str) -> Behaviour:
    return lambda handler: send(handler, b"", "text/html", 302, {"Location": address})


def trickles(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, without end: no single wait is long."""
    start_endless(handler)
    while not handler.is_closing.wait(0.02):  # type: ignore[attr-defined]
        handler.wfile.write(b"\xff")
        handler.wfile.flush()


def trickles_headers(handler: BaseHTTPRequestHandler) -> None:
    """Never gets to the end of its headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.is_closing.wait(0.02):  # type: ignore[attr-defined]
        handler.wfile.write(b"a")
        handler.wfile.flush()


def sends_without_end(handler: BaseHTTPRequestHandler) -> None:
    """As many bytes as anybody reads."""
    start_endless(handler)
    while not handler.is_closing.is_set():  # type: ignore[attr-defined]
        handler.wfile.write(b"\xff" * 65536)


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    handler.wfile.write(b"\xff\xd8\xff")
    handler.close_connection = True


def start_endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "image/jpeg")
    handler.end_headers()
    handler.close_connection = True


def black_image(side: int) -> bytes:
    return jpeg_bytes(np.zeros((side, side, 3), np.uint8))


def quick_config(server: CutoutServer, **settings: object) -> CutoutServiceConfig:
    """A config that loses no time; every galaxy may fail."""
    return CutoutServiceConfig.from_dict(
        {
            "url_template": server.url_template,
            "size_px": 64,
            "requests_per_s": 200,
            "wait_s": 0.01,
            "timeout_s": 0.4,
            "n_attempts": 2,
            "max_image_bytes": 300_000,
            "max_reject_rate": 1.0,
        }
        | settings
    )


def galaxies(*ids: str) -> pd.DataFrame:
    positions = np.arange(len(ids), dtype=float)
    return pd.DataFrame({"id_str": ids, "ra_deg": positions, "dec_deg": -positions})
