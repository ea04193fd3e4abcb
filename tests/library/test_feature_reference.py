"""Distances of features: equal to dense algebra, true to their unit, blind to axes and batches."""

import numpy as np
import pytest
import torch
from torch import Tensor

from galaxyloop.config import ConfigError
from galaxyloop.errors import RepresentationError
from galaxyloop.feature_reference import MAX_AXES, FeatureReference, fit_reference


def features_like(n_galaxies: int, n_features: int, seed: int, rank: int | None = None) -> Tensor:
    """Features of galaxies of one survey, with very different variances along oblique axes."""
    shape = np.random.default_rng(7).normal(size=(n_features, n_features))
    shape *= 0.8 ** np.arange(n_features)[:, None]
    drawn = np.random.default_rng(seed).normal(size=(n_galaxies, n_features))
    drawn[:, n_features if rank is None else rank :] = 0
    return torch.from_numpy(drawn @ shape + 3).float()


def dense_distances(train: Tensor, features: Tensor, n_axes: int) -> np.ndarray:
    """Without a unit, and with the whole covariance matrix, inverted."""
    data, others = train.double().numpy(), features.double().numpy()
    variances, axes = np.linalg.eigh(np.cov(data.T, bias=True))
    n_left = len(axes) - n_axes
    variances[:n_left] = variances[:n_left].sum() / max(n_left, 1)
    variances += np.mean(data**2) * 2.0**-14
    inverse = np.linalg.inv((axes * variances) @ axes.T)
    off = others - data.mean(axis=0)
    return np.sqrt(np.einsum("gi,ij,gj->g", off, inverse, off))


@pytest.fixture(scope="module")
def reference() -> FeatureReference:
    return fit_reference(features_like(800, 48, seed=1), features_like(600, 48, seed=2))


@pytest.mark.parametrize(("n_features", "n_axes"), [(6, 6), (48, MAX_AXES)])
def test_distance__is_mahalanobis_with_one_variance_for_all_that_the_axes_leave(
    n_features: int, n_axes: int
) -> None:
    train, held_out, others = (features_like(500, n_features, seed) for seed in (1, 2, 3))
    others[250:] += 0.5 * torch.randn(250, n_features, generator=torch.Generator().manual_seed(0))
    reference = fit_reference(train, held_out)
    assert (reference.n_features, reference.n_axes) == (n_features, n_axes)
    unit = dense_distances(train, held_out, n_axes).max()
    expected = dense_distances(train, others, n_axes) / unit
    np.testing.assert_allclose(reference.distance(others), expected, rtol=1e-4)


@pytest.mark.parametrize(("n_held_out", "n_beyond"), [(5, 1), (998, 1), (999, 1), (3000, 3)])
def test_fit_reference__takes_the_farthest_of_a_thousand_as_unit(
    n_held_out: int, n_beyond: int
) -> None:
    held_out = features_like(n_held_out, 4, seed=2)
    reference = fit_reference(features_like(200, 4, seed=1), held_out)
    distances = np.sort(reference.distance(held_out).numpy())[::-1]
    assert distances[n_beyond - 1] == pytest.approx(1, abs=1e-6)
    assert int((distances > 1 + 1e-6).sum()) == n_beyond - 1
    assert reference.share_beyond == n_beyond / (n_held_out + 1)


def test_distance__is_above_one_for_one_in_a_thousand_galaxies_like_these() -> None:
    reference = fit_reference(features_like(4000, 40, seed=1), features_like(30_000, 40, seed=2))
    share = float((reference.distance(features_like(100_000, 40, seed=3)) > 1).float().mean())
    # 100 galaxies expected; the unit itself is uncertain by as much as 30 held-out ones tell.
    assert 0.0005 < share < 0.0016


def test_distance__finds_what_no_training_galaxy_shows() -> None:
    # The training galaxies leave 20 of 60 directions unused; 32 axes hold most of the others.
    train, held_out = (features_like(n, 60, seed, rank=40) for n, seed in ((2000, 1), (1500, 2)))
    reference = fit_reference(train, held_out)
    unused = torch.linalg.svd(train - train.mean(dim=0)).Vh[-1]
    others = features_like(200, 60, seed=3, rank=40)
    assert float((reference.distance(others) > 1).float().mean()) <= 0.01
    size = others.std(dim=0).mean()
    assert bool((reference.distance(others + size * unused) > 1).all())


@pytest.mark.parametrize("n_features", [6, 48])
def test_distance__does_not_change_when_all_features_are_turned_or_scaled(n_features: int) -> None:
    parts = [features_like(600, n_features, seed) for seed in (1, 2, 3)]
    before = fit_reference(*parts[:2]).distance(parts[2])
    rng = np.random.default_rng(0)
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(n_features, n_features)))[0])
    turned = [100 * (part.double() @ turn) for part in parts]
    after = fit_reference(*turned[:2]).distance(turned[2])
    torch.testing.assert_close(after, before, rtol=1e-4, atol=0)


def test_distance__of_a_galaxy_does_not_depend_on_its_batch(reference: FeatureReference) -> None:
    others = features_like(300, 48, seed=4)
    together = reference.distance(others)
    assert together.dtype == torch.float32
    apart = torch.cat([reference.distance(part) for part in others.split(7)])
    assert torch.equal(apart, together)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(reference.distance(others), together)
    assert reference.distance(others[:0]).shape == (0,)


def test_distance__hardly_notices_features_in_bfloat16(reference: FeatureReference) -> None:
    others = features_like(300, 48, seed=5)
    ratio = reference.distance(others.bfloat16()) / reference.distance(others)
    # Here rounding is larger than the variance along most axes.
    assert float((ratio - 1).abs().max()) < 0.1


def test_fit_reference__gives_the_same_bytes_again(reference: FeatureReference) -> None:
    again = fit_reference(features_like(800, 48, seed=1), features_like(600, 48, seed=2))
    for name, values in reference.state_dict().items():
        assert torch.equal(again.state_dict()[name], values), name
    largest = reference.axes.gather(0, reference.axes.abs().argmax(dim=0, keepdim=True))
    assert bool((largest > 0).all())


def test_fit_reference__has_fewer_axes_for_fewer_galaxies() -> None:
    held_out = features_like(50, 48, seed=2)
    for n_train, n_axes in ((2, 1), (24, 3), (256, 32), (400, 32)):
        reference = fit_reference(features_like(n_train, 48, seed=1), held_out)
        assert reference.n_axes == n_axes
        assert bool(torch.isfinite(reference.distance(held_out)).all())


def test_feature_reference__is_filled_from_what_was_stored(reference: FeatureReference) -> None:
    stored = reference.state_dict()
    filled = FeatureReference(48, MAX_AXES)
    filled.load_state_dict(stored)
    others = features_like(30, 48, seed=4)
    assert torch.equal(filled.distance(others), reference.distance(others))
    assert filled.share_beyond == reference.share_beyond == 1 / 601


def test_feature_reference__knows_no_distance_before_it_is_fitted() -> None:
    empty = FeatureReference()
    assert not empty.is_fitted
    assert not empty.state_dict(), "a model that was never fitted is stored as before"
    distances = empty.distance(torch.zeros(3, 8))
    assert distances.dtype == torch.float32
    assert bool(distances.isnan().all())
    assert np.isnan(empty.share_beyond)


def test_fit_reference__is_not_fitted_where_there_is_nothing_to_measure_with() -> None:
    some = features_like(10, 8, seed=1)
    same = some[:1].expand(10, -1)
    nearly = same + 1e-6 * torch.rand(10, 8, generator=torch.Generator().manual_seed(0))
    for train, held_out in (
        (some[:1], some),
        (some[:0], some),
        (some, some[:0]),
        (same, same),
        (nearly, nearly),
        (torch.zeros(10, 8), torch.zeros(10, 8)),
    ):
        assert not fit_reference(train, held_out).is_fitted


def test_fit_reference__refuses_what_is_not_finite() -> None:
    some = features_like(10, 8, seed=1)
    broken = some.clone()
    broken[3, 2] = float("nan")
    with pytest.raises(RepresentationError, match="features of training galaxies must be finite"):
        fit_reference(broken, some)
    with pytest.raises(RepresentationError, match="features of held-out galaxies must be finite"):
        fit_reference(some, broken)


@pytest.mark.parametrize(("n_features", "n_axes"), [(4, 5), (4, 0), (0, 1), (4, -1)])
def test_feature_reference__refuses_numbers_of_axes_that_cannot_be(
    n_features: int, n_axes: int
) -> None:
    with pytest.raises(ConfigError, match=f"got {n_axes}"):
        FeatureReference(n_features, n_axes)
