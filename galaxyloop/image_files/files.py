"""Reading images, whatever their locations name."""

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

from galaxyloop.image_files.locations import (
    BandLocation,
    PackedLocation,
    band_locations,
    packed_location,
)
from galaxyloop.image_files.packed import Cell, PackedTable
from galaxyloop.image_files.parts import ImagePart, NoImageError
from galaxyloop.storage import ABSENT_ERRORS, FileReader, local_path

_MAX_TABLES = 32

ImageReading = Callable[[], list[ImagePart]]
"""Gives an image's files, or raises what ``ImageFiles.read`` does."""


class ImageFiles:
    """Reads images by location; one serves many threads.

    A location is a path or address; bands in braces, ``dir/J1_{g,r,z}.fits``, each a file, unless
    there is a local file of that very name; or a cell of a Parquet table,
    ``dir/train-0.parquet#image/17``.

    Args:
        max_bytes: of each file no more than this many bytes plus one are given.
        n_attempts: how often a file is asked for when the network fails.
    """

    def __init__(self, max_bytes: int, n_attempts: int = 3) -> None:
        """Open nothing yet."""
        self.reader = FileReader(max_bytes, n_attempts)
        self._tables: OrderedDict[tuple[str, str], PackedTable | OSError] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, uri: str) -> list[ImagePart]:
        """The files of one image; to read many cells of a table, ``in_order`` is far faster.

        Raises:
            NoImageError: there is certainly no image, and why.
            FileNotFoundError: there is no such file.
            PermissionError: it may not be read.
            StorageError: the network failed repeatedly.
        """
        place = packed_location(uri)
        return _parts(next(self._cells([place]))) if place else self._read_bands(uri)

    def in_order(self, uris: Sequence[str]) -> Iterator[ImageReading]:
        """A function for each image that gives its files, to be called in any thread.

        A file is read when its function is called. Cells of tables are read here, as the iterator
        is drawn, and each row group is fetched once. Cells that do not follow table, column and
        row pass through a temporary file.

        Raises:
            StorageError: the network failed while cells were read.
        """
        places = map(packed_location, uris)
        images = zip(uris, places, strict=True)
        for is_packed, run in groupby(images, lambda image: image[1] is not None):
            if is_packed:
                cells = self._cells_as_asked([place for _, place in run if place])
                yield from (partial(_parts, cell) for cell in cells)
            else:
                yield from (partial(self._read_bands, uri) for uri, _ in run)

    def fingerprint(self, uri: str) -> str:
        """What the storage says about an image's files; changes when one of them does.

        Of a cell it is what the storage says about the table, with the column and row.

        Raises:
            NoImageError: there is certainly no image, and why.
            FileNotFoundError: there is no such file.
            PermissionError: it may not be seen.
            StorageError: the network failed, or the server tells neither ETag nor time.
        """
        place = packed_location(uri)
        if place:
            return self._table(place.table, place.column).mark_of(place.row)
        bands = _files_of(uri)
        if len(bands) == 1 and not bands[0].band:
            return self.reader.fingerprint(uri)
        return " ".join(f"{band}={self.reader.fingerprint(file)}" for band, file in bands)

    def _read_bands(self, uri: str) -> list[ImagePart]:
        """A file, or one a band."""
        parts, absences = [], {}
        bands = _files_of(uri)
        for band, file in bands:
            try:
                parts.append(ImagePart(band, self.reader.read(file)))
            except ABSENT_ERRORS as error:
                absences[file] = error
        if len(absences) == len(bands):
            raise absences[bands[0].uri]
        if absences:
            raise NoImageError("missing in a band", ", ".join(absences))
        return parts

    def _cells_as_asked(self, places: list[PackedLocation]) -> Iterator[Cell]:
        """Cells in any order; each table is read forward, once."""
        ascending = sorted(set(places))
        if places == ascending:
            yield from self._cells(places)
            return
        spans: dict[PackedLocation, tuple[int, int] | OSError] = {}
        with tempfile.TemporaryFile() as file:
            for place, cell in zip(ascending, self._cells(ascending), strict=True):
                if isinstance(cell, OSError):
                    spans[place] = cell
                else:
                    spans[place] = (file.tell(), file.write(cell))
            for place in places:
                span = spans[place]
                if isinstance(span, tuple):
                    file.seek(span[0])
                    yield file.read(span[1])
                else:
                    yield span

    def _cells(self, places: list[PackedLocation]) -> Iterator[Cell]:
        """Cells in order of table, column and row."""
        for (name, column), of_table in groupby(places, lambda place: place[:2]):
            rows = [place.row for place in of_table]
            try:
                table = self._table(name, column)
            except ABSENT_ERRORS as error:
                yield from (error for _ in rows)
            else:
                yield from table.stream(rows)

    def _table(self, name: str, column: str) -> PackedTable:
        """The table, its footer read once; the last few are kept."""
        key = (name, column)
        with self._lock:
            if key not in self._tables:
                try:
                    self._tables[key] = PackedTable(self.reader, name, column)
                except ABSENT_ERRORS as error:
                    self._tables[key] = error
                if len(self._tables) > _MAX_TABLES:
                    self._tables.popitem(last=False)
            table = self._tables[key]
        if isinstance(table, OSError):
            raise table
        return table


def _files_of(uri: str) -> list[BandLocation]:
    """The files that a location names; one of that very name on this machine goes first."""
    path = local_path(uri)
    if path is not None and "{" in path and os.path.isfile(path):
        return [BandLocation("", uri)]
    return band_locations(uri)


def _parts(cell: Cell) -> list[ImagePart]:
    """An image that is one file without a band."""
    if isinstance(cell, OSError):
        raise cell
    return [ImagePart("", cell)]
