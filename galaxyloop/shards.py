"""Shards: the cutouts of one chunk, packed so that they are read without decoding."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from jaxtyping import Integer, UInt8

from galaxyloop.errors import ShardError
from galaxyloop.shard_summary import MENDING, SHARD_FORMAT, ShardSummary
from galaxyloop.storage import file_digest, write_table

__all__ = ["CutoutCollection", "CutoutShard", "CutoutWriter", "ShardSummary"]

_TEXT = pa.string()
_INDEX_SCHEMA = pa.schema(
    {
        "id_str": _TEXT,
        "group_id": _TEXT,
        "ra_deg": pa.float64(),
        "dec_deg": pa.float64(),
        "survey": _TEXT,
        "image_uri": _TEXT,
        "image_digest": _TEXT,
    }
)
_REJECT_SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "id_str": _TEXT,
        "image_digest": _TEXT,
        "column": _TEXT,
        "value": _TEXT,
        "reason": _TEXT,
    }
)
_FILES = ("cutouts.npy", "index.parquet", "rejects.parquet")


class CutoutWriter:
    """Appends cutouts to ``cutouts.npy`` one by one; holds one of them at a time in memory."""

    def __init__(self, directory: Path, image_size_px: int, config: dict[str, Any]) -> None:
        """Start the file; the number of cutouts is written into its header at the end."""
        self.directory = directory
        self.image_size_px = image_size_px
        self.config = config
        self.n_galaxies = 0
        self._content = hashlib.sha256()
        self._add_texts(json.dumps(config, sort_keys=True))
        self._file = open(directory / "cutouts.npy", "wb")  # noqa: SIM115 - closed by __exit__
        self._write_header()

    def __enter__(self) -> "CutoutWriter":
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the final count into the header."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def append(
        self, id_str: str, image_digest: str, group_id: str, cutout: UInt8[np.ndarray, "y x band"]
    ) -> None:
        """Add one galaxy's cutout."""
        pixels = np.ascontiguousarray(cutout).tobytes()
        self._add_texts(id_str, image_digest, group_id)
        self._content.update(pixels)
        self._file.write(pixels)
        self.n_galaxies += 1

    def finish(self, index: pd.DataFrame, rejects: pd.DataFrame) -> ShardSummary:
        """Write the tables and the summary, after the file of cutouts is closed."""
        write_table(index, _INDEX_SCHEMA, self.directory / "index.parquet")
        write_table(rejects, _REJECT_SCHEMA, self.directory / "rejects.parquet")
        self._add_texts("rejects")
        columns = ["row", "id_str", "image_digest", "column", "reason"]
        for reject in rejects[columns].itertuples(index=False):
            self._add_texts(*map(str, reject))
        summary = ShardSummary(
            n_read=len(index) + len(rejects),
            n_galaxies=self.n_galaxies,
            n_rejected=len(rejects),
            image_size_px=self.image_size_px,
            digest=self._content.hexdigest(),
            sha256={name: file_digest(self.directory / name) for name in _FILES},
            config=self.config,
        )
        text = json.dumps({"format": SHARD_FORMAT, **asdict(summary)}, indent=1, sort_keys=True)
        (self.directory / "shard.json").write_text(text + "\n")
        return summary

    def _add_texts(self, *texts: str) -> None:
        """Let the digest depend on texts, each with its length before it."""
        for text in texts:
            content = text.encode()
            self._content.update(b"%d:" % len(content) + content)

    def _write_header(self) -> None:
        """NumPy's own header; it pads so that another count does not change its length."""
        shape = (self.n_galaxies, self.image_size_px, self.image_size_px, 3)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )


@dataclass(frozen=True)
class CutoutShard:
    """A shard on disk; pixels stay there until they are asked for."""

    directory: Path
    summary: ShardSummary

    @classmethod
    def open(cls, directory: str | Path, verify: bool = False) -> "CutoutShard":
        """Open a shard; with ``verify`` every byte is checked, else only sizes.

        Raises:
            ShardError: a file is missing or not as it was written.
        """
        directory = Path(directory)
        try:
            text = (directory / "shard.json").read_bytes()
        except OSError as error:
            raise ShardError(f"{directory} is no cutout shard: {error}; {MENDING}") from error
        shard = cls(directory, ShardSummary.read(text, directory))
        shard._check_files(verify)
        return shard

    @cached_property
    def images(self) -> np.memmap:
        """The cutouts, ``galaxy y x band``, 8 bits a band, mapped and not read."""
        return np.lib.format.open_memmap(self.directory / "cutouts.npy", mode="r")

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row a cutout, in the order of ``images``."""
        return pd.read_parquet(self.directory / "index.parquet")

    def batches(self, batch_size: int) -> Iterator[UInt8[np.ndarray, "galaxy y x band"]]:
        """The cutouts in order, mapped; each batch is unmapped when it is dropped.

        So the pages of a whole shard are never in memory together.

        Raises:
            ShardError: the pixels are not as they were written; told after the last of them.
        """
        n_galaxies, side = self.summary.n_galaxies, self.summary.image_size_px
        path, header = self.directory / "cutouts.npy", self.images.offset
        with path.open("rb") as file:
            content = hashlib.sha256(file.read(header))

        def read(first: int) -> UInt8[np.ndarray, "galaxy y x band"]:
            shape = (min(batch_size, n_galaxies - first), side, side, 3)
            pixels = np.memmap(path, np.uint8, "r", header + first * side * side * 3, shape)
            content.update(pixels.reshape(-1).data)
            return pixels

        yield from map(read, range(0, n_galaxies, batch_size))
        self.summary.check("cutouts.npy", content.hexdigest(), self.directory)

    def open_index(self) -> pa.parquet.ParquetFile:
        """The index's file, to be read piece by piece and closed.

        Raises:
            ShardError: it is not as it was written.
        """
        self._check("index.parquet")
        return pa.parquet.ParquetFile(self.directory / "index.parquet")

    @property
    def rejects(self) -> pd.DataFrame:
        """Rows of the chunk that gave no cutout, with the reason."""
        return pd.read_parquet(self.directory / "rejects.parquet")

    @property
    def digest(self) -> str:
        """Digest of the config, the galaxies, their pixels and the rejects."""
        return self.summary.digest

    def _check(self, name: str) -> None:
        """Refuse a file that is not as it was written."""
        self.summary.check(name, file_digest(self.directory / name), self.directory)

    def _check_files(self, verify: bool) -> None:
        """Compare what lies here with what the summary says."""
        for name in _FILES:
            if not (self.directory / name).is_file():
                raise ShardError(f"{self.directory} lacks {name}; {MENDING}")
            if verify:
                self._check(name)
        side = self.summary.image_size_px
        wanted = (self.summary.n_galaxies, side, side, 3)
        try:
            found = self.images.shape
            n_rows = pa.parquet.read_metadata(self.directory / "index.parquet").num_rows
        except ValueError as error:
            raise ShardError(
                f"{self.directory}: cutouts.npy or index.parquet is damaged: {error}; {MENDING}"
            ) from error
        if found != wanted or n_rows != self.summary.n_galaxies:
            raise ShardError(
                f"{self.directory}: cutouts.npy has shape {found} and index.parquet {n_rows} rows, "
                f"expected {wanted} and {self.summary.n_galaxies}; {MENDING}"
            )


class CutoutCollection:
    """Several shards read as one; of several cutouts of one galaxy the last shard's counts.

    Args:
        shards: oldest first, all of one image size.
        alive: the fingerprint that each galaxy's image has now, by id; cutouts of other galaxies
            and of other images are left out. None keeps all.

    Raises:
        ShardError: there is no shard, or their sizes differ.
    """

    def __init__(
        self, shards: Sequence[CutoutShard], alive: Mapping[str, str] | None = None
    ) -> None:
        """Find out which cutouts count."""
        sizes = sorted({shard.summary.image_size_px for shard in shards})
        if len(sizes) != 1:
            raise ShardError(f"shards must share one image size [px], got {sizes}")
        self.shards = tuple(shards)
        self.image_size_px = sizes[0]
        index = pd.concat(
            [
                shard.index.assign(_shard=i, _place=np.arange(len(shard.index)))
                for i, shard in enumerate(shards)
            ],
            ignore_index=True,
        )
        if alive is not None:
            index = index[_is_current(index, alive)]
        index = index.drop_duplicates("id_str", keep="last")
        self._alive = alive
        self._shard = index["_shard"].to_numpy(np.int64)
        self._place = index["_place"].to_numpy(np.int64)
        self.index = index[_INDEX_SCHEMA.names].reset_index(drop=True)
        self.id_strs = self.index["id_str"].to_numpy(dtype=str)

    def __len__(self) -> int:
        """How many galaxies."""
        return len(self.index)

    @cached_property
    def rejects(self) -> pd.DataFrame:
        """Rejected images of galaxies that are alive and have no cutout, one line a galaxy."""
        rejects = pd.concat([shard.rejects for shard in self.shards], ignore_index=True)
        if self._alive is not None:
            rejects = rejects[_is_current(rejects, self._alive)]
        rejects = rejects[~rejects["id_str"].isin(self.index["id_str"])]
        return rejects.drop_duplicates("id_str", keep="last").reset_index(drop=True)

    def read(
        self, positions: Integer[np.ndarray, " galaxy"]
    ) -> UInt8[np.ndarray, "galaxy y x band"]:
        """The cutouts at the given places of ``index``, in the order asked for."""
        side = self.image_size_px
        images = np.empty((len(positions), side, side, 3), np.uint8)
        shard_of = self._shard[positions]
        for i in np.unique(shard_of):
            here = np.flatnonzero(shard_of == i)
            images[here] = self.shards[i].images[self._place[positions[here]]]
        return images


def _is_current(rows: pd.DataFrame, alive: Mapping[str, str]) -> "pd.Series[bool]":
    """Whether each row is of a living galaxy and of its present image."""
    current = rows["id_str"].map(alive)
    return (current == rows["image_digest"]).fillna(False).astype(bool)
