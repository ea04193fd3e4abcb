"""Flags of cutouts: known answers at each limit, and the same whatever lies beside or around."""

import numpy as np
import pytest

from galaxyloop.flags import (
    FLAG_MEANINGS,
    FLAGS,
    STANDING_OUT_LEVELS,
    distance_flags,
    image_flags,
)
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies

EMPTY, SATURATED, DULL = FLAGS["partly_empty"], FLAGS["saturated"], FLAGS["low_contrast"]


def galaxy_image(side: int = 64, peak: int = 150, sky: int = 10) -> np.ndarray:
    """A round galaxy in the middle of a flat sky."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = sky + peak * np.exp(-(x**2 + y**2) / (2 * (side / 10) ** 2))
    return np.repeat(light[..., None], 3, axis=2).astype(np.uint8)


def flag(image: np.ndarray) -> int:
    return int(image_flags(image[None])[0])


def test_image_flags__raises_none_for_a_galaxy() -> None:
    assert flag(galaxy_image()) == 0


@pytest.mark.parametrize(("n_columns", "expected"), [(12, 0), (13, EMPTY)])
def test_image_flags__of_a_frame_partly_outside_of_the_survey(
    n_columns: int, expected: int
) -> None:
    # 12 of 64 columns are 19 % of the frame, 13 are 20.3 %.
    image = galaxy_image()
    image[:, :n_columns] = 0
    assert flag(image) == expected
    image[:, :n_columns, 1] = 1
    assert flag(image) == 0, "a pixel is empty only if all bands are"


@pytest.mark.parametrize(("n_rows", "expected"), [(3, 0), (4, SATURATED)])
def test_image_flags__of_a_saturated_star(n_rows: int, expected: int) -> None:
    # 3 of 64 rows are 4.7 % of the frame, 4 are 6.3 %; one band is enough.
    image = galaxy_image()
    image[:n_rows, :, 2] = 255
    assert flag(image) == expected
    image[:n_rows, :, 2] = 254
    assert flag(image) == 0


def test_image_flags__of_an_image_with_nothing_in_it() -> None:
    sky = np.random.default_rng(0).normal(30, 5, (1, 64, 64, 3)).clip(0, 255).astype(np.uint8)
    assert flag(sky[0]) == DULL
    assert flag(np.zeros((64, 64, 3), np.uint8)) == EMPTY | DULL
    assert flag(np.full((64, 64, 3), 255, np.uint8)) == SATURATED | DULL
    assert flag(np.full((64, 64, 3), 100, np.uint8)) == DULL


def test_image_flags__of_the_faintest_source_that_stands_out() -> None:
    # 21 of 4096 pixels are more than 0.5 %; they move the mean by less than a level.
    image = np.full((64, 64, 3), 40, np.uint8)
    image.reshape(-1, 3)[:21] += STANDING_OUT_LEVELS + 1
    assert flag(image) == 0
    image.reshape(-1, 3)[:21] -= 1
    assert flag(image) == DULL


@pytest.mark.parametrize("side", [32, 64, 224])
def test_image_flags__agrees_with_counting_pixel_by_pixel(side: int) -> None:
    rng = np.random.default_rng(side)
    ends = rng.integers(0, 256, (30, 2))
    lows, highs = ends.min(axis=1), ends.max(axis=1) + 1
    spread = rng.random((30, side, side, 3)) * (highs - lows)[:, None, None, None]
    images = (lows[:, None, None, None] + spread).astype(np.uint8)
    images[rng.random(images.shape[:3]) < rng.choice([0.1, 0.3], (30, 1, 1))] = 0
    images[rng.random(images.shape[:3]) < rng.choice([0.0, 0.1], (30, 1, 1))] = 255
    found = image_flags(images)
    step = max(1, side // 64)
    for image, flags in zip(images, found, strict=True):
        pixels = image[::step, ::step].reshape(-1, 3).astype(int)
        empty = np.mean([not pixel.any() for pixel in pixels]) > 0.2
        saturated = np.mean([pixel.max() == 255 for pixel in pixels]) > 0.05
        light = pixels.sum(axis=1)
        dull = np.mean(light > light.sum() // len(light) + 60) < 0.005
        assert flags == EMPTY * empty + SATURATED * saturated + DULL * dull
    assert len(set(found.tolist())) >= 3


def test_image_flags__do_not_know_orientation_bands_size_or_neighbours() -> None:
    images = simulate_galaxies(SimulationConfig(n_galaxies=24, image_size_px=64, seed=4)).images
    images[::3, :, :20] = 0
    images[1::3, :10] = 255
    expected = image_flags(images)
    assert {EMPTY, SATURATED} <= set(expected.tolist())
    for same in (images[:, ::-1], images.swapaxes(1, 2), images[..., ::-1]):
        np.testing.assert_array_equal(image_flags(same), expected)
    twice = images.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(image_flags(twice), expected)
    one_by_one = [image_flags(images[i : i + 1])[0] for i in range(len(images))]
    np.testing.assert_array_equal(one_by_one, expected)
    assert image_flags(images[:0]).shape == (0,)


def test_image_flags__leave_simulated_galaxies_alone() -> None:
    config = SimulationConfig(n_galaxies=300, image_size_px=64, seed=8)
    flags = image_flags(simulate_galaxies(config).images)
    assert flags.dtype == np.int32
    # What is flagged are the simulated bright stars and trails.
    assert np.mean(flags > 0) < 0.03
    assert not np.any(flags & (EMPTY | DULL))


def test_distance_flags__raise_what_is_above_one_and_not_what_is_unknown() -> None:
    distances = np.array([0.5, 1.0, np.nextafter(np.float32(1), 2), np.inf, np.nan], np.float32)
    assert distance_flags(distances).tolist() == [0, 0, 1, 1, 0]


def test_flags__have_a_bit_and_a_meaning_each() -> None:
    assert FLAG_MEANINGS.keys() == FLAGS.keys()
    assert sorted(FLAGS.values()) == [2**i for i in range(len(FLAGS))]
