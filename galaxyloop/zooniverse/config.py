"""Settings of what volunteers are shown."""

from dataclasses import dataclass

from galaxyloop.config import StrictConfig, require
from galaxyloop.table_files import CONTROL_CHARACTER

IMAGES = ("original", "cutout")


@dataclass(frozen=True)
class SubjectSetConfig(StrictConfig):
    """How galaxies become subjects of Zooniverse."""

    name: str = "galaxyloop"
    """Name of the subject set, for the upload."""
    image_size_px: int = 424
    """Side of the square picture that volunteers see [px]; Galaxy Zoo shows 424."""
    images: str = "original"
    """``original`` shows the survey's image at this size, cropped as the model sees it (its cutout
    where the image cannot be read, or is another by now); ``cutout`` always the model's cutout."""
    jpeg_quality: int = 90
    """Quality of the JPEG, from 50 to 100; less is taken where a file would be too large."""
    n_readers: int = 4
    """Images read at the same time; changes no result."""
    n_attempts: int = 3
    """How often a file is asked for when the network fails; changes no result."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        is_name = bool(self.name.strip()) and not CONTROL_CHARACTER.search(self.name)
        require(
            is_name,
            f"name must be a name without line ends or other control characters, got {self.name!r}",
        )
        require(
            32 <= self.image_size_px <= 2048,
            f"image_size_px must be in [32, 2048], got {self.image_size_px}",
        )
        require(
            self.images in IMAGES,
            f"images must be one of {', '.join(IMAGES)}, got '{self.images}'",
        )
        require(
            50 <= self.jpeg_quality <= 100,
            f"jpeg_quality must be in [50, 100], got {self.jpeg_quality}",
        )
        for setting in ("n_readers", "n_attempts"):
            value = getattr(self, setting)
            require(value >= 1, f"{setting} must be >= 1, got {value}")
