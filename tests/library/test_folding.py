"""Folding normalisations changes rounding alone, is undone, and leaves other layers as they are."""

import copy

import pytest
import torch
from torch import Tensor, nn

from galaxyloop.encoders import ENCODERS, build_encoder
from galaxyloop.folding import normalisations_folded
from galaxyloop.random_streams import seeded

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def trained(network: nn.Module) -> nn.Module:
    """With statistics and weights of normalisations as no new network has them."""
    with seeded(0), torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for tensor in (layer.running_mean, layer.bias):
                    tensor.normal_(0, 0.1)
                for tensor in (layer.running_var, layer.weight):
                    tensor.uniform_(0.5, 1.5)
    return network.double().eval()


def n_normalisations(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize("name", [*sorted(ENCODERS), "efficientnet_b0"])
@torch.no_grad()
def test_normalisations_folded__keeps_the_features_and_is_undone(name: str) -> None:
    network = trained(build_encoder(name).network)
    before, expected = copy.deepcopy(network.state_dict()), network(IMAGES)
    n_before = n_normalisations(network)
    with normalisations_folded(network) as n_folded:
        assert n_normalisations(network) == n_before - n_folded
        torch.testing.assert_close(network(IMAGES), expected, rtol=1e-9, atol=1e-9)
    assert n_folded == n_before
    assert n_normalisations(network) == n_before
    after = network.state_dict()
    assert list(after) == list(before)
    for key, tensor in before.items():
        assert torch.equal(after[key], tensor)


class Shared(nn.Module):
    """Something else takes the convolution's output too, or is normalised by the same layer."""

    def __init__(self, is_used_twice: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.normalisation = nn.BatchNorm2d(4)
        self.is_used_twice = is_used_twice

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.first(images)
        if self.is_used_twice:
            return found + self.normalisation(found)
        return self.normalisation(self.second(self.normalisation(found)))


class Branching(Shared):
    """What is done depends on the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.normalisation(self.first(images))
        return found if images.mean() > 0 else -found


@pytest.mark.parametrize("network", [Shared(True), Shared(False), Branching(False)])
@torch.no_grad()
def test_normalisations_folded__leaves_alone_what_is_no_pair(network: Shared) -> None:
    trained(network)
    expected = network(IMAGES)
    with normalisations_folded(network) as n_folded:
        assert n_folded == 0
        torch.testing.assert_close(network(IMAGES), expected, rtol=0, atol=0)


def test_normalisations_folded__leaves_alone_what_learns() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with normalisations_folded(network.train()) as n_folded:
        assert n_folded == 0
