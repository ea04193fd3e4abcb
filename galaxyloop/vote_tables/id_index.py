"""Which galaxies were seen, and in which row, without an object an id.

An id costs 8 bytes over the share of the table that is filled (0.35 to 0.7), so 12 to 23 bytes
whatever its length; its text rests on disk. Hashes only say where to look: ids are the same if
their texts are.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int, UInt64

_EMPTY = np.uint64(2**64 - 1)
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: its multiples spread over the whole range (Knuth 1998, 6.4)."""
_FIRST_BYTES = np.array([256**n - 1 for n in range(9)], dtype=np.uint64)
"""Masks that keep the first 0 to 8 bytes of a little-endian word."""
_MIN_CELLS = 2**20
_MAX_FILLED = 0.7
_ROWS_AT_ONCE = 65_536


def hash_ids(ids: pa.StringArray) -> UInt64[np.ndarray, " galaxy"]:
    """A number for each id, the same for the same text; eight bytes are mixed in at a time."""
    starts, lengths, text = cut_texts(ids)
    padded = np.concatenate([text, np.zeros(8, dtype=np.uint8)])
    # The eight bytes that begin at each byte.
    words = np.ndarray(len(text) + 1, dtype="<u8", buffer=padded, strides=(1,))
    hashes = lengths.astype(np.uint64) * _FACTOR
    for first in range(0, int(lengths.max(initial=0)), 8):
        is_longer = lengths > first
        rows = slice(None) if is_longer.all() else np.flatnonzero(is_longer)
        word = words[starts[rows] + first]
        if (lengths[rows] < first + 8).any():
            word &= _FIRST_BYTES[np.minimum(lengths[rows] - first, 8)]
        mixed = (hashes[rows] ^ word) * _FACTOR
        hashes[rows] = mixed ^ (mixed >> _HALF)
    return hashes * _FACTOR


def cut_texts(
    ids: pa.StringArray,
) -> tuple[Int[np.ndarray, " galaxy"], Int[np.ndarray, " galaxy"], np.ndarray]:
    """First byte and number of bytes of each text, and the bytes; ids must have no nulls."""
    _, offsets, text = ids.buffers()
    if not len(ids) or text is None:
        nothing = np.zeros(len(ids), dtype=np.int64)
        return nothing, nothing, np.zeros(0, dtype=np.uint8)
    ends = np.frombuffer(offsets, dtype=np.int32)[ids.offset : ids.offset + len(ids) + 1]
    ends = ends.astype(np.int64)
    used = np.frombuffer(text, dtype=np.uint8)[ends[0] : ends[-1]]
    return ends[:-1] - ends[0], np.diff(ends), used


def find_first(
    ids: pa.StringArray, hashes: UInt64[np.ndarray, " galaxy"]
) -> Bool[np.ndarray, " galaxy"]:
    """True where no earlier row has the same id."""
    ordered = np.sort(hashes)
    is_first = np.ones(len(ids), dtype=bool)
    if (ordered[1:] == ordered[:-1]).any():
        numbers = ids.dictionary_encode().indices.to_numpy()
        is_first[:] = False
        is_first[np.unique(numbers, return_index=True)[1]] = True
    return is_first


class StoredIds:
    """Ids on disk, in the order in which they were appended."""

    def __init__(self, folder: Path, name: str) -> None:
        """Start without ids."""
        self._texts, self._ends = folder / f"{name}.ids", folder / f"{name}.ends"
        self._texts.touch()
        self._ends.write_bytes(np.zeros(1, dtype=np.int64).tobytes())
        self._n_ids = self._n_bytes = 0

    def __len__(self) -> int:
        """How many there are."""
        return self._n_ids

    def append(self, ids: pa.StringArray) -> None:
        """Add ids."""
        starts, lengths, text = cut_texts(ids)
        ends = starts + lengths + self._n_bytes
        with self._texts.open("ab") as texts, self._ends.open("ab") as file:
            texts.write(text.tobytes())
            file.write(ends.tobytes())
        self._n_ids += len(ids)
        self._n_bytes += len(text)

    def read(self, first: int, stop: int) -> pa.StringArray:
        """The ids of some rows that follow each other."""
        return pc.cast(self._mapped().slice(first, stop - first), pa.string())

    def take(self, rows: Int[np.ndarray, " galaxy"]) -> pa.StringArray:
        """The ids of these rows."""
        return pc.cast(self._mapped().take(pa.array(rows)), pa.string())

    def _mapped(self) -> pa.LargeStringArray:
        """All ids as a view of the files."""
        if not self._n_bytes:
            return pa.array([""] * self._n_ids, pa.large_string())
        ends, texts = (pa.memory_map(str(path)).read_buffer() for path in (self._ends, self._texts))
        return pa.LargeStringArray.from_buffers(self._n_ids, ends, texts)


class IdIndex:
    """A table of hashes, each beside the row of its id, with open addressing.

    A cell holds the low half of the hash above the row; the high half says where to look first,
    and the hash itself how far to step where the cell is taken (Knuth 1998, 6.4).
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Start without ids; files of that name in the folder keep their texts."""
        self.ids = StoredIds(folder, name)
        self._hashes = folder / f"{name}.hashes"
        self._hashes.touch()
        self._cells = np.full(_MIN_CELLS, _EMPTY)

    def __len__(self) -> int:
        """How many ids were added."""
        return len(self.ids)

    def add_new(self, ids: pa.StringArray) -> Bool[np.ndarray, " galaxy"]:
        """Add the ids that are not there yet.

        Returns:
            True where the id was new: added before neither in another batch nor in this one.
        """
        self._make_room(len(ids))
        hashes = hash_ids(ids)
        rows, places = self._search(ids, hashes)
        is_new = find_first(ids, hashes) & (rows < 0)
        if not is_new.all():
            ids, hashes, places = ids.filter(pa.array(is_new)), hashes[is_new], places[is_new]
        self._insert(hashes, places, len(self.ids))
        self.ids.append(ids)
        with self._hashes.open("ab") as file:
            file.write(hashes.tobytes())
        return is_new

    def find(self, ids: pa.StringArray) -> Int[np.ndarray, " galaxy"]:
        """The row of each id, counted as they were added; -1 where it was not."""
        return self._search(ids, hash_ids(ids))[0]

    def _search(
        self, ids: pa.StringArray, hashes: UInt64[np.ndarray, " galaxy"]
    ) -> tuple[Int[np.ndarray, " galaxy"], Int[np.ndarray, " galaxy"]]:
        """The row of each id, or -1, and the place in the table where the search ended."""
        found = np.full(len(ids), -1, dtype=np.int64)
        places = self._first_places(hashes)
        searching = np.arange(len(ids))
        while True:
            cells = self._cells[places[searching]]
            taken = np.flatnonzero(cells != _EMPTY)
            if not len(taken):
                return found, places
            searching, cells = searching[taken], cells[taken]
            is_same = (cells >> _HALF) == (hashes[searching] & _LOW_HALF)
            if is_same.any():
                rows = (cells[is_same] & _LOW_HALF).astype(np.int64)
                is_right = self._are(rows, ids.take(pa.array(searching[is_same])))
                is_same[is_same] = is_right
                found[searching[is_same]] = rows[is_right]
                searching = searching[~is_same]
            places[searching] = self._step(places[searching], hashes[searching])

    def _insert(
        self,
        hashes: UInt64[np.ndarray, " galaxy"],
        places: Int[np.ndarray, " galaxy"],
        first: int,
    ) -> None:
        """Put rows from ``first`` on into free places, or on from there if several want one."""
        rows = np.arange(first, first + len(hashes), dtype=np.uint64)
        cells = ((hashes & _LOW_HALF) << _HALF) | rows
        while len(cells):
            self._cells[places] = cells
            # Of several that took the same place, the last has it.
            left = np.flatnonzero(self._cells[places] != cells)
            hashes, cells = hashes[left], cells[left]
            places = self._find_free(places[left], hashes)

    def _find_free(
        self, places: Int[np.ndarray, " galaxy"], hashes: UInt64[np.ndarray, " galaxy"]
    ) -> Int[np.ndarray, " galaxy"]:
        """The next free place of each, from these on."""
        taken = np.arange(len(places))
        while True:
            taken = taken[np.flatnonzero(self._cells[places[taken]] != _EMPTY)]
            if not len(taken):
                return places
            places[taken] = self._step(places[taken], hashes[taken])

    def _are(
        self, rows: Int[np.ndarray, " galaxy"], ids: pa.StringArray
    ) -> Bool[np.ndarray, " galaxy"]:
        """Whether the rows' ids are these, letter by letter."""
        return np.asarray(pc.equal(self.ids.take(rows), ids).to_numpy(zero_copy_only=False))

    def _first_places(self, hashes: UInt64[np.ndarray, " galaxy"]) -> Int[np.ndarray, " galaxy"]:
        """Where to look first."""
        n_bits = len(self._cells).bit_length() - 1
        return (hashes >> np.uint64(64 - n_bits)).astype(np.int64)

    def _step(
        self, places: Int[np.ndarray, " galaxy"], hashes: UInt64[np.ndarray, " galaxy"]
    ) -> Int[np.ndarray, " galaxy"]:
        """Where to look next; odd steps meet every place."""
        steps = (hashes & _LOW_HALF).astype(np.int64) | 1
        places = (places + steps) & (len(self._cells) - 1)
        return places

    def _make_room(self, n_ids: int) -> None:
        """Enlarge the table if so many more would fill it too far."""
        n_cells = len(self._cells)
        while len(self.ids) + n_ids > _MAX_FILLED * n_cells:
            n_cells *= 2
        if n_cells == len(self._cells):
            return
        del self._cells
        self._cells = np.full(n_cells, _EMPTY)
        for first in range(0, len(self.ids), _ROWS_AT_ONCE):
            hashes = np.fromfile(self._hashes, np.uint64, _ROWS_AT_ONCE, offset=8 * first)
            places = self._find_free(self._first_places(hashes), hashes)
            self._insert(hashes, places, first)
