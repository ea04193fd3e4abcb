"""Cutting out: every image of a chunk decoded once, cropped, resized and packed into a shard."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import TooManyRejectsError
from galaxyloop.images import Cutout, ImageBounds, ImageRejectedError, cut_out, decode_rgb
from galaxyloop.shards import CutoutWriter, ShardSummary
from galaxyloop.storage import FileReader, whole_directory
from galaxyloop.surveys.fingerprints import CONTENT, UNREADABLE, content_fingerprint

_BATCH = 8
_BATCHES_AHEAD = 2
_NOT_IN_PIXELS = ("max_reject_rate", "n_readers", "n_attempts")


@dataclass(frozen=True)
class CutoutConfig(StrictConfig):
    """How an image becomes a cutout."""

    image_size_px: int = 64
    """Side of the square cutout [px]."""
    centre_fraction: float = 1.0
    """Side of the central square that is kept, as a share of the image's shorter side."""
    min_side_px: int = 32
    """An image with a shorter side is rejected [px]."""
    max_image_px: int = 100_000_000
    """An image of more pixels is rejected before it is decoded."""
    max_image_bytes: int = 50_000_000
    """A longer file is rejected."""
    max_reject_rate: float = 0.05
    """Share of images that may be rejected before the run stops, from 0 to 1."""
    n_readers: int = 8
    """Images read and decoded at the same time."""
    n_attempts: int = 3
    """How often a file is asked for when the network fails."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            8 <= self.image_size_px <= 4096,
            f"image_size_px must be in [8, 4096], got {self.image_size_px}",
        )
        require(
            0 < self.centre_fraction <= 1,
            f"centre_fraction must be in (0, 1], got {self.centre_fraction}",
        )
        require(
            0 <= self.max_reject_rate <= 1,
            f"max_reject_rate must be in [0, 1], got {self.max_reject_rate}",
        )
        for name in ("min_side_px", "max_image_px", "max_image_bytes", "n_readers", "n_attempts"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be >= 1, got {value}")

    @property
    def pixel_settings(self) -> dict[str, Any]:
        """The settings that pixels or rejects depend on: part of a shard's digest."""
        settings = self.to_dict()
        return {k: v for k, v in settings.items() if k not in _NOT_IN_PIXELS}


def cut_out_chunk(chunk: pd.DataFrame, config: CutoutConfig, directory: Path) -> ShardSummary:
    """Make the shard of a chunk.

    Cutouts come in the order of the chunk, however many readers there are, and each depends on
    nothing but its own file. Images are written as they come, so memory holds a few of them and
    the index. An image that cannot be used becomes a line in ``rejects.parquet``.

    Args:
        chunk: ``id_str, image_uri, image_digest`` and the columns of the index.
        config: size, crop, bounds and tolerance.
        directory: appears complete or not at all.

    Raises:
        TooManyRejectsError: more images are rejected than ``max_reject_rate`` allows.
        StorageError: the network failed ``n_attempts`` times, or the directory exists already.
    """
    used: list[int] = []
    rejects: list[dict[str, object]] = []
    ids = chunk["id_str"].tolist()
    with whole_directory(directory) as draft:
        writer = CutoutWriter(draft, config.image_size_px, config.pixel_settings)
        with writer, _Cutter(chunk, config) as cutouts:
            for row, cutout in enumerate(tqdm(cutouts, "cutouts", len(chunk), disable=None)):
                if isinstance(cutout, ImageRejectedError):
                    rejects.append(_reject(row, ids[row], cutout))
                    _check_rate(rejects, len(chunk), config.max_reject_rate)
                else:
                    writer.append(ids[row], cutout)
                    used.append(row)
        table = pd.DataFrame(rejects, columns=["row", "id_str", "column", "value", "reason"])
        return writer.finish(chunk.iloc[used], table)


class _Cutter:
    """Cutouts in the order of the rows, a bounded number of them under way."""

    def __init__(self, chunk: pd.DataFrame, config: CutoutConfig) -> None:
        self.rows = zip(chunk["image_uri"], chunk["image_digest"], strict=True)
        self.config = config
        self.reader = FileReader(config.max_image_bytes, config.n_attempts)
        self.bounds = ImageBounds(config.max_image_px, config.min_side_px)
        self.pool = ThreadPoolExecutor(config.n_readers)

    def __enter__(self) -> "Iterator[Cutout | ImageRejectedError]":
        return self._in_order()

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def _in_order(self) -> "Iterator[Cutout | ImageRejectedError]":
        waiting: deque[Future[list[Any]]] = deque()
        while batch := list(islice(self.rows, _BATCH)):
            waiting.append(self.pool.submit(self._several, batch))
            if len(waiting) > _BATCHES_AHEAD * self.config.n_readers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _several(self, rows: list[tuple[str, str]]) -> "list[Cutout | ImageRejectedError]":
        """Handing over one image at a time would cost as much as the image."""
        return [self._one(uri, digest) for uri, digest in rows]

    def _one(self, uri: str, digest: str) -> "Cutout | ImageRejectedError":
        """One image's cutout, or why there is none; rejection is an answer here, no failure."""
        try:
            content = self._content(uri, digest)
            image = decode_rgb(content, self.bounds)
            cutout = cut_out(image, self.config.centre_fraction, self.config.image_size_px)
            if (cutout == cutout[:1, :1]).all():
                raise ImageRejectedError("blank", f"every pixel is {cutout[0, 0].tolist()}")
        except ImageRejectedError as rejection:
            return rejection
        return cutout

    def _content(self, uri: str, digest: str) -> bytes:
        """The file's bytes, if they are still those of the survey version."""
        try:
            content = self.reader.read(uri)
        except FileNotFoundError as error:
            raise ImageRejectedError("missing", uri) from error
        except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
            raise ImageRejectedError("not readable", f"{uri}: {error}") from error
        limit = self.config.max_image_bytes
        if len(content) > limit:
            raise ImageRejectedError(f"more than max_image_bytes={limit} bytes", uri)
        if digest == UNREADABLE:
            raise ImageRejectedError("was not readable when the survey was versioned", uri)
        if digest.startswith(CONTENT) and content_fingerprint(content, limit) != digest:
            raise ImageRejectedError("changed since the survey was versioned", uri)
        return content


def _reject(row: int, id_str: str, rejection: ImageRejectedError) -> dict[str, object]:
    """A line of the rejects table."""
    return {
        "row": row,
        "id_str": id_str,
        "column": "image_uri",
        "value": rejection.value,
        "reason": rejection.reason,
    }


def _check_rate(rejects: list[dict[str, object]], n_read: int, max_reject_rate: float) -> None:
    """Stop as soon as the bound is passed, whatever the other images are."""
    if len(rejects) > max_reject_rate * n_read:
        reasons = Counter(str(line["reason"]) for line in rejects)
        raise TooManyRejectsError(
            "images", len(rejects), n_read, max_reject_rate, dict(reasons.most_common())
        )
