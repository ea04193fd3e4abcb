"""One file of an image, and what there is instead of it."""

from typing import NamedTuple


class ImagePart(NamedTuple):
    """The bytes of one file; an image is one, or one a band."""

    band: str
    """Name of the band as the image's location gives it; empty if it gives none."""
    content: bytes
    """The file as it is."""


class NoImageError(FileNotFoundError):
    """A location that certainly gives no image: asking again changes nothing.

    Attributes:
        reason: the same words for all images of this kind.
        value: what was found in this one.
    """

    def __init__(self, reason: str, value: str) -> None:
        """Keep both, and show both."""
        self.reason = reason
        self.value = value
        super().__init__(f"{reason}: {value}")
