"""What a training run can be told."""

from dataclasses import dataclass, field

from galaxyloop.augment import AugmentConfig, ContrastiveAugmentConfig
from galaxyloop.config import StrictConfig, require
from galaxyloop.devices import DEVICES, PRECISIONS
from galaxyloop.objectives.byol import ByolConfig
from galaxyloop.objectives.hybrid import HybridConfig
from galaxyloop.objectives.votes import VotesObjectiveConfig


@dataclass(frozen=True)
class TrainingConfig(StrictConfig):
    """How weights are optimised: AdamW, linear warm-up, then a cosine down to 0."""

    epochs: int = 30
    """Times that every training galaxy is seen; 0 writes the untrained model."""
    batch_size: int = 128
    """Galaxies a step at most; an epoch's steps are of nearly equal size."""
    learning_rate: float = 2e-3
    """Highest learning rate, reached after the warm-up."""
    weight_decay: float = 0.02
    """Of weight matrices; biases and normalisation layers are not decayed."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises from 0; at most a fifth of all steps are used."""
    max_gradient_norm: float = 5.0
    """The gradient is scaled down to this norm if it is longer; 0 leaves it alone."""
    patience: int = 0
    """Stop after this many epochs without a better validation loss; 0 never stops early."""
    seed: int = 0
    """Of first weights, order, views and dropout."""
    precision: str = "auto"
    """auto, float32 or bfloat16; auto takes bfloat16 where the hardware computes in it."""
    device: str = "auto"
    """auto, cpu or cuda; auto takes an accelerator if there is one."""
    n_threads: int | None = None
    """CPU threads; equal bytes need equal numbers. None leaves torch's own number."""
    channels_last: bool = True
    """Keep bands innermost in memory, which is faster for most convolutional networks."""
    save_every_steps: int = 200
    """Steps between two saved states, where a state directory is given; each epoch's end too."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low in (("epochs", 0), ("warmup_steps", 0), ("patience", 0), ("seed", 0)):
            require(getattr(self, name) >= low, f"{name} must be >= {low}, {self._got(name)}")
        for name in ("batch_size", "save_every_steps"):
            require(getattr(self, name) >= 1, f"{name} must be >= 1, {self._got(name)}")
        require(
            0 < self.learning_rate <= 1,
            f"learning_rate must be in (0, 1], got {self.learning_rate}",
        )
        for name in ("weight_decay", "max_gradient_norm"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, {self._got(name)}")
        for name, choices in (("precision", PRECISIONS), ("device", DEVICES)):
            is_known = getattr(self, name) in choices
            require(is_known, f"{name} must be one of {', '.join(choices)}, {self._got(name)}")
        is_positive = self.n_threads is None or self.n_threads >= 1
        require(is_positive, f"n_threads must be >= 1 or None, {self._got('n_threads')}")

    def _got(self, name: str) -> str:
        """The end of an error message."""
        return f"got {getattr(self, name)}"


@dataclass(frozen=True)
class PretrainingRun(StrictConfig):
    """What every pretraining can be told; each objective's run adds its own settings."""

    objective_name = ""
    """One of ``galaxyloop.objectives.OBJECTIVES``."""

    encoder: str = "resnet_mini"
    """One of ``galaxyloop.encoders.ENCODERS`` or any timm name."""
    pretrained: bool = False
    """Start from the encoder's published weights."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How views differ from the cutouts."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How it is minimised."""


@dataclass(frozen=True)
class SupervisedRun(PretrainingRun):
    """Everything that decides what a training on votes makes of its data."""

    objective_name = "votes"

    objective: VotesObjectiveConfig = field(default_factory=VotesObjectiveConfig)
    """Settings of the objective."""


@dataclass(frozen=True)
class ByolRun(PretrainingRun):
    """Everything that decides what a training on images alone makes of them."""

    objective_name = "byol"

    objective: ByolConfig = field(default_factory=ByolConfig)
    """Settings of the objective."""
    augment: ContrastiveAugmentConfig = field(default_factory=ContrastiveAugmentConfig)
    """How views differ from the cutouts."""


@dataclass(frozen=True)
class HybridRun(PretrainingRun):
    """Everything that decides what a training on images and votes together makes of them."""

    objective_name = "hybrid"

    objective: HybridConfig = field(default_factory=HybridConfig)
    """Settings of the objective."""
    augment: ContrastiveAugmentConfig = field(default_factory=ContrastiveAugmentConfig)
    """How views differ from the cutouts."""
