"""Rows on their way through files on disk, so that memory holds one part of them at a time."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class ScratchDirectory:
    """A temporary directory that is removed when nothing holds this object any more."""

    def __init__(self) -> None:
        """Make it."""
        self.path = Path(tempfile.mkdtemp(prefix="galaxyloop-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class ScratchTables:
    """Tables by their number: a file each, to which batches of rows are appended."""

    def __init__(self, directory: Path) -> None:
        """Begin with none, in a directory that is not there yet."""
        self._directory = directory
        directory.mkdir()
        self.places: set[int] = set()
        """Numbers of the tables that have rows."""

    def add(self, rows: pa.Table, places: npt.NDArray[np.int64]) -> None:
        """Append each row to the table of that number, from 0 up."""
        order = np.argsort(places, kind="stable")
        rows, places = rows.take(pa.array(order)), places[order]
        edges = np.append(np.flatnonzero(np.diff(places, prepend=-1)), len(places))
        for start, end in pairwise(edges):
            place = int(places[start])
            with (
                self._file(place).open("ab") as file,
                pa.ipc.new_stream(file, rows.schema) as stream,
            ):
                stream.write_table(rows.slice(start, end - start))
            self.places.add(place)

    def take(self, place: int) -> pa.Table:
        """All rows of a table, in the order in which they came; its file is removed."""
        path = self._file(place)
        table = pa.concat_tables(self._read(path))
        path.unlink()
        self.places.remove(place)
        return table

    def _read(self, path: Path) -> Iterator[pa.Table]:
        """The batches of a file, each with a header of its own."""
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            while file.tell() < n_bytes:
                yield pa.ipc.open_stream(file).read_all()

    def _file(self, place: int) -> Path:
        """The file of a table."""
        return self._directory / f"{place}.arrows"
