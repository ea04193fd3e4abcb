"""How weights and activations lie in memory, which changes a step's time and little else."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_WIDE = 256 * 256
"""Weights for each position of a kernel from which a convolution is wide."""


@contextlib.contextmanager
def bands_innermost(network: nn.Module, device: torch.device, precision: str) -> Iterator[None]:
    """Weights, and activations inside, have their bands innermost, but where that is slow.

    In float32 on a CPU wide convolutions over few pixels, the last ones of most residual
    networks, take up to twice the time that way: they get their bands outermost.

    Args:
        network: what is trained; its weights keep their new layout.
        device: where it runs.
        precision: ``float32`` or ``bfloat16``.
    """
    network.to(memory_format=torch.channels_last)
    is_slow_if_wide = device.type == "cpu" and precision == "float32"
    with contextlib.ExitStack() as hooks:
        for module in network.modules() if is_slow_if_wide else ():
            if isinstance(module, nn.Conv2d) and _is_wide(module):
                module.to(memory_format=torch.contiguous_format)
                hooks.callback(module.register_forward_pre_hook(_bands_outermost).remove)
        yield


def _is_wide(layer: nn.Conv2d) -> bool:
    """Whether it mixes many features over neighbouring pixels."""
    size = layer.kernel_size[0] * layer.kernel_size[1]
    return size > 1 and layer.groups == 1 and layer.in_channels * layer.out_channels >= _WIDE


def _bands_outermost(_layer: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a layer is called with, laid out plainly."""
    return tuple(one.contiguous() if isinstance(one, Tensor) else one for one in arguments)
