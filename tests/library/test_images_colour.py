"""From planes to colours, against astropy and numbers worked by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from astropy.visualization import make_lupton_rgb
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyloop.image_files import ImagePart
from galaxyloop.images import (
    COLOUR_PRESETS,
    ColourConfig,
    ImageBounds,
    ImageRejectedError,
    decode_image,
)
from tests.library.fits_files import cube_bytes, galaxy_planes
from tests.library.image_files import galaxy_pixels, png_bytes

BOUNDS = ImageBounds(max_image_px=1_000_000, min_side_px=1)
GALAXY = galaxy_planes()


def decode(planes: np.ndarray, colour: ColourConfig, bands: Sequence[str] = ()) -> np.ndarray:
    """A cube of these planes, blue to red, as pixels in the order of its rows."""
    names = {f"BAND{i}": name for i, name in enumerate(bands)}
    content = cube_bytes(planes, names)
    return decode_image([ImagePart("", content)], BOUNDS, colour)[::-1]


def one_pixel(fluxes: Sequence[float], colour: ColourConfig, bands: Sequence[str]) -> list[int]:
    planes = np.array(fluxes, np.float64)[:, None, None]
    return [int(level) for level in decode(planes, colour, bands)[0, 0]]


def level(brightness: float) -> int:
    return round(255 * min(max(brightness, 0.0), 1.0))


@pytest.mark.parametrize(
    ("stretch", "q", "minimum"),
    [(5.0, 8.0, 0.0), (0.5, 20.0, 0.0), (100.0, 1e-3, 0.0), (1.0, 1e9, 0.0), (3.0, 10.0, -2.0)],
)
def test_decode_image__equals_astropy_on_luptons_curve(
    stretch: float, q: float, minimum: float
) -> None:
    for seed in range(3):
        planes = galaxy_planes(seed=seed) + np.float32(seed)
        expected = make_lupton_rgb(*planes[::-1], stretch=stretch, Q=q, minimum=minimum)
        colour = ColourConfig(preset="lupton", stretch=stretch, q=q, minimum=minimum)
        got = decode(planes, colour)
        assert np.abs(got.astype(int) - expected).max() <= 1
        assert got.std() > 5


def test_decode_image__luptons_curve_is_linear_without_q() -> None:
    for q in (0.0, 1e-9, 1e-4):
        colour = ColourConfig(preset="lupton", stretch=2.0, q=q)
        assert one_pixel([0.5, 1.0, 1.5], colour, "grz") == [191, 128, 64]


def test_decode_image__luptons_curve_keeps_the_hue_of_bright_pixels() -> None:
    colour = ColourConfig(preset="lupton", stretch=1.0, q=8.0)
    assert one_pixel([1000.0, 2000.0, 4000.0], colour, "grz") == [255, 128, 64]


def test_decode_image__legacy_viewer_by_hand() -> None:
    g, r, z = 0.01, 0.04, 0.08
    x = [6.0 * g + 0.03, 3.4 * r + 0.03, 2.2 * z + 0.03]
    mean = sum(x) / 3
    f = math.asinh(20 * mean) / math.sqrt(20)
    expected = [level(band * f / mean) for band in reversed(x)]
    colour = ColourConfig(preset="legacy_grz")
    assert one_pixel([g, r, z], colour, "grz") == expected
    assert one_pixel([5.0, 10.0, 20.0], colour, "grz") == [255, 255, 255]
    # A band far below the sky counts as nothing in the mean, and is black.
    mean = (x[1] + x[2]) / 3
    f = math.asinh(20 * mean) / math.sqrt(20)
    expected = [level(x[2] * f / mean), level(x[1] * f / mean), 0]
    assert one_pixel([-1.0, r, z], colour, "grz") == expected


def test_decode_image__legacy_viewer_of_four_bands_by_hand() -> None:
    fluxes = [0.01, 0.02, 0.03, 0.04]
    x = [s * v + 0.03 for s, v in zip((9.0, 5.1, 4.5, 3.3), fluxes, strict=True)]
    mean = sum(x) / 4
    g, r, i, z = (band * math.asinh(20 * mean) / math.sqrt(20) / mean for band in x)
    expected = [level(0.75 * z + 0.25 * i), level(0.5 * (r + i)), level(0.75 * g + 0.25 * r)]
    assert one_pixel(fluxes, ColourConfig(preset="legacy_griz"), "griz") == expected


@pytest.mark.parametrize(
    ("preset", "scales", "m"),
    [
        ("sdss_gri", (2.5, 1.5, 1.0), 0.02),
        ("legacy_gri", (9.0, 5.1, 4.5), 0.03),
        ("hsc_gri", (9.0 / 10**1.8, 5.1 / 10**1.8, 4.5 / 10**1.8), 0.03),
    ],
)
def test_decode_image__other_surveys_of_the_viewer_by_hand(
    preset: str, scales: tuple[float, ...], m: float
) -> None:
    fluxes = [0.05 / scale for scale in reversed(scales)]
    x = [s * v + m for s, v in zip(scales, fluxes, strict=True)]
    mean = sum(x) / 3
    f = math.asinh(20 * mean) / math.sqrt(20)
    expected = [level(band * f / mean) for band in reversed(x)]
    assert one_pixel(fluxes, ColourConfig(preset=preset), "gri") == expected


def test_decode_image__gz_decals_by_hand() -> None:
    low, high = math.asinh(-0.5), math.asinh(300.0)
    fluxes = [0.008 * 1.0, 0.014 * 10.0, 0.019 * 100.0]
    expected = [level((math.asinh(x) - low) / (high - low)) for x in (100.0, 10.0, 1.0)]
    colour = ColourConfig(preset="gz_decals")
    assert one_pixel(fluxes, colour, "grz") == expected
    assert one_pixel([-0.008, 0.1, 0.019 * 301], colour, "grz")[::2] == [255, 0]


def test_decode_image__gz_euclid_by_hand() -> None:
    planes = np.abs(GALAXY[:2].astype(np.float64)) + 0.01
    curved = [np.arcsinh(planes[0] * 100), np.arcsinh(planes[1])]
    white = [np.percentile(band, 99.85) for band in curved]
    vis, nisp = (np.clip(band / top, 0, 1) for band, top in zip(curved, white, strict=True))
    expected = 255 * np.dstack([nisp, (vis + nisp) / 2, vis])
    got = decode(planes, ColourConfig(preset="gz_euclid"), ["VIS", "NIR_Y"])
    np.testing.assert_allclose(got, expected, atol=0.6)


def test_decode_image__grey_lies_between_percentiles() -> None:
    plane = GALAXY[:1]
    got = decode(plane, ColourConfig(preset="grey"))
    low, high = np.percentile(plane, [25.0, 99.8])
    expected = np.arcsinh(10 * np.clip((plane[0] - low) / (high - low), 0, 1)) / np.arcsinh(10)
    np.testing.assert_allclose(got[:, :, 0], 255 * expected, atol=0.6)
    assert (got == got[:, :, :1]).all()


def test_decode_image__auto_heeds_neither_unit_nor_pedestal() -> None:
    colour = ColourConfig()
    plain = decode(GALAXY, colour).astype(int)
    moved = GALAXY.astype(np.float64) * 1e-9 + np.array([3e-8, 1e-7, 0.0])[:, None, None]
    assert np.abs(decode(moved, colour).astype(int) - plain).max() <= 1
    assert np.median(plain) < 60
    assert plain.max() > 150


ANY_FLUX = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=60, deadline=None)
@given(
    preset=st.sampled_from(sorted(COLOUR_PRESETS)),
    q=st.sampled_from([None, 1e-10, 1e-3, 3.0, 1e10]),
    stretch=st.sampled_from([None, 1e-10, 1.0, 1e10]),
    fluxes=st.lists(st.lists(ANY_FLUX, min_size=4, max_size=4), min_size=4, max_size=4),
)
def test_decode_image__gives_pixels_or_a_reason_whatever_the_flux(
    preset: str, q: float | None, stretch: float | None, fluxes: list[list[float]]
) -> None:
    minimum = -1.0 if stretch is None else None
    bands = COLOUR_PRESETS[preset].bands or (("r",) if preset == "grey" else ("g", "r", "z"))
    minimum = -1.0 if preset == "gz_decals" else minimum
    colour = ColourConfig(
        preset=preset, q=q, stretch=stretch, minimum=minimum, max_missing_share=1.0
    )
    planes = np.array(fluxes[: len(bands)]).reshape(-1, 2, 2)
    if (planes[np.isfinite(planes)] > 1e-30).any():
        pixels = decode(planes, colour, bands)
        assert pixels.shape == (2, 2, 3)
        assert not pixels[np.isnan(planes).all(axis=0)].any()
    elif not (planes > 0).any():
        with pytest.raises(ImageRejectedError, match="no pixel above zero"):
            decode(planes, colour, bands)


@pytest.mark.parametrize("preset", sorted(COLOUR_PRESETS))
def test_decode_image__brighter_is_never_darker_and_a_constant_stays_constant(preset: str) -> None:
    bands = COLOUR_PRESETS[preset].bands or ("r",)
    ramp = np.tile(np.linspace(-0.01, 3.0, 400), (len(bands), 2, 1))
    pixels = decode(ramp, ColourConfig(preset=preset), bands).astype(int)
    assert (np.diff(pixels, axis=1) >= 0).all()
    assert pixels[0, -1].max() >= 70
    constant = decode(np.ones((len(bands), 8, 8)), ColourConfig(preset=preset), bands)
    assert (constant == constant[0, 0]).all()


def test_decode_image__a_pixel_without_data_is_black() -> None:
    planes = GALAXY.copy()
    planes[:, 3, 5] = np.nan
    planes[1, 7, 9] = np.inf
    for preset in ("auto", "lupton", "legacy_grz", "gz_decals"):
        pixels = decode(planes, ColourConfig(preset=preset), "grz")
        assert pixels[3, 5].tolist() == [0, 0, 0]
        assert pixels[7, 9, 1] == 0


@pytest.mark.parametrize("missing", [0.0, np.nan])
@pytest.mark.parametrize("preset", ["auto", "grey", "gz_euclid"])
def test_decode_image__pixels_without_data_do_not_shift_the_others(
    preset: str, missing: float
) -> None:
    bands = COLOUR_PRESETS[preset].bands or ("r",)
    planes = GALAXY[: len(bands)] + np.float32(100)
    colour = ColourConfig(preset=preset)
    expected = decode(planes[:, :, :-9], colour, bands)
    planes[:, :, -9:] = missing
    pixels = decode(planes, colour, bands)
    assert not pixels[:, -9:].any()
    np.testing.assert_array_equal(pixels[:, :-9], expected)
    counts = np.where(np.isnan(planes), 0, planes).astype(np.int32)
    assert decode(counts, colour, bands).any()


def test_decode_image__too_many_pixels_without_data_are_refused() -> None:
    planes = GALAXY.copy()
    planes[1, :24] = 0
    planes[1, 24:30] = np.nan
    with pytest.raises(ImageRejectedError) as refusal:
        decode(planes, ColourConfig(), "grz")
    assert refusal.value.reason == "more than max_missing_share=0.2 of a band without data"
    assert refusal.value.value == "0.625 of band r"
    decode(planes, ColourConfig(max_missing_share=0.65), "grz")
    counts = np.zeros((1, 8, 8), np.int16)
    counts[0, 0, 0] = 9
    decode(counts, ColourConfig())


def test_decode_image__fits_stands_as_the_surveys_jpeg_does() -> None:
    shown = galaxy_pixels(3)
    jpeg = decode_image([ImagePart("", png_bytes(shown))], BOUNDS, ColourConfig())
    from_below = shown[::-1].transpose(2, 0, 1)[::-1].astype(np.float32)
    colour = ColourConfig(preset="lupton", stretch=255.0, q=0.0, max_missing_share=1.0)
    content = cube_bytes(from_below, {"BANDS": "grz"})
    got = decode_image([ImagePart("", content)], BOUNDS, colour)
    np.testing.assert_array_equal(got, jpeg)
