"""What every image is: its pixels, its bounds, and why it may be rejected."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

Pixels = UInt8[np.ndarray, "y x band"]
Cutout = UInt8[np.ndarray, "side side band"]


class ImageRejectedError(Exception):
    """An image that cannot become a cutout.

    Attributes:
        reason: the same words for all images of this kind.
        value: what was found in this one.
    """

    def __init__(self, reason: str, value: str) -> None:
        """Keep both, and show both."""
        self.reason = reason
        self.value = value
        super().__init__(f"{reason}: {value}")


@dataclass(frozen=True)
class ImageBounds:
    """What an image may measure before it is decoded."""

    max_image_px: int
    min_side_px: int


def check_size(size_px: tuple[int, int], bounds: ImageBounds) -> None:
    """Neither a decompression bomb nor a thumbnail."""
    width, height = size_px
    if width * height > bounds.max_image_px:
        raise ImageRejectedError(
            f"more than max_image_px={bounds.max_image_px} pixels", f"{width} x {height}"
        )
    if min(width, height) < bounds.min_side_px:
        raise ImageRejectedError(
            f"smaller than min_side_px={bounds.min_side_px}", f"{width} x {height}"
        )
