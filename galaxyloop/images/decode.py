"""From the files of an image to RGB pixels."""

from collections.abc import Sequence

from galaxyloop.image_files import ImagePart
from galaxyloop.images.bounds import ImageBounds, Pixels
from galaxyloop.images.colour import ColourConfig
from galaxyloop.images.pictures import decode_rgb


def decode_image(parts: Sequence[ImagePart], bounds: ImageBounds, colour: ColourConfig) -> Pixels:
    """Decode the files of one image to 8-bit RGB, north up where the survey's JPEG has it so.

    Args:
        parts: the image's one file, or one a band.
        bounds: what it may measure.
        colour: how FITS bands become colours; JPEG and PNG do not look at it.

    Raises:
        ImageRejectedError: no image, damaged, truncated, too large or too small.
    """
    return decode_rgb(parts[0].content, bounds)
