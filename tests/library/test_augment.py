"""Views: one warp a galaxy, drawn from seed, epoch and galaxy and from nothing else."""

import numpy as np
import pytest
import torch

from galaxyloop.augment import AugmentConfig, ViewSeed, affine_maps, plain_views, random_views
from galaxyloop.config import ConfigError

STILL = AugmentConfig(
    rotate=False,
    flip=False,
    min_field=1.0,
    max_field=1.0,
    max_shift=0.0,
    brightness=0.0,
    contrast=0.0,
    noise=0.0,
)
GALAXIES = np.arange(12)


def cutouts(n_galaxies: int = 12, size: int = 17) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (n_galaxies, size, size, 3)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_plain_views__scale_to_one_and_put_bands_first() -> None:
    images = cutouts()
    views = plain_views(images)
    assert views.shape == (12, 3, 17, 17)
    assert views[3, 2, 5, 7].item() == pytest.approx(images[3, 5, 7, 2].item() / 255)


def test_random_views__without_any_change_are_the_cutouts() -> None:
    images = cutouts()
    views = random_views(images, GALAXIES, STILL, ViewSeed(0, 0))
    torch.testing.assert_close(views, plain_views(images), rtol=0, atol=1e-5)


def test_random_views__differ_by_galaxy_epoch_seed_and_view() -> None:
    images = cutouts(1).expand(12, -1, -1, -1)
    views = random_views(images, GALAXIES, AugmentConfig(noise=0.0), ViewSeed(0, 0))
    assert len({view.numpy().tobytes() for view in views}) == 12
    others = [ViewSeed(0, 1), ViewSeed(1, 0), ViewSeed(0, 0, view=1)]
    for when in others:
        other = random_views(images, GALAXIES, AugmentConfig(noise=0.0), when)
        assert not torch.allclose(other, views)


def test_random_views__do_not_depend_on_the_rest_of_the_batch() -> None:
    images = cutouts()
    some = np.array([7, 2, 9])
    all_views = random_views(images, GALAXIES, AugmentConfig(), ViewSeed(3, 4))
    views = random_views(images[some], some, AugmentConfig(), ViewSeed(3, 4))
    torch.testing.assert_close(views, all_views[some], rtol=0, atol=1e-6)


def test_random_views__a_quarter_turn_is_rot90() -> None:
    images = cutouts(1)
    draws = np.zeros((1, 9))
    draws[:, 0], draws[:, 1] = 0.25, 0.9
    config = AugmentConfig(min_field=1.0, max_field=1.0, max_shift=0.0)
    theta = torch.from_numpy(affine_maps(draws, config)).float()
    plain = plain_views(images)
    grid = torch.nn.functional.affine_grid(theta, list(plain.shape), align_corners=False)
    turned = torch.nn.functional.grid_sample(plain, grid, align_corners=False)
    torch.testing.assert_close(turned, torch.rot90(plain, 1, (2, 3)), rtol=0, atol=1e-4)


def test_affine_maps__keep_to_their_ranges_and_to_the_shape_of_a_galaxy() -> None:
    config = AugmentConfig()
    draws = np.random.default_rng(0).uniform(size=(5000, 9))
    maps = affine_maps(draws, config)
    linear = maps[:, :, :2]
    determinants = np.linalg.det(linear)
    field = np.sqrt(np.abs(determinants))
    assert config.min_field <= field.min() < config.min_field + 0.01
    assert config.max_field - 0.01 < field.max() <= config.max_field
    # A similarity: circles stay circles, so no shear can turn one morphology into another.
    squares = linear @ linear.transpose(0, 2, 1)
    np.testing.assert_allclose(squares, field[:, None, None] ** 2 * np.eye(2), atol=1e-12)
    assert 0.45 < (determinants < 0).mean() < 0.55
    assert np.abs(maps[:, :, 2]).max() <= 2 * config.max_shift


def test_random_views__stay_between_0_and_1_and_noise_has_its_size() -> None:
    images = torch.full((64, 32, 32, 3), 128, dtype=torch.uint8)
    noisy = AugmentConfig(brightness=0.0, contrast=0.0, noise=0.02)
    views = random_views(images, np.arange(64), noisy, ViewSeed(0, 0))
    assert views.std().item() == pytest.approx(0.02, rel=0.05)
    assert views.mean().item() == pytest.approx(128 / 255, abs=0.002)
    views = random_views(cutouts(), GALAXIES, AugmentConfig(noise=0.5), ViewSeed(0, 0))
    assert views.min() >= 0
    assert views.max() <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_field": 1.2, "max_field": 1.0}, r"got 1\.2 and 1\.0"),
        ({"noise": -0.1}, r"noise must be in \[0, 1\), got -0\.1"),
    ],
)
def test_augment_config__refuses_values_out_of_range(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**settings)
