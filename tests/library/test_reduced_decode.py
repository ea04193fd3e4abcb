"""JPEG decoded smaller and shrunk quickly, against decoding whole and exact averages over area."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galaxyloop.campaigns import find_campaign
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk, cut_out_image
from galaxyloop.image_files import ImagePart
from galaxyloop.images import (
    ImageBounds,
    ImageRejectedError,
    Pixels,
    cut_out,
    decode_rgb,
    is_jpeg,
)
from galaxyloop.synthetic import SimulationConfig
from galaxyloop.synthetic.simulation import iterate_galaxies
from tests.library.fits_files import cube_bytes, galaxy_planes
from tests.library.image_files import galaxy_pixels, jpeg_bytes, png_bytes, write_chunk

BOUNDS = ImageBounds(max_image_px=1_000_000, min_side_px=16)
SKY_LEVELS = 12
"""Noise of the simulated galaxies' sky, in levels of 8 bits."""


@pytest.fixture(scope="module")
def galaxies() -> list[Pixels]:
    config = SimulationConfig(n_galaxies=4, seed=3, image_size_px=424, repeated_share=0.0)
    return [galaxy.image for galaxy in iterate_galaxies(config, find_campaign("gz2").tree)]


def cut_out_both(content: bytes, size_px: int, centre_fraction: float = 1.0) -> list[np.ndarray]:
    """By default, and exactly."""
    default = CutoutConfig(image_size_px=size_px, centre_fraction=centre_fraction)
    configs = (default, dataclasses.replace(default, reduced_decode=False))
    return [cut_out_image([ImagePart("", content)], config).astype(int) for config in configs]


# How small


@pytest.mark.parametrize(
    ("size", "wanted_px", "decoded"),
    [
        ((424, 424), 0, (424, 424)),
        ((424, 424), 213, (424, 424)),
        ((424, 424), 212, (212, 212)),
        ((424, 424), 107, (212, 212)),
        ((424, 424), 106, (106, 106)),
        ((424, 424), 53, (53, 53)),
        ((424, 424), 8, (53, 53)),
        ((300, 300), 32, (75, 75)),
        ((425, 425), 64, (425, 425)),
        ((424, 422), 64, (212, 211)),
        ((400, 160), 40, (100, 40)),
        ((160, 400), 41, (80, 200)),
    ],
)
def test_decode_rgb__reduces_a_jpeg_no_further_than_wanted(
    size: tuple[int, int], wanted_px: int, decoded: tuple[int, int]
) -> None:
    content = jpeg_bytes(galaxy_pixels(0, *size))
    assert decode_rgb(content, BOUNDS, wanted_px).shape == (*decoded, 3)


@pytest.mark.parametrize("centre_fraction", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("size_px", [8, 21, 53, 64, 100])
def test_cut_out_image__no_pixel_is_made_up_where_the_file_has_enough(
    size_px: int, centre_fraction: float
) -> None:
    content = jpeg_bytes(galaxy_pixels(1, 424, 424))
    wanted_px = int(np.ceil(size_px / centre_fraction))
    side = min(decode_rgb(content, BOUNDS, wanted_px).shape[:2])
    assert round(side * centre_fraction) >= min(size_px, round(424 * centre_fraction))


# What changes


@pytest.mark.parametrize("size_px", [300, 224, 212, 200, 128, 106, 64, 53, 32])
def test_cut_out_image__reduced_galaxies_are_near_the_exact_average(
    size_px: int, galaxies: list[Pixels]
) -> None:
    for galaxy in galaxies:
        reduced, exact = cut_out_both(jpeg_bytes(galaxy, 90), size_px)
        difference = reduced - exact
        assert np.abs(difference).mean() <= SKY_LEVELS / 5
        assert np.abs(difference).max() <= 50
        assert abs(difference.mean()) <= 0.2


@pytest.mark.parametrize("size_px", [224, 128, 64, 32])
def test_cut_out_image__reduced_smooth_galaxies_are_equal_to_few_levels(size_px: int) -> None:
    place = np.linspace(-1, 1, 424)
    radius = np.hypot(place[:, None], place[None, :] / 0.6)
    pixels = 20 + 200 * np.exp(-radius / 0.2)[:, :, None] * np.array([1.0, 0.8, 0.6])
    reduced, exact = cut_out_both(jpeg_bytes(pixels.astype(np.uint8)), size_px)
    assert np.abs(reduced - exact).mean() <= 0.3
    assert np.abs(reduced - exact).max() <= 4
    assert reduced.sum() == pytest.approx(exact.sum(), rel=0.003)


@pytest.mark.parametrize("size_px", [224, 128, 64])
def test_cut_out_image__reduced_centre_is_within_a_pixel(size_px: int) -> None:
    place = np.arange(424) - 211.5
    spot = 250 * np.exp(-(place[:, None] ** 2 + place**2) / (2 * 20.0**2))
    pixels = np.repeat(spot[:, :, None], 3, axis=2).astype(np.uint8)
    for centre_fraction in (1.0, 0.7, 0.53):
        centres = [
            [np.average(np.arange(size_px), weights=image.sum(axis=(axis, 2))) for axis in (0, 1)]
            for image in cut_out_both(jpeg_bytes(pixels), size_px, centre_fraction)
        ]
        within = 0.05 if centre_fraction == 1 else 1.0
        np.testing.assert_allclose(centres[0], centres[1], atol=within)


@pytest.mark.parametrize(("side", "size_px"), [(424, 224), (212, 128), (106, 64), (300, 224)])
def test_cut_out__quick_averages_white_noise_as_area_does(side: int, size_px: int) -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(128, 30, (40, side, side, 3)).clip(0, 255).astype(np.uint8)
    variances = [
        np.stack([cut_out(image, 1.0, size_px, quick) for image in noise]).var(axis=(0, 3))
        for quick in (False, True)
    ]
    exact, quick = (variance.mean() for variance in variances)
    assert 0.82 < quick / exact < 1.02
    uneven = [variance.std() / variance.mean() for variance in variances]
    assert uneven[1] < uneven[0] + 0.02
    assert uneven[1] < 0.2


@pytest.mark.parametrize("size_px", [16, 25, 26, 49, 50, 51, 64])
def test_cut_out__quick_is_exact_outside_one_to_two(size_px: int) -> None:
    pixels = galaxy_pixels(7, 50, 50)
    plain, quick = (cut_out(pixels, 1.0, size_px, is_quick) for is_quick in (False, True))
    if 25 < size_px < 50:
        assert np.abs(plain.astype(int) - quick).max() <= 8
        assert quick.mean() == pytest.approx(plain.mean(), abs=0.3)
    else:
        np.testing.assert_array_equal(quick, plain)


def test_cut_out__quick_keeps_a_constant() -> None:
    pixels = np.full((424, 424, 3), (0, 37, 255), np.uint8)
    assert (cut_out(pixels, 1.0, 224, is_quick=True) == pixels[0, 0]).all()


def test_cut_out_chunk__digest_follows_the_setting_even_where_pixels_do_not(
    tmp_path: Path,
) -> None:
    chunk = write_chunk(tmp_path / "in", {"g0": png_bytes(galaxy_pixels(0))})
    digests = {
        cut_out_chunk(
            chunk,
            CutoutConfig(image_size_px=32, reduced_decode=is_reduced),
            tmp_path / str(is_reduced),
        ).digest
        for is_reduced in (True, False)
    }
    assert len(digests) == 2


# What does not


def test_cut_out_image__reduced_is_the_same_each_time(galaxies: list[Pixels]) -> None:
    content = jpeg_bytes(galaxies[0])
    for size_px in (224, 128, 64):
        first, *others = (cut_out_both(content, size_px)[0] for _ in range(4))
        for other in others:
            np.testing.assert_array_equal(other, first)


def test_cut_out_image__png_and_fits_are_never_reduced() -> None:
    for content in (png_bytes(galaxy_pixels(2)), cube_bytes(galaxy_planes())):
        assert not is_jpeg(content)
        for size_px in (8, 16, 30):
            reduced, exact = cut_out_both(content, size_px)
            np.testing.assert_array_equal(reduced, exact)


def test_cut_out_image__exact_is_decoding_whole_and_averaging(galaxies: list[Pixels]) -> None:
    content = jpeg_bytes(galaxies[1])
    for size_px in (224, 64):
        _, exact = cut_out_both(content, size_px)
        expected = cut_out(decode_rgb(content, BOUNDS), 1.0, size_px)
        np.testing.assert_array_equal(exact, expected)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("is_progressive", [False, True])
def test_decode_rgb__reduces_every_kind_of_jpeg(mode: str, is_progressive: bool) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(galaxy_pixels(3, 128, 96)).convert(mode)
    picture.save(file, "JPEG", quality=95, progressive=is_progressive, exif=exif)
    reduced = decode_rgb(file.getvalue(), BOUNDS, 48)
    assert reduced.shape == (64, 48, 3)
    whole = decode_rgb(file.getvalue(), BOUNDS).astype(float)
    averages = whole.reshape(64, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.abs(reduced - averages).mean() <= 4


@pytest.mark.parametrize("wanted_px", [0, 12, 48])
def test_decode_rgb__refuses_alike_however_reduced(wanted_px: int) -> None:
    whole = jpeg_bytes(galaxy_pixels(4))
    cases = {
        whole[:-2]: "a truncated JPEG",
        b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xd9": "a damaged JPEG",
        jpeg_bytes(galaxy_pixels(1, 40, 15)): "smaller than min_side_px=16: 15 x 40",
        jpeg_bytes(np.zeros((1008, 1000, 3), np.uint8)): "more than max_image_px=1000000 pixels",
    }
    for content, reason in cases.items():
        with pytest.raises(ImageRejectedError, match=reason):
            decode_rgb(content, BOUNDS, wanted_px)


@pytest.mark.parametrize("is_reduced", [True, False])
def test_cut_out_image__refuses_a_blank_image(is_reduced: bool) -> None:
    config = CutoutConfig(image_size_px=32, reduced_decode=is_reduced)
    blank = np.full((96, 96, 3), (10, 20, 30), np.uint8)
    with pytest.raises(ImageRejectedError, match=r"blank: every pixel is \[10, 20, 30\]"):
        cut_out_image([ImagePart("", png_bytes(blank))], config)
    with pytest.raises(ImageRejectedError, match="blank"):
        cut_out_image([ImagePart("", jpeg_bytes(blank))], config)
    blank[40:50, 40:50] = 200
    cut_out_image([ImagePart("", jpeg_bytes(blank))], config)
