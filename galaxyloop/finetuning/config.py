"""What a finetuning can be told."""

from dataclasses import dataclass, field

from galaxyloop.augment import AugmentConfig
from galaxyloop.config import StrictConfig, require
from galaxyloop.training.config import TrainingConfig

TRAINABLE = ("full", "top", "head")
CLASS_WEIGHTS = ("balanced", "none")
HEAD_STARTS = ("auto", "probe", "zero")


@dataclass(frozen=True)
class FinetuneTraining(TrainingConfig):
    """The same settings as for pretraining, with what suits few labels and a trained encoder.

    With validation galaxies the best epoch is kept, and ``patience`` ends the run; without any,
    all epochs are run and the last weights are kept.
    """

    epochs: int = 50
    """Times that every training galaxy is seen; 0 writes the model as it starts."""
    batch_size: int = 64
    """Galaxies a step at most; an epoch's steps are of nearly equal size."""
    learning_rate: float = 1e-4
    """Highest learning rate, of the head. An encoder that starts untrained needs 1e-3."""
    weight_decay: float = 0.05
    """Of weight matrices; biases and normalisation layers are not decayed."""
    warmup_steps: int = 20
    """Steps over which the learning rate rises from 0; at most a fifth of all steps are used."""
    patience: int = 10
    """Stop after this many epochs without a better validation loss; 0 never stops early."""


@dataclass(frozen=True)
class FinetuneRun(StrictConfig):
    """Everything that decides what a finetuning makes of its encoder and its labels."""

    encoder: str = ""
    """One of ``galaxyloop.encoders.ENCODERS`` or any timm or ``hf-hub:`` name. Beside a
    checkpoint it may be empty, or must be the checkpoint's."""
    pretrained: bool = False
    """Start from the encoder's published weights; not beside a checkpoint."""
    weights: str = ""
    """A local safetensors file with the encoder's published weights; not beside a checkpoint."""
    weights_mean: list[float] = field(default_factory=list)
    """Mean of red, green and blue, on images from 0 to 1, that published weights were trained
    with; empty takes what is published for the encoder, which a file's weights may differ from."""
    weights_std: list[float] = field(default_factory=list)
    """What each band is divided by after that; set both or none."""
    trainable: str = "full"
    """full, top (the last ``n_blocks`` of the encoder, and the head) or head."""
    n_blocks: int = 1
    """For top: stages of a convolutional network or blocks of a transformer, from the last on."""
    layer_decay: float = 0.75
    """Factor of the learning rate from each stage or block to the one before it, from the head on;
    above 0, and 1 trains all alike."""
    frozen_normalisation: bool | None = None
    """Batch normalisations keep their statistics, scales and shifts in trained layers too. None
    does so where the encoder was trained before: few labels shift statistics more than they teach,
    above all those of encoders trained on images alone (BYOL, hybrid)."""
    head_start: str = "auto"
    """probe (the linear model that fits the frozen encoder's features best; Kumar et al. 2022,
    arXiv:2202.10054), zero, or auto: probe where the encoder was trained before. A head for votes
    starts at the votes' prior either way."""
    dropout_rate: float = 0.2
    """Share of features the head drops in training."""
    class_weights: str = "balanced"
    """balanced (all classes count the same, however rare) or none."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How views differ from the cutouts."""
    training: FinetuneTraining = field(default_factory=FinetuneTraining)
    """How the loss is minimised."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        choices = (
            ("trainable", TRAINABLE),
            ("class_weights", CLASS_WEIGHTS),
            ("head_start", HEAD_STARTS),
        )
        for name, known in choices:
            value = getattr(self, name)
            require(value in known, f"{name} must be one of {', '.join(known)}, got '{value}'")
        require(self.n_blocks >= 1, f"n_blocks must be >= 1, got {self.n_blocks}")
        require(0 < self.layer_decay <= 1, f"layer_decay must be in (0, 1], got {self.layer_decay}")
        require(
            0 <= self.dropout_rate < 1, f"dropout_rate must be in [0, 1), got {self.dropout_rate}"
        )
        require(
            not (self.pretrained and self.weights),
            f"pretrained=True fetches weights and weights='{self.weights}' names others; set one",
        )
        require(
            bool(self.weights_mean) == bool(self.weights_std),
            f"weights_mean and weights_std go together, got {self.weights_mean} and "
            f"{self.weights_std}; set both or none",
        )
        require(
            not self.weights_mean or self.pretrained or bool(self.weights),
            f"weights_mean={self.weights_mean} is of published weights, and none are named; set "
            "weights or pretrained, or leave weights_mean and weights_std empty",
        )
