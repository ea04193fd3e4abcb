"""Which planes become which colours, and what is refused; see ``test_images_colour``."""

from collections.abc import Sequence

import numpy as np
import pytest

from galaxyloop.errors import ConfigError
from galaxyloop.image_files import ImagePart
from galaxyloop.images import (
    COLOUR_PRESETS,
    ColourConfig,
    ImageBounds,
    ImageRejectedError,
    decode_image,
)
from tests.library.fits_files import cube_bytes, file_bytes, galaxy_planes, image_hdu
from tests.library.image_files import galaxy_pixels, jpeg_bytes, png_bytes

BOUNDS = ImageBounds(max_image_px=1_000_000, min_side_px=1)
GALAXY = galaxy_planes()


def decode(planes: np.ndarray, colour: ColourConfig, bands: Sequence[str] = ()) -> np.ndarray:
    """A cube of these planes, blue to red, as pixels in the order of its rows."""
    names = {f"BAND{i}": name for i, name in enumerate(bands)}
    content = cube_bytes(planes, names)
    return decode_image([ImagePart("", content)], BOUNDS, colour)[::-1]


def test_decode_image__auto_orders_known_bands_blue_to_red() -> None:
    expected = decode(GALAXY, ColourConfig(), ["g", "r", "z"])
    np.testing.assert_array_equal(decode(GALAXY[::-1], ColourConfig(), ["z", "r", "g"]), expected)
    hsc = ["HSC-Z", "HSC-R2", "HSC-G"]
    np.testing.assert_array_equal(decode(GALAXY[::-1], ColourConfig(), hsc), expected)


def pixels_of(colour: ColourConfig, *names: str) -> np.ndarray:
    """The galaxy's planes as HDUs of these names."""
    hdus = [image_hdu(plane, name) for plane, name in zip(GALAXY, names, strict=False)]
    return decode_image([ImagePart("", file_bytes(*hdus))], BOUNDS, colour)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["g", "r"], ["HSC-G", "HSC-R2"]),
        (["HSC-G", "NIR_Y"], ["g", "y"]),
        (["nb816", "r"], ["NB816", "R"]),
        (["VIS", "Ks"], ["euclid vis", "2MASS_KS"]),
    ],
)
def test_decode_image__finds_a_band_but_for_case_prefix_and_version(
    wanted: list[str], names: list[str]
) -> None:
    expected = pixels_of(ColourConfig(bands=names), *names)
    np.testing.assert_array_equal(pixels_of(ColourConfig(bands=wanted), *names), expected)


@pytest.mark.parametrize(
    ("wanted", "names", "reason"),
    [
        (["NB816"], ["NB921", "g"], "no band 'NB816'"),
        (["W1", "W2"], ["W1", "G"], "no band 'W2'"),
        (["W2"], ["W1"], "no band 'W2'"),
        (["1"], [""], "no band '1'"),
        (["1"], ["SCI 1"], "no band '1'"),
        (["g_flux"], ["r_flux"], "no band 'g_flux'"),
        (["vis"], ["vis2"], "no band 'vis'"),
        (["r", "r2"], ["R", "g"], "two of colour.bands are one band of the image: r, r2 are R"),
        (["r", "HSC-R"], ["R2", "g"], "two of colour.bands are one band of the image"),
    ],
)
def test_decode_image__takes_no_band_for_another(
    wanted: list[str], names: list[str], reason: str
) -> None:
    for scales in ([], [1.0] * len(wanted)):
        with pytest.raises(ImageRejectedError) as refusal:
            pixels_of(ColourConfig(bands=wanted, scales=scales), *names)
        assert str(refusal.value).startswith(reason)


def test_decode_image__all_layouts_of_one_galaxy_give_one_image() -> None:
    colour = ColourConfig(preset="legacy_grz")
    planes = dict(zip("grz", GALAXY, strict=True))
    expected = decode(GALAXY, colour, "grz")[::-1]
    one_a_band = [ImagePart(name, cube_bytes(plane)) for name, plane in planes.items()]
    hdu_a_band = file_bytes(*(image_hdu(plane, name) for name, plane in planes.items()))
    by_filter = file_bytes(*(image_hdu(p, "SCI", FILTER=f"DECam {n}") for n, p in planes.items()))
    nameless = file_bytes(*(image_hdu(plane) for plane in reversed(GALAXY)))
    by_number = ColourConfig(preset="legacy_grz", hdus=["3", "2", "1"])
    by_place = ColourConfig(preset="legacy_grz", bands=["2", "1", "0"])
    for parts, config in [
        (one_a_band, colour),
        (one_a_band[::-1], colour),
        ([ImagePart("", hdu_a_band)], colour),
        ([ImagePart("", by_filter)], colour),
        ([ImagePart("", nameless)], by_number),
        ([ImagePart("", nameless)], by_place),
    ]:
        np.testing.assert_array_equal(decode_image(parts, BOUNDS, config), expected)


def test_decode_image__takes_one_hdu_of_each_bands_file() -> None:
    parts = [
        ImagePart(name, file_bytes(image_hdu(plane * 0, "MODEL"), image_hdu(plane, "DATA")))
        for name, plane in zip("grz", GALAXY, strict=True)
    ]
    expected = decode(GALAXY, ColourConfig(preset="legacy_grz"), "grz")[::-1]
    for hdus in (["data"], ["2"]):
        colour = ColourConfig(preset="legacy_grz", hdus=hdus)
        np.testing.assert_array_equal(decode_image(parts, BOUNDS, colour), expected)
    with pytest.raises(ImageRejectedError, match="several planes in the file of one band.*MODEL"):
        decode_image(parts, BOUNDS, ColourConfig(preset="legacy_grz"))
    with pytest.raises(ImageRejectedError, match="colour.hdus are neither one nor one a file"):
        decode_image(parts, BOUNDS, ColourConfig(preset="legacy_grz", hdus=["1", "2"]))


def test_decode_image__pictures_do_not_look_at_colours() -> None:
    part = ImagePart("", jpeg_bytes(galaxy_pixels(1)))
    plain = decode_image([part], BOUNDS, ColourConfig())
    other = decode_image([part], BOUNDS, ColourConfig(preset="gz_decals", hdus=["7"]))
    np.testing.assert_array_equal(plain, other)


GRZ = ColourConfig(preset="legacy_grz")
G_FILE = ImagePart("g", cube_bytes(GALAXY[0]))


@pytest.mark.parametrize(
    ("parts", "colour", "reason"),
    [
        ([ImagePart("", b"")], GRZ, "an empty file: 0 bytes"),
        ([ImagePart("", b"<html>log in")], GRZ, "an HTML page instead of an image"),
        ([ImagePart("", b'{"error": 1}')], GRZ, "a JSON document instead of an image"),
        ([ImagePart("", b"<?xml version='1.0'?>")], GRZ, "an XML document instead of an image"),
        ([ImagePart("", b"GIF89a")], GRZ, "neither JPEG, PNG nor FITS"),
        ([G_FILE, ImagePart("r", b"<html>")] * 2, GRZ, "no band 'z'; name the bands in"),
        ([G_FILE, ImagePart("r", b"<html>"), G_FILE._replace(band="z")], GRZ, "an HTML page"),
        ([G_FILE], GRZ, "no band 'g'; name the bands in colour.bands: bands are 0"),
        ([ImagePart("", cube_bytes(GALAXY))], ColourConfig(preset="grey"), "more than 1 bands;"),
        (
            [G_FILE, ImagePart("r", png_bytes(galaxy_pixels(0)))],
            GRZ,
            "a JPEG or PNG a band; give one file, or FITS: bands r",
        ),
        (
            [G_FILE, ImagePart("r", cube_bytes(GALAXY[0, :, :40]))],
            ColourConfig(),
            "bands of different sizes: g 48 x 48, r 40 x 48",
        ),
        (
            [ImagePart("", cube_bytes(np.full((9, 9), np.nan)))],
            ColourConfig(),
            "more than max_missing_share=0.2 of a band without data: 1 of band 0",
        ),
        (
            [ImagePart("", cube_bytes(np.full((9, 9), -1.0)))],
            ColourConfig(),
            "no pixel above zero: bands 0",
        ),
    ],
)
def test_decode_image__says_why_it_refuses(
    parts: list[ImagePart], colour: ColourConfig, reason: str
) -> None:
    with pytest.raises(ImageRejectedError) as refusal:
        decode_image(parts, BOUNDS, colour)
    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "sdss"}, r"preset must be one of auto, grey, .*got 'sdss'"),
        ({"bands": ["g", "g"]}, r"bands must be names, each once.*, got \['g', 'g'\]"),
        ({"bands": ["g", "G"]}, r"bands must be names, each once whatever the case, got"),
        ({"hdus": ["sci", "SCI"]}, r"hdus must be names, each once whatever the case, got"),
        ({"hdus": [""]}, r"hdus must be names"),
        ({"scales": [1.0]}, r"scales must be one a band, got 1 \(\[1.0\]\) for 0 bands"),
        ({"bands": ["g"], "scales": [-1]}, r"scales must be in \(0, 1e30\], got \[-1.0\]"),
        ({"preset": "legacy_griz", "bands": ["g"], "scales": [1]}, r"bands must be 4 for preset"),
        ({"preset": "legacy_grz", "bands": ["g"]}, r"scales must be one a band, got 3"),
        ({"preset": "grey", "bands": ["g", "r"]}, r"bands must be at most 1 for preset grey"),
        ({"preset": "legacy_grz", "q": 0}, r"q must be above 0 for preset legacy_grz, got 0"),
        ({"q": -1}, r"q must be in \[0, 1e\+10\], got -1"),
        ({"stretch": 0}, r"stretch must be in \[1e-10, 1e\+10\], got 0"),
        ({"minimum": float("nan")}, r"minimum must be in .*got nan"),
        ({"preset": "gz_decals", "minimum": 400}, r"stretch must be above minimum=400"),
        ({"max_missing_share": 1.5}, r"max_missing_share must be in \[0, 1\], got 1.5"),
    ],
)
def test_colour_config__refuses_what_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ColourConfig.from_dict(values)


def test_colour_config__every_preset_is_a_config() -> None:
    for preset in COLOUR_PRESETS:
        assert ColourConfig.from_json(ColourConfig(preset=preset).to_json()).preset == preset
