"""Line ends inside quoted csv cells: wanted in a text, but an unbalanced quote swallows rows."""

import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from galaxyloop.table_files.places import BinaryFile, TableFile, open_stream
from galaxyloop.table_files.refusals import NoTableError

logger = logging.getLogger("galaxyloop")

_MAX_CHARACTERS = 16 * 2**20
_LINE_ENDS = (b"\n", b"\r")
_CELLS = re.compile(r'(?:(?:"[^"]*(?:""[^"]*)*"(?!")[^,]*|[^",][^,]*|),)*')
"""Whole cells, each with the comma behind it; a quote within an unquoted cell is only a letter."""
_OPEN = re.compile(r'"[^"]*(?:""[^"]*)*')


class LineCounter:
    """Reads a file and counts its lines, of which a parser may make fewer rows."""

    def __init__(self, source: BinaryFile) -> None:
        """Begin at the place where the source stands."""
        self._source = source
        self._was_end = True
        self.closed = False
        self.n_bytes = 0
        self.n_lines = 0
        """Lines with at least one character."""
        self.last_line = b""
        """The last of them, so far."""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``."""
        block: bytes = self._source.read(size)
        if not block:
            return block
        self.n_bytes += len(block)
        codes = np.frombuffer(block, np.uint8)
        is_end = (codes == ord("\n")) | (codes == ord("\r"))
        begins = is_end[:-1] > is_end[1:]
        begins_first = self._was_end and not is_end[0]
        self.n_lines += int(np.count_nonzero(begins)) + begins_first
        self._keep_last_line(block, begins_first)
        self._was_end = bool(is_end[-1])
        return block

    def close(self) -> None:
        """Leave the source to who opened it."""
        self.closed = True

    def _keep_last_line(self, block: bytes, begins_first: bool) -> None:
        """The last line that is not empty, so far."""
        text = block.rstrip(b"\r\n")
        if not text:
            return
        start = max(text.rfind(end) for end in _LINE_ENDS) + 1
        if start or begins_first:
            self.last_line = text[start:]
        else:
            self.last_line += text


@dataclass
class _Joined:
    """Lines that a quoted cell makes one."""

    first: int
    """Number of the first of them in the file, from 1."""
    n_lines: int = 0
    n_like_rows: int = 0

    def add(self, line: str, n_commas: int) -> None:
        """One more; empty ones tell nothing."""
        self.n_lines += bool(line)
        self.n_like_rows += bool(line) and line.count(",") >= n_commas


def refuse_swallowed_rows(file: TableFile, lines: LineCounter, n_rows: int, n_columns: int) -> None:
    """Refuse a table whose quotes are not balanced; tell of lines joined by quotes that are.

    A file with as many lines as rows is looked at no further. Of others each cell with line ends is
    judged: its lines are swallowed rows if most have as many commas as the header.

    Args:
        file: the table.
        lines: read it.
        n_rows: rows that the parser made of it, with malformed ones and the header.
        n_columns: of the header.

    Raises:
        NoTableError: it ends inside a quoted cell, or such a cell holds rows.
    """
    if lines.n_lines == n_rows and not ends_quoted(lines.last_line.decode("latin-1")):
        return
    look_at_quotes(file, n_columns, lines.n_bytes)


def look_at_quotes(file: TableFile, n_columns: int, n_bytes: int) -> None:
    """Read the first so many bytes of a table line by line for quoted cells over several lines.

    Raises:
        NoTableError: one of them is not closed, or holds rows.
    """
    joined: _Joined | None = None
    n_joined, first, n_commas = 0, 0, max(n_columns - 1, 1)
    with (
        open_stream(file.uri, file.is_zipped) as opened,
        io.TextIOWrapper(opened, encoding="latin-1") as text,
    ):
        for number, ended in enumerate(bounded_lines(text, file.uri), start=1):
            line = ended.rstrip("\n")
            n_bytes -= len(ended)
            if n_bytes < 0:
                break
            if joined is None and '"' not in line:
                continue
            is_open = ends_quoted(line if joined is None else f'"{line}')
            if joined is None and is_open:
                joined, first = _Joined(number), first or number
            if joined is not None:
                joined.add(line, n_commas)
                n_joined += is_open
                if not is_open:
                    _refuse_rows(joined, number, file.uri)
                    joined = None
    if joined is not None:
        raise NoTableError(
            f"{file.uri}: the quoted cell that begins on line {joined.first} is not closed; close "
            "it, or fetch the file again"
        )
    if n_joined:
        logger.warning(
            f"{file.uri}: {n_joined} lines, the first is line {first}, end inside a quoted cell "
            "and were joined with the next; if they are rows of their own, mend the quotes"
        )


def bounded_lines(text: io.TextIOWrapper, uri: str) -> Iterator[str]:
    """The lines of a file, none of them endless."""
    while line := text.readline(_MAX_CHARACTERS):
        if len(line) == _MAX_CHARACTERS:
            raise NoTableError(
                f"{uri} has a line of more than {_MAX_CHARACTERS} characters, which "
                "no csv table has; check the address"
            )
        yield line


def ends_quoted(line: str) -> bool:
    """Whether a line ends inside a quoted cell, if it begins outside of one."""
    whole = _CELLS.match(line)
    return _OPEN.fullmatch(line, whole.end() if whole else 0) is not None


def _refuse_rows(joined: _Joined, last: int, uri: str) -> None:
    """Stop at a quoted cell that most likely holds rows."""
    if 2 * joined.n_like_rows > joined.n_lines:
        raise NoTableError(
            f"{uri}: a quoted cell goes from line {joined.first} to line {last}, most of which "
            "have as many commas as the header: an unbalanced quote swallows rows; mend it, or "
            "store the table as parquet if the cell is meant"
        )
