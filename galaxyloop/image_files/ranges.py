"""A file elsewhere, read in few large requests."""

import io
import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

PIECE_BYTES = 8 << 20
"""Most bytes of one request: latency is then a small part of its time."""
GAP_BYTES = 1 << 20
"""Bytes that nobody wants are fetched along if they are fewer than this between two wanted."""

FetchRange = Callable[[int, int], bytes]
"""Takes the first byte and the one after the last."""


class ByteRange(NamedTuple):
    """Part of a file."""

    start: int
    stop: int
    """The byte after the last."""


def plan_pieces(
    wanted: Sequence[ByteRange], piece_bytes: int = PIECE_BYTES, gap_bytes: int = GAP_BYTES
) -> list[ByteRange]:
    """Requests that cover the wanted parts of a file in order: few, and none too long."""
    joined: list[ByteRange] = []
    for part in sorted(wanted):
        if joined and part.start - joined[-1].stop < gap_bytes:
            joined[-1] = ByteRange(joined[-1].start, max(part.stop, joined[-1].stop))
        else:
            joined.append(part)
    return [
        ByteRange(start, min(start + piece_bytes, part.stop))
        for part in joined
        for start in range(part.start, part.stop, piece_bytes)
    ]


class RangedFile:
    """A file to be read forward, of which pieces are fetched ahead.

    Holds the piece being read and those being fetched. What lies in no piece is fetched as it is
    asked for.

    Args:
        fetch: gives a range of the file.
        size: of the file [bytes].
        pieces: what will be read, in order, none over another.
        n_ahead: pieces under way beside the one being read.
    """

    closed = False

    def __init__(
        self, fetch: FetchRange, size: int, pieces: Sequence[ByteRange] = (), n_ahead: int = 1
    ) -> None:
        """Fetch nothing yet."""
        self.n_ahead = n_ahead
        self.fetch = fetch
        self.size = size
        self.pieces = list(pieces)
        self._at = 0
        self._held: dict[int, _Fetch] = {}
        self._starts = [piece.start for piece in self.pieces]

    def close(self) -> None:
        """Drop what was fetched ahead."""
        self._held.clear()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is not."""
        return False

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Let the next read begin elsewhere."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def read(self, n_bytes: int = -1) -> bytes:
        """The next bytes, fewer at the end of the file."""
        stop = self.size if n_bytes < 0 else min(self._at + n_bytes, self.size)
        parts = []
        while self._at < stop:
            part = self._some(self._at, stop)
            if not part:
                break
            parts.append(part)
            self._at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, start: int, stop: int) -> bytes:
        """Bytes from ``start`` on, as many as the piece there has."""
        i = bisect_right(self._starts, start) - 1
        if i >= 0 and start < self.pieces[i].stop:
            first = self.pieces[i].start
            return self._piece(i)[start - first : stop - first]
        return self.fetch(start, stop)

    def _piece(self, i: int) -> bytes:
        """A piece, while the next ones are under way."""
        for j in [held for held in self._held if held < i]:
            del self._held[j]
        for j in range(i, min(i + 1 + self.n_ahead, len(self.pieces))):
            if j not in self._held:
                self._held[j] = _Fetch(self.fetch, self.pieces[j])
        return self._held[i].result()


class _Fetch(threading.Thread):
    """One request under way, which nobody has to wait for: not even the interpreter's end."""

    def __init__(self, fetch: FetchRange, piece: ByteRange) -> None:
        super().__init__(name="galaxyloop-fetch", daemon=True)
        self._fetch = fetch
        self._piece = piece
        self._future: Future[bytes] = Future()
        self.start()

    def run(self) -> None:
        """Fetch."""
        try:
            self._future.set_result(self._fetch(*self._piece))
        except BaseException as error:  # raised again in result
            self._future.set_exception(error)

    def result(self) -> bytes:
        """The bytes, as soon as they are there; raises what the request raised."""
        return self._future.result()
