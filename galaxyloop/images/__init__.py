"""From the bytes of image files to a square RGB cutout, or the reason why not."""

from galaxyloop.images.bounds import Cutout, ImageBounds, ImageRejectedError, Pixels
from galaxyloop.images.colour import COLOUR_PRESETS, ColourConfig
from galaxyloop.images.crop import cut_out
from galaxyloop.images.decode import decode_image
from galaxyloop.images.pictures import decode_rgb, is_jpeg

__all__ = [
    "COLOUR_PRESETS",
    "ColourConfig",
    "Cutout",
    "ImageBounds",
    "ImageRejectedError",
    "Pixels",
    "cut_out",
    "decode_image",
    "decode_rgb",
    "is_jpeg",
]
