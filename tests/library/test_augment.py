"""Views: one warp a galaxy, drawn from seed, epoch and galaxy and from nothing else."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from galaxyloop.augment import (
    AugmentConfig,
    ContrastiveAugmentConfig,
    ViewSeed,
    affine_maps,
    at_sky_noise,
    plain_views,
    random_views,
)
from galaxyloop.augment.drawing import draw_together
from galaxyloop.augment.views import make_plan
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


def smooth_cutouts(n_galaxies: int, size: int, sigma: float = 1.5) -> torch.Tensor:
    """As smooth as a point spread function makes them."""
    noise = np.random.default_rng(1).normal(size=(n_galaxies, size, size, 3))
    smooth = ndimage.gaussian_filter(noise, (0, sigma, sigma, 0))
    return torch.from_numpy((128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8))


def moved(config: AugmentConfig, **changes: float) -> AugmentConfig:
    """The geometry of a config alone, but for the changes."""
    still = {"brightness": 0.0, "contrast": 0.0, "colour": 0.0, "noise": 0.0, "blur": 0.0}
    return dataclasses.replace(config, sky_noise=0.0, **{**still, **changes})


def test_random_views__equal_scipys_interpolation_of_the_mapped_coordinates() -> None:
    images = smooth_cutouts(8, 24)
    config, when = moved(ContrastiveAugmentConfig()), ViewSeed(2, 3, 1)
    views = random_views(images, np.arange(8), config, when)
    maps = make_plan(images, np.arange(8), config, when).maps
    y, x = np.mgrid[0:24, 0:24]
    frame = np.stack([(2 * x + 1) / 24 - 1, (2 * y + 1) / 24 - 1, np.ones((24, 24))])
    for view, image, one in zip(views.numpy(), images.numpy(), maps, strict=True):
        at_x, at_y = ((np.tensordot(row, frame, 1) + 1) * 12 - 0.5 for row in one)
        for band in range(3):
            plane = image[:, :, band].astype(float)
            expected = ndimage.map_coordinates(plane, [at_y, at_x], order=1, mode="reflect")
            # OpenCV rounds the result to a level and older releases places to 1/32 px.
            assert np.abs(255 * view[band] - expected).max() < 2.5
            assert np.abs(255 * view[band] - expected).mean() < 0.5


@pytest.mark.parametrize("size", [21, 32])
def test_random_views__on_the_cpu_are_those_of_an_accelerator(size: int) -> None:
    images, galaxies, when = smooth_cutouts(16, size), np.arange(16), ViewSeed(5, 1)
    config = at_sky_noise(ContrastiveAugmentConfig(), 0.01)
    one_by_one = random_views(images, galaxies, config, when)
    together = draw_together(images, make_plan(images, galaxies, config, when))
    difference = 255 * (one_by_one - together).abs()
    assert difference.max() < 3
    assert difference.mean() < 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_random_views__on_a_gpu_are_those_of_the_cpu() -> None:
    images, galaxies, when = smooth_cutouts(16, 32), np.arange(16), ViewSeed(5, 1)
    config = at_sky_noise(ContrastiveAugmentConfig(), 0.01)
    views = random_views(images.cuda(), galaxies, config, when)
    assert views.is_cuda
    assert 255 * (views.cpu() - random_views(images, galaxies, config, when)).abs().max() < 3


def test_random_views__are_bit_identical_in_another_batch_and_with_more_threads() -> None:
    images, some = cutouts(), np.array([7, 2, 9])
    config, when = at_sky_noise(ContrastiveAugmentConfig(), 0.02), ViewSeed(3, 4)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        views = random_views(images, GALAXIES, config, when)
        torch.set_num_threads(3)
        others = random_views(images[some], some, config, when)
    finally:
        torch.set_num_threads(n_threads)
    assert torch.equal(others, views[some])


def test_random_views__of_other_than_three_bands_follow_the_same_rules() -> None:
    images = cutouts()
    views = random_views(images[..., :1].contiguous(), GALAXIES, moved(STILL), ViewSeed(0, 0))
    torch.testing.assert_close(views, plain_views(images)[:, :1], rtol=0, atol=1e-5)


def test_random_views__turn_to_every_angle_and_zoom_over_the_whole_range() -> None:
    draws = np.random.default_rng(0).uniform(size=(5000, 9))
    maps = affine_maps(draws, ContrastiveAugmentConfig())
    angles = np.arctan2(maps[:, 1, 1], -maps[:, 0, 1])
    counts, _ = np.histogram(angles, 12, (-np.pi, np.pi))
    assert counts.min() > 0.8 * 5000 / 12
    assert counts.max() < 1.2 * 5000 / 12


@pytest.mark.parametrize(
    "config",
    [
        AugmentConfig(),
        ContrastiveAugmentConfig(),
        AugmentConfig(min_field=0.4, max_shift=0.07, galaxy_share=0.2),
    ],
)
def test_affine_maps__never_cut_the_galaxy_away(config: AugmentConfig) -> None:
    draws = np.random.default_rng(0).uniform(size=(20_000, 9))
    draws[:64, 2:5] = np.array(np.meshgrid([0], [0, 1], [0, 1])).reshape(3, -1).T.repeat(16, 0)
    draws[:64, 0] = np.tile(np.arange(16) / 16, 4)
    maps = affine_maps(draws, config)
    around = np.linspace(0, 2 * np.pi, 360)
    circle = config.galaxy_share * np.stack([np.cos(around), np.sin(around)])
    back = np.linalg.inv(maps[:, :, :2])
    seen = back @ (circle - maps[:, :, 2:])
    assert np.abs(seen).max() <= 1 + 1e-9
    # A view turned by an eighth comes as near as the config's bound says.
    reach = config.galaxy_share + 2 * np.sqrt(2) * config.max_shift
    assert np.abs(seen).max() == pytest.approx(reach / config.min_field, rel=0.002)


def test_random_views__blur_keeps_the_light_and_widens_a_star_as_drawn() -> None:
    images = torch.zeros((32, 33, 33, 3), dtype=torch.uint8)
    star = np.exp(-0.5 * (np.hypot(*np.mgrid[-16:17, -16:17]) / 2) ** 2)
    images[:] = torch.from_numpy(250 * star)[:, :, None].to(torch.uint8)
    config, when, galaxies = moved(STILL, blur=2.0), ViewSeed(0, 0), np.arange(32)
    plan = make_plan(images, galaxies, config, when)
    assert 0 <= plan.sigmas_px.min() < 0.3
    assert 1.7 < plan.sigmas_px.max() <= 2.0
    for views in (random_views(images, galaxies, config, when), draw_together(images, plan)):
        light = views.sum(dim=(2, 3)).numpy()
        np.testing.assert_allclose(light, plain_views(images).sum(dim=(2, 3)), rtol=0.02)
        peak = views[:, 0].amax(dim=(1, 2)).numpy()
        expected = 250 / 255 * 4 / (4 + plan.sigmas_px**2)
        np.testing.assert_allclose(peak, expected, rtol=0.03)


def test_random_views__colour_changes_each_band_by_a_factor_of_its_own() -> None:
    images = torch.full((64, 16, 16, 3), 120, dtype=torch.uint8)
    images[:, :8] = 60
    views = random_views(images, np.arange(64), moved(STILL, colour=0.1), ViewSeed(0, 0))
    gains = (views / plain_views(images)).numpy()
    np.testing.assert_allclose(gains.std(axis=(2, 3)), 0, atol=1e-5)
    factors = gains[:, :, 0, 0]
    assert 0.9 <= factors.min() < 0.91
    assert 1.09 < factors.max() <= 1.1
    assert np.abs(np.corrcoef(factors.T)[np.triu_indices(3, 1)]).max() < 0.4


def test_random_views__new_kinds_of_change_leave_the_draws_of_the_others() -> None:
    images, when = cutouts(), ViewSeed(0, 0)
    before = make_plan(images, GALAXIES, AugmentConfig(), when)
    after = make_plan(images, GALAXIES, AugmentConfig(blur=1.0, colour=0.1), when)
    np.testing.assert_array_equal(before.maps, after.maps)
    np.testing.assert_array_equal(before.corners, after.corners)


def test_random_views__refuse_noise_in_units_of_an_unknown_sky() -> None:
    with pytest.raises(ConfigError, match=r"sky_noise=1\.0 is in units .* use at_sky_noise"):
        random_views(cutouts(), GALAXIES, ContrastiveAugmentConfig(), ViewSeed(0, 0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_field": 1.2, "max_field": 1.0}, r"got 1\.2 and 1\.0"),
        ({"noise": -0.1}, r"noise must be in \[0, 1\), got -0\.1"),
        ({"colour": 1.0}, r"colour must be in \[0, 1\), got 1\.0"),
        ({"blur": 11.0}, r"blur must be in \[0, 10\], got 11\.0"),
        ({"sky_noise": -1.0}, r"sky_noise must be in \[0, 10\], got -1\.0"),
        ({"galaxy_share": 0.0}, r"galaxy_share must be in \(0, 1\], got 0\.0"),
        ({"min_field": 0.6}, r"= 0\.613, so that no view cuts .* got 0\.6; raise min_field"),
        ({"max_shift": 0.1}, r"= 0\.783, so that no view cuts .* got 0\.75; .* lower max_shift"),
    ],
)
def test_augment_config__refuses_values_out_of_range(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**settings)
