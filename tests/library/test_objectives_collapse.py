"""Collapse monitors: known spreads and ranks, however the galaxies are cut into batches."""

import math

import pytest
import torch
from torch import Tensor

from galaxyloop.objectives.collapse import CollapseMonitor


def measure(*batches: Tensor) -> dict[str, float]:
    monitor = CollapseMonitor()
    for batch in batches:
        monitor.add(batch)
    return monitor.values()


def gaussian(n_galaxies: int, n_features: int, seed: int = 0) -> Tensor:
    return torch.randn(n_galaxies, n_features, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_collapse_monitor__equal_features_have_no_spread_and_rank_1(dtype: torch.dtype) -> None:
    values = measure(gaussian(1, 64).expand(500, -1).to(dtype))
    assert values["feature_std"] == pytest.approx(0, abs=1e-6)
    assert values["effective_rank"] == 1


def test_collapse_monitor__features_equal_up_to_rounding_have_rank_1() -> None:
    values = measure(gaussian(1, 64) * (1 + 1e-7 * gaussian(500, 64, seed=1)))
    assert values["feature_std"] < 1e-5
    assert values["effective_rank"] == pytest.approx(1, abs=1e-6)


def test_collapse_monitor__an_isotropic_gaussian_fills_the_sphere() -> None:
    values = measure(gaussian(20_000, 32))
    assert values["feature_std"] == pytest.approx(1, abs=0.01)
    assert values["effective_rank"] == pytest.approx(32, abs=0.1)


@pytest.mark.parametrize("rank", [1, 2, 7])
def test_collapse_monitor__a_subspace_has_as_many_directions(rank: int) -> None:
    basis = torch.linalg.qr(gaussian(48, rank, seed=1)).Q
    values = measure(gaussian(20_000, rank) @ basis.T)
    assert values["effective_rank"] == pytest.approx(rank, rel=0.01)


def test_collapse_monitor__equals_the_singular_values_of_all_features_at_once() -> None:
    features = gaussian(300, 16) * torch.linspace(0.1, 3, 16) + 0.5
    unit = (features / features.norm(dim=1, keepdim=True)).double()
    centred = unit - unit.mean(dim=0)
    singular = torch.linalg.svdvals(centred)
    shares = singular / singular.sum()
    values = measure(features)
    assert values["effective_rank"] == pytest.approx(
        math.exp(-(shares * shares.log()).sum()), rel=1e-6
    )
    spread = centred.square().mean(dim=0).sqrt().mean() * 4
    assert values["feature_std"] == pytest.approx(spread.item(), rel=1e-6)


def test_collapse_monitor__batches_and_the_features_scale_change_nothing() -> None:
    features = gaussian(101, 24)
    expected = measure(features)
    for n_batches in (2, 7, 101):
        parts = torch.tensor_split(features, n_batches)
        assert measure(*parts) == pytest.approx(expected, rel=1e-9)
    assert measure(1000 * features) == pytest.approx(expected, rel=1e-6)


def test_collapse_monitor__says_nothing_of_one_galaxy_and_nan_of_nan() -> None:
    assert CollapseMonitor().values() == {}
    assert measure(gaussian(1, 8)) == {}
    values = measure(torch.full((3, 8), math.nan))
    assert all(math.isnan(value) for value in values.values())
    assert len(values) == 2
