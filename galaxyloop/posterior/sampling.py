"""Posterior samples of the concentrations: the encoder once a view, the head once a sample."""

import contextlib
from collections.abc import Generator, Iterable, Sequence
from typing import Protocol, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyloop.encoding import Encode, encoding, turned
from galaxyloop.feeding import ImageBatch, feed, slices
from galaxyloop.posterior.config import PosteriorConfig

Views = tuple[Float[Tensor, "view _galaxy _feature"], ...]
"""Features of some galaxies under each member, each of its own width; the first view is the image
as it is."""


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
    model: nn.Module | Sequence[nn.Module],
    images: ImageBatch | Iterable[ImageBatch],
    config: PosteriorConfig,
) -> Float[Tensor, "component galaxy answer"]:
    """Dirichlet concentrations under every member, view and dropout mask, on the CPU.

    The encoder runs once on each view of a batch; only the head, one linear layer, runs once a
    sample. All components weigh the same in the posterior.

    Args:
        model: a network with ``features`` and ``head`` (see ``VotePredictor``), or several;
            it runs in evaluation mode and goes back to the mode it had.
        images: one array, cut into batches here, or batches as they come.
        config: samples, views, seed and precision.

    Returns:
        Components in order of member, then view, then sample.

    Raises:
        ValueError: there are no images.
    """
    members = [model] if isinstance(model, nn.Module) else list(model)
    batches = slices(images, config.batch_size) if isinstance(images, np.ndarray) else images
    samplers = [PosteriorSampler(member, config) for member in members]
    parts = []
    for by_member in encode_views(members, batches, config):
        pairs = zip(samplers, by_member, strict=True)
        parts.append(torch.cat([sampler(views) for sampler, views in pairs]).cpu())
    if not parts:
        raise ValueError("predict_concentrations needs at least one image, got none")
    return torch.cat(parts, dim=1)


def encode_views(
    members: Sequence[nn.Module], batches: Iterable[ImageBatch], config: PosteriorConfig
) -> Generator[Views, None, None]:
    """Features of each view of each batch under each member; batches are read ahead.

    Args:
        members: networks on one device.
        batches: in order.
        config: views, batches and precision.
    """
    device = next(members[0].parameters()).device
    compiled_batch = config.batch_size if config.compile else None
    with contextlib.ExitStack() as stack:
        encoders = [
            stack.enter_context(encoding(member, config.precision, compiled_batch))
            for member in members
        ]
        for pixels in stack.enter_context(contextlib.closing(feed(batches, device))):
            yield _features_of_views(encoders, pixels, config.n_augmentations)


class PosteriorSampler:
    """One member's head under every dropout mask; the masks are drawn when first needed."""

    def __init__(self, member: nn.Module, config: PosteriorConfig) -> None:
        """Keep the head and the settings."""
        self._head = cast(VotePredictor, member).head
        self._config = config
        self._masks: Tensor | None = None

    @torch.no_grad()
    def __call__(
        self, features: Float[Tensor, "view galaxy feature"]
    ) -> Float[Tensor, "component galaxy answer"]:
        """Concentrations under every view and mask, where the features are."""
        if self._masks is None:
            n_samples, seed = self._config.n_samples, self._config.seed
            masks = dropout_masks(n_samples, features.shape[2], self._head.dropout_rate, seed)
            self._masks = masks.to(features.device)
        return torch.cat([self._head(view, self._masks).float() for view in features])


def _features_of_views(
    encoders: Sequence[Encode], pixels: UInt8[Tensor, "galaxy y x band"], n_views: int
) -> Views:
    """Each view is made once for all members."""
    by_view = []
    for turn in range(n_views):
        view = turned(pixels, turn)
        by_view.append([encode(view) for encode in encoders])
    return tuple(torch.stack(views) for views in zip(*by_view, strict=True))
