"""Posterior samples of the concentrations: the encoder once a batch, the head once a sample."""

from collections.abc import Iterable, Iterator
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyloop.posterior.config import PosteriorConfig

ImageBatch = UInt8[np.ndarray, "galaxy y x band"]


class VoteHeadLike(Protocol):
    """A head that can be run under given dropout masks."""

    dropout_rate: float

    def __call__(
        self, features: Float[Tensor, "galaxy feature"], masks: Float[Tensor, "sample feature"]
    ) -> Float[Tensor, "sample galaxy answer"]:
        """Concentrations under each mask."""


class VotePredictor(Protocol):
    """What posterior sampling needs of a network beside being a module."""

    head: VoteHeadLike

    def features(self, images: UInt8[Tensor, "galaxy band y x"]) -> Float[Tensor, "galaxy feature"]:
        """The encoder's view of the images."""


def dropout_masks(
    n_samples: int, n_features: int, dropout_rate: float, seed: int
) -> Float[Tensor, "sample feature"]:
    """One dropout mask a sample: 0 with the dropout rate, else 1 / (1 - rate).

    Args:
        n_samples: masks to draw.
        n_features: width of the features.
        dropout_rate: share of features dropped, in [0, 1).
        seed: equal seeds give equal masks, and the first masks do not depend on how many follow.

    Raises:
        ValueError: the rate is not in [0, 1).
    """
    if not 0 <= dropout_rate < 1:
        raise ValueError(f"dropout_rate must be in [0, 1), got {dropout_rate}; the paper uses 0.2")
    generator = torch.Generator().manual_seed(seed)
    is_kept = torch.rand(n_samples, n_features, generator=generator) >= dropout_rate
    return is_kept.to(torch.float32) / (1 - dropout_rate)


def predict_concentrations(
    model: nn.Module,
    images: ImageBatch | Iterable[ImageBatch],
    config: PosteriorConfig,
) -> Float[Tensor, "sample galaxy answer"]:
    """Dirichlet concentrations of every galaxy under every dropout mask, on the CPU.

    The encoder runs once on each batch; only the head, one linear layer, runs once a sample.

    Args:
        model: a network with ``features`` and ``head`` (see ``VotePredictor``);
            it runs in evaluation mode and goes back to the mode it had.
        images: one array, cut into batches here, or batches as they come.
        config: samples, seed and precision.

    Raises:
        ValueError: there are no images.
    """
    batches = _batches(images, config.batch_size) if isinstance(images, np.ndarray) else images
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            parts = list(_predict_batches(model, batches, config))
    finally:
        model.train(was_training)
    if not parts:
        raise ValueError("predict_concentrations needs at least one image, got none")
    return torch.cat(parts, dim=1)


def _predict_batches(
    model: nn.Module, batches: Iterable[ImageBatch], config: PosteriorConfig
) -> Iterator[Float[Tensor, "sample galaxy answer"]]:
    """Concentrations of each batch, with the same masks for all."""
    predictor = cast(VotePredictor, model)
    device = next(model.parameters()).device
    is_low_precision = config.precision == "bfloat16"
    masks: Tensor | None = None
    for batch in batches:
        if not len(batch):
            continue
        # Bands last in memory is the layout that convolutions like best; the view keeps it.
        # Copied, since torch takes no array that is mapped from a file for reading only.
        pixels = torch.from_numpy(np.array(batch)).to(device).permute(0, 3, 1, 2)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_low_precision):
            features = predictor.features(pixels)
        features = features.float()
        if masks is None:
            rate, n_features = predictor.head.dropout_rate, features.shape[1]
            masks = dropout_masks(config.n_samples, n_features, rate, config.seed).to(device)
        yield predictor.head(features, masks).float().cpu()


def _batches(images: ImageBatch, batch_size: int) -> Iterator[ImageBatch]:
    """The array in slices."""
    for start in range(0, len(images), batch_size):
        yield images[start : start + batch_size]
