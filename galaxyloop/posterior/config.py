"""Settings of the posterior."""

from dataclasses import dataclass

from galaxyloop.config import StrictConfig, require
from galaxyloop.devices import PRECISIONS
from galaxyloop.encoding import N_TURNS


@dataclass(frozen=True)
class PosteriorConfig(StrictConfig):
    """Monte-Carlo dropout in the head (Gal & Ghahramani 2016, arXiv:1506.02142).

    Each sample is one network: its dropout mask is drawn once and meets every galaxy, so a
    galaxy's posterior depends on nothing but its own pixels. Members of an ensemble, views of a
    galaxy and samples enter one mixture, all with the same weight.
    """

    n_samples: int = 30
    """Posterior samples, that is dropout masks; 1 or more. They cost next to nothing."""
    seed: int = 0
    """Seed of the dropout masks."""
    n_grid: int = 64
    """Grid points on which each interval is inverted; 8 or more."""
    batch_size: int = 256
    """Galaxies that go through the encoder together."""
    precision: str = "auto"
    """Arithmetic of the encoder: "float32", "bfloat16" (autocast), or "auto": bfloat16 where the
    hardware computes in it. The head and all that follows stay in float32."""
    n_threads: int | None = None
    """CPU threads; equal bytes need equal numbers. None leaves torch's own number."""
    n_augmentations: int = 1
    """Views of each galaxy, 1 to 8: the image as it is, then turned and mirrored without
    interpolation. The encoder runs once a view."""
    compile: bool = False
    """Compile the encoder by torch.compile: a minute at first, then faster on an accelerator."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.n_samples >= 1, f"n_samples must be >= 1, got {self.n_samples}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        require(self.n_grid >= 8, f"n_grid must be >= 8, got {self.n_grid}")
        require(self.batch_size >= 1, f"batch_size must be >= 1, got {self.batch_size}")
        is_positive = self.n_threads is None or self.n_threads >= 1
        require(is_positive, f"n_threads must be >= 1 or None, got {self.n_threads}")
        require(
            self.precision in PRECISIONS,
            f"precision must be one of {', '.join(PRECISIONS)}, got '{self.precision}'",
        )
        is_known = 1 <= self.n_augmentations <= N_TURNS
        require(is_known, f"n_augmentations must be in 1 to 8, got {self.n_augmentations}")
