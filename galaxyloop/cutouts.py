"""Cutting out: every image of a chunk decoded once, cropped, resized and packed into a shard."""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import ChangedImageError, StorageError
from galaxyloop.image_files import (
    ImageFiles,
    ImagePart,
    ImageReading,
    NoImageError,
    map_in_order,
)
from galaxyloop.images import (
    ColourConfig,
    Cutout,
    ImageBounds,
    ImageRejectedError,
    cut_out,
    decode_image,
    is_jpeg,
)
from galaxyloop.shards import CutoutWriter, ShardSummary
from galaxyloop.storage import ABSENT_ERRORS, LocationError, whole_directory
from galaxyloop.surveys.fingerprints import (
    CONTENT,
    STAT,
    UNREADABLE,
    content_fingerprint,
    stat_fingerprint,
)

_MISSING = "missing"
_NOT_READABLE = "not readable"
WITHDRAWN = "withdrawn from the survey, and its image since gone or changed"
_REJECT_COLUMNS = ["row", "id_str", "image_digest", "column", "value", "reason"]


@dataclass(frozen=True)
class CutoutConfig(StrictConfig):
    """How an image becomes a cutout; pixels and rejects depend on every setting here."""

    image_size_px: int = 64
    """Side of the square cutout [px]."""
    centre_fraction: float = 1.0
    """Side of the central square that is kept, as a share of the image's shorter side."""
    min_side_px: int = 32
    """An image with a shorter side is rejected [px]."""
    max_image_px: int = 100_000_000
    """An image of more pixels is rejected before it is decoded."""
    max_image_bytes: int = 50_000_000
    """An image with a longer file is rejected."""
    colour: ColourConfig = ColourConfig()
    """How FITS bands become RGB; JPEG and PNG are RGB already."""
    reduced_decode: bool = True
    """Decode a JPEG at 1/8, 1/4 or 1/2 of its size where enough pixels are left, and shrink it
    quickly: half the time. Pixels differ from exact averages over area (false) by up to a fifth of
    the sky's noise in the mean, and in place by up to one if centre_fraction is below 1."""

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
        for name in ("min_side_px", "max_image_px", "max_image_bytes"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be >= 1, got {value}")


def cut_out_image(parts: Sequence[ImagePart], config: CutoutConfig) -> Cutout:
    """The cutout of one image, from its files.

    Raises:
        ImageRejectedError: it cannot be decoded, is out of bounds, or blank.
    """
    is_quick = config.reduced_decode and is_jpeg(parts[0].content)
    wanted_px = math.ceil(config.image_size_px / config.centre_fraction) if is_quick else 0
    bounds = ImageBounds(config.max_image_px, config.min_side_px)
    image = decode_image(parts, bounds, config.colour, wanted_px)
    cutout = cut_out(image, config.centre_fraction, config.image_size_px, is_quick)
    levels, n_bands = cutout.ravel(), cutout.shape[2]
    if (levels[n_bands:] == levels[:-n_bands]).all():
        raise ImageRejectedError("blank", f"every pixel is {cutout[0, 0].tolist()}")
    return cutout


def cut_out_chunk(
    chunk: pd.DataFrame,
    config: CutoutConfig,
    directory: Path,
    n_readers: int = 8,
    n_attempts: int = 3,
) -> ShardSummary:
    """Make the shard of a chunk: its cutouts in order, and a reject for each unusable image.

    Each cutout depends on its own files alone. Memory holds the index and a few images: of
    files ``n_readers``, of packed images up to ``8 * (2 * n_readers + 1)``.

    A shard is kept for as long as its chunk, so what may pass must not become a reject. An image
    that was seen when the survey was versioned (fingerprint ``content`` or ``stat``) and now is
    gone, or another, stops the run. Under ``uri`` nobody has looked before: a file that certainly
    is not there, or in no table, is a reject, unless all of the chunk are: the storage is away.

    Args:
        chunk: ``id_str, image_uri, image_digest`` and the columns of the index; a row whose
            ``is_alive`` is False was withdrawn, and its image may be gone.
        config: size, crop and bounds.
        directory: appears complete or not at all.
        n_readers: images read and decoded at the same time.
        n_attempts: how often a file is asked for when the network fails.

    Raises:
        ChangedImageError: images vanished or changed since the survey was versioned.
        StorageError: the network failed ``n_attempts`` times, or the directory exists already.
    """
    with whole_directory(directory) as draft:
        writer = CutoutWriter(draft, config.image_size_px, config.to_dict())
        cutter = _Cutter(config, ImageFiles(config.max_image_bytes, n_attempts))
        with writer, closing(cutter.in_order(chunk, n_readers)) as cutouts:
            used, rejects, n_unseen = _write_cutouts(cutouts, chunk, writer)
        _check_storage(rejects, n_unseen, len(chunk))
        return writer.finish(chunk.iloc[used], rejects)


def _write_cutouts(
    cutouts: "Iterator[Cutout | ImageRejectedError]", chunk: pd.DataFrame, writer: CutoutWriter
) -> tuple[list[int], pd.DataFrame, int]:
    """Append every cutout; the rows that gave one, a table of the others, how many of them unseen.

    Unseen is an image that there is no file of and that nobody has looked for before.
    """
    used: list[int] = []
    n_unseen = 0
    rejects: list[tuple[object, ...]] = []
    keys = list(zip(chunk["id_str"], chunk["image_digest"], chunk["group_id"], strict=True))
    for row, cutout in enumerate(tqdm(cutouts, "cutouts", len(chunk), disable=None)):
        if isinstance(cutout, ImageRejectedError):
            why = ("image_uri", cutout.value, cutout.reason)
            rejects.append((row, *keys[row][:2], *why))
            n_unseen += isinstance(cutout, _UnseenError)
        else:
            writer.append(*keys[row], cutout)
            used.append(row)
    return used, pd.DataFrame(rejects, columns=_REJECT_COLUMNS), n_unseen


class _Row(NamedTuple):
    """What the cutter needs of a row of the chunk."""

    reading: ImageReading
    uri: str
    digest: str
    is_alive: bool


class _Cutter:
    """Makes a cutout of each row, or tells why there is none."""

    def __init__(self, config: CutoutConfig, files: ImageFiles) -> None:
        self.config = config
        self.files = files

    def in_order(
        self, chunk: pd.DataFrame, n_readers: int
    ) -> Generator[Cutout | ImageRejectedError, None, None]:
        """Cutouts in the order of the rows, a bounded number of them under way."""
        uris = chunk["image_uri"].tolist()
        is_alive = chunk["is_alive"] if "is_alive" in chunk else [True] * len(chunk)
        columns = (self.files.in_order(uris), uris, chunk["image_digest"], is_alive)
        rows = (_Row(*row) for row in zip(*columns, strict=True))
        return map_in_order(self._one, rows, n_readers)

    def _one(self, row: _Row) -> Cutout | ImageRejectedError:
        """One image's cutout, or why there is none; rejection is an answer here, no failure."""
        try:
            return cut_out_image(self._parts(row), self.config)
        except ImageRejectedError as rejection:
            return rejection

    def _parts(self, row: _Row) -> list[ImagePart]:
        """The image's files, if they are still those of the survey version."""
        limit = self.config.max_image_bytes
        parts: list[ImagePart] = []
        try:
            parts = row.reading()
            change = self._change(row, parts)
        except ABSENT_ERRORS as error:
            if self._was_never_there(row, error):
                kind = ImageRejectedError if _was_looked_for(row.digest) else _UnseenError
                raise kind(*_absence(row.uri, error)) from error
            change = f"cannot be read any more ({error})"
        if change and row.is_alive:
            raise ChangedImageError(
                f"{row.uri} {change} since the manifest was read; run again, so that the survey "
                "has it as it is now"
            )
        if change:
            raise ImageRejectedError(WITHDRAWN, row.uri)
        if any(len(part.content) > limit for part in parts):
            raise ImageRejectedError(f"more than max_image_bytes={limit} bytes", row.uri)
        if row.digest == UNREADABLE:
            raise ImageRejectedError("was not readable when the survey was versioned", row.uri)
        return parts

    def _change(self, row: _Row, parts: list[ImagePart]) -> str:
        """How the files differ from the survey version's, empty if they do not."""
        limit, now = self.config.max_image_bytes, row.digest
        if row.digest.startswith(CONTENT):
            now = content_fingerprint(parts, limit) or row.digest
        elif row.digest.startswith(STAT):
            now = stat_fingerprint(self.files.fingerprint(row.uri))
        return "" if now == row.digest else "has changed"

    def _was_never_there(self, row: _Row, error: OSError) -> bool:
        """Whether nobody has seen this image: a table's state says nothing of one cell of it."""
        if isinstance(error, NoImageError) and row.digest.startswith(STAT):
            try:
                return not self._change(row, [])
            except ABSENT_ERRORS:
                return False
        return not row.digest.startswith((CONTENT, STAT))


class _UnseenError(ImageRejectedError):
    """There is no file, and nobody has looked for one before: the storage may be away."""


def _was_looked_for(digest: str) -> bool:
    """Whether a fingerprint tells that the survey's versioning looked at the image or its table."""
    return digest == UNREADABLE or digest.startswith((CONTENT, STAT))


def _absence(uri: str, error: OSError) -> tuple[str, str]:
    """Why there is no file that anybody has seen before, and what there is."""
    if isinstance(error, NoImageError):
        return error.reason, error.value
    if isinstance(error, FileNotFoundError) and not isinstance(error, LocationError):
        return _MISSING, uri
    return _NOT_READABLE, f"{uri}: {error}"


def _check_storage(rejects: pd.DataFrame, n_unseen: int, n_read: int) -> None:
    """Refuse to keep a shard of images of which none is there though all were listed."""
    if n_read and n_unseen == n_read:
        raise StorageError(
            f"none of the {n_read} images of this chunk can be read, such as "
            f"{rejects['value'].iloc[0]} ({rejects['reason'].iloc[0]}); check the storage, or take "
            "them off the manifest, and run again"
        )
