"""From an image of any size to a square cutout."""

import cv2
import numpy as np

from galaxyloop.images.bounds import Cutout, Pixels


def cut_out(image: Pixels, centre_fraction: float, size_px: int) -> Cutout:
    """The central square of an image, resampled once to the wanted size.

    Shrinking averages over area, which is its own antialiasing; enlarging interpolates linearly.

    Args:
        image: any size.
        centre_fraction: the square's side as a share of the shorter side, in (0, 1].
        size_px: side of the result.
    """
    height, width = image.shape[:2]
    side = max(1, round(centre_fraction * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    if side == size_px:
        return square
    how = cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (size_px, size_px), interpolation=how), dtype=np.uint8)
