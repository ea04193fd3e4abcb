"""Shards elsewhere: read where they are, in few large requests, without a copy on disk."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from jaxtyping import UInt8

from galaxyloop.errors import ShardError
from galaxyloop.image_files.ranges import PIECE_BYTES, ByteRange, RangedFile
from galaxyloop.shard_summary import MENDING, ShardSummary
from galaxyloop.shards import CutoutShard
from galaxyloop.storage import ABSENT_ERRORS, FileReader, local_path

_MOST_HEADER_BYTES = 4096
_MOST_TABLE_BYTES = 1 << 30
_PIECES_AHEAD = 3


@dataclass(frozen=True)
class StreamedShard:
    """A shard at an address, whose pixels are fetched as they are asked for, in order.

    One request each for the summary and the index, then one for every 8 MiB of pixels (the
    remainder goes along with them), a few ahead of who asks. Every byte is checked against the
    summary.
    """

    address: str
    summary: ShardSummary
    reader: FileReader

    @classmethod
    def open(cls, address: str, reader: FileReader | None = None) -> "StreamedShard":
        """Read the summary of a shard at an address such as ``s3://bucket/shard``.

        Raises:
            ShardError: there is none, or of another format.
            StorageError: the network failed.
        """
        reader = reader or FileReader(_MOST_TABLE_BYTES)
        address = address.rstrip("/")
        try:
            text = reader.read(f"{address}/shard.json")
        except ABSENT_ERRORS as error:
            raise ShardError(f"{address} is no cutout shard: {error}; {_remedy(error)}") from error
        return cls(address, ShardSummary.read(text, address), reader)

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row a cutout, in the order of the pixels."""
        with self.open_index() as file:
            table: pd.DataFrame = file.read().to_pandas()
            return table

    @property
    def digest(self) -> str:
        """Digest of the config, the galaxies, their pixels and the rejects."""
        return self.summary.digest

    def open_index(self) -> pa.parquet.ParquetFile:
        """The index, fetched and checked.

        Raises:
            ShardError: it is not as it was written.
        """
        return pa.parquet.ParquetFile(io.BytesIO(self._index_bytes))

    @cached_property
    def _index_bytes(self) -> bytes:
        """The index as it is stored."""
        try:
            content = self.reader.read(f"{self.address}/index.parquet")
        except ABSENT_ERRORS as error:
            raise self._lacks("index.parquet", error) from error
        self._check("index.parquet", hashlib.sha256(content).hexdigest())
        return content

    def batches(self, batch_size: int) -> Iterator[UInt8[np.ndarray, "galaxy y x band"]]:
        """The cutouts in order.

        Raises:
            ShardError: there are no pixels, or not those that were written; the latter is told
                after the last of them.
            StorageError: the network failed.
        """
        n_galaxies, side = self.summary.n_galaxies, self.summary.image_size_px
        n_each = side * side * 3
        file = self._open_pixels(n_galaxies * n_each)
        content = hashlib.sha256(self._read_header(file))
        for first in range(0, n_galaxies, batch_size):
            n_here = min(batch_size, n_galaxies - first)
            pixels = file.read(n_here * n_each)
            content.update(pixels)
            if len(pixels) != n_here * n_each:
                break
            yield np.frombuffer(pixels, np.uint8).reshape(n_here, side, side, 3)
        self._check("cutouts.npy", content.hexdigest())

    def _open_pixels(self, n_bytes: int) -> RangedFile:
        """The file of pixels, to be read from its start."""
        uri = f"{self.address}/cutouts.npy"
        # The header's length is not known yet; what is asked for beyond the end does not come.
        size = n_bytes + _MOST_HEADER_BYTES
        n_pieces = max(1, n_bytes // PIECE_BYTES)
        edges = [size * i // n_pieces for i in range(n_pieces + 1)]
        pieces = [ByteRange(*edges[i : i + 2]) for i in range(n_pieces)]

        def fetch(start: int, stop: int) -> bytes:
            try:
                return self.reader.read_range(uri, start, stop)
            except ABSENT_ERRORS as error:
                raise self._lacks("cutouts.npy", error) from error

        return RangedFile(fetch, size, pieces, _PIECES_AHEAD)

    def _read_header(self, file: RangedFile) -> bytes:
        """NumPy's header, after a look at the shape that it tells."""
        side = self.summary.image_size_px
        wanted = (self.summary.n_galaxies, side, side, 3)
        try:
            np.lib.format.read_magic(file)
            found, _, dtype = np.lib.format.read_array_header_1_0(file)
        except ShardError:
            raise
        except ValueError as error:
            raise ShardError(
                f"{self.address}/cutouts.npy is damaged: {error}; {MENDING}"
            ) from error
        if found != wanted or dtype != np.uint8:
            raise ShardError(
                f"{self.address}/cutouts.npy has shape {found} of {dtype}, expected {wanted} of "
                f"uint8; {MENDING}"
            )
        n_bytes = file.tell()
        file.seek(0)
        return file.read(n_bytes)

    def _check(self, name: str, sha256: str) -> None:
        """Refuse a file that is not as it was written."""
        self.summary.check(name, sha256, self.address)

    def _lacks(self, name: str, error: OSError) -> ShardError:
        """What to raise for a file that is not there to be read."""
        return ShardError(f"{self.address} lacks {name}: {error}; {_remedy(error)}")


def _remedy(error: OSError) -> str:
    """What to do about a file that is not there, or may not be read."""
    return "check your credentials" if isinstance(error, PermissionError) else MENDING


def open_shard(place: str | Path) -> CutoutShard | StreamedShard:
    """The shard in a directory, or at an address, where it is read without a copy.

    Raises:
        ShardError: there is none, or it is damaged.
        StorageError: the network failed.
    """
    directory = local_path(str(place))
    return StreamedShard.open(str(place)) if directory is None else CutoutShard.open(directory)
