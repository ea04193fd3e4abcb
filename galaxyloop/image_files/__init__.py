"""Images as files: what an image location names, and reading it from wherever it lies."""

from galaxyloop.image_files.files import ImageFiles, ImageReading
from galaxyloop.image_files.locations import PackedLocation, band_locations, packed_location
from galaxyloop.image_files.parts import ImagePart, NoImageError
from galaxyloop.image_files.threads import map_in_order

__all__ = [
    "ImageFiles",
    "ImagePart",
    "ImageReading",
    "NoImageError",
    "PackedLocation",
    "band_locations",
    "map_in_order",
    "packed_location",
]
