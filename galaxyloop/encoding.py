"""The encoder over many cutouts, as it is run wherever features are wanted."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from galaxyloop.devices import choose_precision
from galaxyloop.encoders import Encoder
from galaxyloop.feeding import ImageBatch, feed
from galaxyloop.folding import normalisations_folded
from galaxyloop.layout import bands_innermost

N_TURNS = 8
"""Turns and mirrorings of a square image that need no interpolation, itself among them."""

Encode = Callable[[UInt8[Tensor, "galaxy y x band"]], Float[Tensor, "galaxy feature"]]
"""From pixels to features, in float32."""


class FeatureMaker(Protocol):
    """What encoding needs of a network beside being a module."""

    encoder: Encoder

    def features(self, images: UInt8[Tensor, "galaxy band y x"]) -> Float[Tensor, "galaxy feature"]:
        """The encoder's view of the images, which it normalises."""


@contextlib.contextmanager
def encoding(
    model: nn.Module, precision: str = "float32", compiled_batch: int | None = None
) -> Iterator[Encode]:
    """A function from pixels to features, for as long as the model is needed.

    Inside, the model is in evaluation mode with its normalisations folded and its bands innermost
    in memory; it runs on the device where it is. Afterwards it is back in the mode it had.

    Args:
        model: a network with ``features`` (see ``FeatureMaker``).
        precision: arithmetic of the encoder: ``auto``, ``float32`` or ``bfloat16`` (autocast).
        compiled_batch: compile the network for batches of that size; smaller ones are filled up.
    """
    device = next(model.parameters()).device
    arithmetic = choose_precision(precision, device)
    maker = cast(FeatureMaker, model)
    network: Callable[[Tensor], Tensor] = maker.features
    if compiled_batch is not None:
        network = _compiled(network, compiled_batch)

    def encode(pixels: UInt8[Tensor, "galaxy y x band"]) -> Float[Tensor, "galaxy feature"]:
        low = torch.autocast(device.type, torch.bfloat16, enabled=arithmetic == "bfloat16")
        with torch.no_grad(), low:
            # Bands last is how pixels are stored and what convolutions like best; the view
            # keeps it.
            return network(pixels.permute(0, 3, 1, 2)).float()

    was_training = model.training
    model.eval()
    try:
        with (
            normalisations_folded(maker.encoder.network),
            bands_innermost(model, device, arithmetic),
        ):
            yield encode
    finally:
        model.train(was_training)


def encode_batches(
    model: nn.Module, batches: Iterable[ImageBatch], precision: str = "float32"
) -> Iterator[Float[Tensor, "galaxy feature"]]:
    """Features of batches as they come, where the model is, in float32; batches are read ahead.

    Args:
        model: runs where it is.
        batches: in order.
        precision: arithmetic of the encoder.
    """
    device = next(model.parameters()).device
    with encoding(model, precision) as encode:
        for pixels in feed(batches, device):
            yield encode(pixels)


def turned(pixels: UInt8[Tensor, "galaxy y x band"], turn: int) -> UInt8[Tensor, "galaxy y x band"]:
    """One of the eight turns and mirrorings of square images, which only move pixels.

    Args:
        pixels: square images.
        turn: 0 is the images themselves, 1 to 3 quarter turns; 4 to 7 the same upside down.
    """
    if turn == 0:
        return pixels
    quarters = torch.rot90(pixels, turn % 4, (1, 2))
    return (quarters.flip(1) if turn >= 4 else quarters).contiguous()


def _compiled(network: Callable[[Tensor], Tensor], batch_size: int) -> Callable[[Tensor], Tensor]:
    """The network compiled for one size of batch; the last, smaller one is filled up with black.

    In evaluation no image of a batch depends on the others.
    """
    compiled = torch.compile(network, dynamic=False)

    def run(images: Tensor) -> Tensor:
        n_missing = batch_size - len(images)
        if n_missing > 0:
            filling = images.new_zeros((n_missing, *images.shape[1:]))
            filled = torch.cat([images, filling])
            return compiled(filled.contiguous(memory_format=torch.channels_last))[: len(images)]
        return compiled(images)

    return run
