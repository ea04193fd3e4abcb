"""The survey's own noise, and views that have as much of it."""

import numpy as np
import pytest

from galaxyloop.augment import (
    AugmentConfig,
    ContrastiveAugmentConfig,
    at_sky_noise,
    measure_sky_noise,
)
from galaxyloop.config import ConfigError
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies


def noisy_skies(sigma: float, n_galaxies: int = 40, size: int = 48) -> np.ndarray:
    """A galaxy in the middle of each, on a sky with a slope and normal noise [levels]."""
    y, x = np.mgrid[0:size, 0:size] - size / 2
    light = 20 + 0.3 * x + 180 * np.exp(-np.hypot(x, y) / 3)
    noise = np.random.default_rng(3).normal(0, sigma, (n_galaxies, size, size, 3))
    return np.rint(light[None, :, :, None] + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0])
def test_measure_sky_noise__finds_the_noise_below_galaxy_and_slope(sigma: float) -> None:
    assert 255 * measure_sky_noise(noisy_skies(sigma)) == pytest.approx(sigma, rel=0.1)


def test_measure_sky_noise__is_not_moved_by_stars_and_crowded_fields() -> None:
    images = noisy_skies(3.0)
    plain = measure_sky_noise(images)
    images[:, 2:5, 10:14] = 255
    images[:10] = np.random.default_rng(0).integers(0, 256, images[:10].shape)
    assert measure_sky_noise(images) == pytest.approx(plain, rel=0.08)


def test_measure_sky_noise__of_a_clipped_sky_is_zero() -> None:
    assert measure_sky_noise(np.zeros((3, 16, 16, 3), np.uint8)) == 0


def test_measure_sky_noise__rises_with_the_noise_of_the_simulated_survey() -> None:
    measured = [
        measure_sky_noise(simulate_galaxies(SimulationConfig(n_galaxies=30, noise=noise)).images)
        for noise in (0.25, 0.5, 1.0)
    ]
    assert measured == sorted(measured)
    assert 1.3 < measured[1] / measured[0] < 2.2


def test_measure_sky_noise__refuses_no_galaxies_and_tiny_ones() -> None:
    with pytest.raises(ConfigError, match="got 0 of 16 x 16"):
        measure_sky_noise(np.zeros((0, 16, 16, 3), np.uint8))
    with pytest.raises(ConfigError, match="got 2 of 5 x 16"):
        measure_sky_noise(np.zeros((2, 16, 5, 3), np.uint8))


def test_at_sky_noise__adds_in_quadrature_and_leaves_the_rest() -> None:
    config = at_sky_noise(AugmentConfig(noise=0.03, sky_noise=2.0), 0.02)
    assert config.noise == pytest.approx(0.05)
    assert config == AugmentConfig(noise=config.noise)
    assert at_sky_noise(AugmentConfig(), 0.1) == AugmentConfig()
    assert at_sky_noise(ContrastiveAugmentConfig(), 0.01).noise == pytest.approx(0.01)


def test_at_sky_noise__refuses_levels_of_eight_bits() -> None:
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\), got 3\.5; use measure_sky_noise"):
        at_sky_noise(AugmentConfig(), 3.5)
