"""What volunteers are shown of a galaxy: the survey's own image, or the model's cutout."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from galaxyloop.cutouts import CutoutConfig, cut_out_image
from galaxyloop.errors import SubjectSetError
from galaxyloop.image_files import ImageFiles, ImageReading, map_in_order
from galaxyloop.images import Cutout, ImageRejectedError, cut_out
from galaxyloop.shards import CutoutCollection
from galaxyloop.storage import ABSENT_ERRORS
from galaxyloop.surveys.fingerprints import CONTENT, content_fingerprint
from galaxyloop.zooniverse.config import SubjectSetConfig

MAX_BYTES = 1_000_000
"""A picture must be shorter: the upload refuses 1 MiB, and some front ends a little less."""
_LOWEST_QUALITY = 50


@dataclass(frozen=True)
class Picture:
    """One galaxy as volunteers see it."""

    image: Cutout
    origin: str
    """``original`` or ``cutout``."""
    why: str = ""
    """Why it is not the original, where that was asked for."""


class _Wanted(NamedTuple):
    """What is needed to make one picture."""

    reading: ImageReading
    digest: str
    cutout: Cutout


def read_pictures(
    galaxies: pd.DataFrame, cutouts: CutoutCollection, how: CutoutConfig, config: SubjectSetConfig
) -> Generator[Picture, None, None]:
    """A picture of each galaxy, in their order; close it if it is not read to its end.

    The original is cropped and coloured as the cutouts were, so that volunteers and model judge
    the same piece of sky. An image that has changed since is not shown: its votes would be on
    something that the model did not see.

    Args:
        galaxies: ``id_str``, ``image_uri`` and ``image_digest`` as the survey has them now.
        cutouts: of these galaxies at least.
        how: how the cutouts were made.
        config: size, and which image is wanted.

    Raises:
        SubjectSetError: a galaxy has no cutout.
        StorageError: the network failed repeatedly.
    """
    positions = pd.Index(cutouts.id_strs).get_indexer(galaxies["id_str"].tolist())
    if (positions < 0).any():
        first = galaxies["id_str"].iloc[int(np.flatnonzero(positions < 0)[0])]
        raise SubjectSetError(
            f"{int((positions < 0).sum())} of {len(galaxies)} galaxies have no cutout, the first "
            f"'{first}'; give the cutouts of the survey that they were chosen from"
        )
    small = (cutouts.read(positions[place : place + 1])[0] for place in range(len(positions)))
    if config.images == "cutout":
        yield from (_of_cutout(cutout, config, "") for cutout in small)
        return
    how = replace(how, image_size_px=config.image_size_px, reduced_decode=False)
    files = ImageFiles(how.max_image_bytes, config.n_attempts)
    readings = files.in_order(galaxies["image_uri"].tolist())
    wanted = map(_Wanted, readings, galaxies["image_digest"].tolist(), small)

    def make(one: _Wanted) -> Picture:
        return _make_picture(one, how, config)

    with closing(map_in_order(make, wanted, config.n_readers)) as pictures:
        yield from pictures


def _make_picture(one: _Wanted, how: CutoutConfig, config: SubjectSetConfig) -> Picture:
    """The original if it is there and what it was, else the cutout."""
    try:
        parts = one.reading()
        if one.digest.startswith(CONTENT) and one.digest != content_fingerprint(
            parts, how.max_image_bytes
        ):
            return _of_cutout(one.cutout, config, "the image has changed since")
        return Picture(cut_out_image(parts, how), "original")
    except ImageRejectedError as rejection:
        return _of_cutout(one.cutout, config, rejection.reason)
    except ABSENT_ERRORS as error:
        return _of_cutout(one.cutout, config, f"it cannot be read ({type(error).__name__})")


def _of_cutout(cutout: Cutout, config: SubjectSetConfig, why: str) -> Picture:
    """The model's cutout at the wanted size."""
    return Picture(cut_out(cutout, 1.0, config.image_size_px), "cutout", why)


def encode_jpeg(image: Cutout, quality: int) -> bytes:
    """A picture as JPEG that Zooniverse takes; of less quality where it would be too large.

    Raises:
        SubjectSetError: it is too large at the lowest quality.
    """
    pixels = np.ascontiguousarray(image[..., ::-1])
    while True:
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(encoded) < MAX_BYTES:
            return encoded.tobytes()
        if quality <= _LOWEST_QUALITY:
            raise SubjectSetError(
                f"a picture of {image.shape[0]} px has {len(encoded)} bytes at quality {quality}, "
                f"and must have fewer than {MAX_BYTES}; lower image_size_px"
            )
        quality = max(_LOWEST_QUALITY, quality - 10)
