"""Images as files: what an image location names, and reading it from wherever it lies."""

from galaxyloop.image_files.parts import ImagePart

__all__ = ["ImagePart"]
