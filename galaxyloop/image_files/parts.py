"""One file of an image."""

from typing import NamedTuple


class ImagePart(NamedTuple):
    """The bytes of one file; an image is one, or one a band."""

    band: str
    """Name of the band as the image's location gives it; empty if it gives none."""
    content: bytes
    """The file as it is."""
