"""The record of a fetch: one line a galaxy and run, on disk before the next galaxy is asked for."""

import json
from pathlib import Path
from typing import Any, TextIO

from galaxyloop.errors import ConfigError, StorageError

RECORD = "record.jsonl"
FORMAT = 1
_FIELDS = {
    *("id_str", "url", "outcome", "reason", "value"),
    *("file", "n_bytes", "sha256", "fetched_at"),
}
"""What later runs read of a line."""


class Record:
    """A file that only grows; the last line on a galaxy counts.

    Attributes:
        last: what is known of each galaxy, by id.
    """

    def __init__(self, path: Path, request: dict[str, object]) -> None:
        """Read what is there, and go on writing after it.

        Args:
            path: the file; new or of the same request.
            request: what all images of the directory have in common.

        Raises:
            ConfigError: the file is of another request.
            StorageError: the file is damaged.
        """
        self.last: dict[str, dict[str, Any]] = {}
        header = {"format": FORMAT, "request": request}
        if path.exists():
            _cut_unfinished_line(path)
        lines = _read_lines(path) if path.exists() else []
        if lines:
            _check_request(lines[0], header, path)
            self.last = {line["id_str"]: line for line in lines[1:]}
        self._file: TextIO = path.open("a", encoding="utf-8")
        if not lines:
            self._write(header)

    def append(self, line: dict[str, Any]) -> None:
        """Keep what is known of a galaxy now."""
        self._write(line)
        self.last[line["id_str"]] = line

    def close(self) -> None:
        """End writing."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


def _cut_unfinished_line(path: Path) -> None:
    """Drop what a killed run wrote of its last line."""
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """All lines of a record."""
    lines = []
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            if not (_is_header(line) if number == 1 else _is_answer(line)):
                raise StorageError(
                    f"{path} is damaged in line {number}: {text[:60]!r}; restore it, or fetch into "
                    "another directory"
                )
            lines.append(line)
    return lines


def _is_header(line: object) -> bool:
    """Whether a line says what was asked for."""
    return isinstance(line, dict) and isinstance(line.get("request"), dict)


def _is_answer(line: object) -> bool:
    """Whether a line says all that a later run wants to know of a galaxy."""
    return isinstance(line, dict) and line.keys() >= _FIELDS


def _check_request(found: dict[str, Any], header: dict[str, Any], path: Path) -> None:
    """Refuse to mix images of two requests."""
    if found.get("format") != FORMAT:
        raise StorageError(
            f"{path} has format {found.get('format')}, this version reads {FORMAT}; fetch into "
            "another directory"
        )
    before, now = found["request"], header["request"]
    changes = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if changes:
        raise ConfigError(
            f"{path.parent} holds images of another request ({'; '.join(changes)}); fetch into "
            "another directory"
        )
