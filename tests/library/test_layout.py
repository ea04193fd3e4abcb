"""Where bands lie in memory changes no result beyond rounding, and is left as it was."""

import copy

import pytest
import torch
from torch import nn

from galaxyloop.encoders import build_encoder
from galaxyloop.layout import bands_innermost
from galaxyloop.random_streams import seeded

CPU = torch.device("cpu")


def wide_network() -> nn.Module:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Conv2d(8, 256, 3), nn.Conv2d(256, 256, 3), nn.Conv2d(256, 512, 1)
        )


def is_innermost(network: nn.Module) -> list[bool]:
    return [
        layer.weight.is_contiguous(memory_format=torch.channels_last)
        for layer in network
        if layer.weight.shape[2] > 1
    ]


@pytest.mark.parametrize(("precision", "of_wide"), [("float32", False), ("bfloat16", True)])
def test_bands_innermost__wide_layers_are_left_out_in_float32_on_a_cpu(
    precision: str, of_wide: bool
) -> None:
    network = wide_network()
    seen: list[bool] = []
    layout = torch.channels_last
    network[2].register_forward_hook(
        lambda _, args, out: seen.append(args[0].is_contiguous(memory_format=layout))
    )
    images = torch.rand(2, 3, 12, 12).contiguous(memory_format=layout)
    with bands_innermost(network, CPU, precision):
        assert is_innermost(network) == [True, True, of_wide]
        network(images)
        assert len(network[2]._forward_pre_hooks) == (not of_wide)
    assert seen == [of_wide]
    assert not network[2]._forward_pre_hooks


def test_bands_innermost__changes_no_output_or_gradient_beyond_rounding() -> None:
    with seeded(0):
        plain = build_encoder("resnet_mini").double()
        images = torch.rand(4, 3, 32, 32).double()
    other = copy.deepcopy(plain)
    expected = plain(images)
    expected.square().sum().backward()
    with bands_innermost(other, CPU, "float32"):
        found = other(images.contiguous(memory_format=torch.channels_last))
        found.square().sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-7, atol=1e-7)


def test_bands_innermost__hooks_are_gone_after_an_error() -> None:
    network = wide_network()
    with pytest.raises(RuntimeError), bands_innermost(network, CPU, "float32"):
        network(torch.rand(1, 5, 12, 12))
    assert not network[2]._forward_pre_hooks
