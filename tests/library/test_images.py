"""From bytes to pixels."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from galaxyloop.images import ImageBounds, ImageRejectedError, cut_out, decode_rgb
from tests.library.image_files import bomb_bytes, galaxy_pixels, jpeg_bytes, png_bytes

BOUNDS = ImageBounds(max_image_px=1_000_000, min_side_px=16)
PIXELS = galaxy_pixels(0)


def pillow_bytes(mode: str, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA", "RGBA"])
def test_decode_rgb__equals_pillow_on_every_kind_of_png(mode: str) -> None:
    content = pillow_bytes(mode, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(decode_rgb(content, BOUNDS), expected)


@pytest.mark.parametrize(("mode", "is_progressive"), [("RGB", False), ("RGB", True), ("L", False)])
def test_decode_rgb__equals_pillow_on_jpeg(mode: str, is_progressive: bool) -> None:
    content = pillow_bytes(mode, "JPEG", quality=90, progressive=is_progressive)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_allclose(decode_rgb(content, BOUNDS), expected, atol=1)


@pytest.mark.parametrize("n_bands", [1, 3, 4])
def test_decode_rgb__scales_sixteen_bits_to_eight(n_bands: int) -> None:
    levels = np.random.default_rng(2).integers(0, 65536, (40, 50, n_bands)).astype(np.uint16)
    levels[0, 0], levels[0, 1] = 0, 65535
    decoded = decode_rgb(png_bytes(levels), BOUNDS)
    colours = levels[:, :, :3] if n_bands > 1 else np.repeat(levels, 3, axis=2)
    np.testing.assert_array_equal(decoded, np.rint(colours / 257.0).astype(np.uint8))
    assert decoded[0, :2].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_decode_rgb__drops_alpha_without_blending() -> None:
    alpha = galaxy_pixels(3, n_bands=1)
    decoded = decode_rgb(png_bytes(np.dstack([PIXELS, alpha])), BOUNDS)
    np.testing.assert_array_equal(decoded, PIXELS)


def test_decode_rgb__does_not_follow_the_orientation_tag() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = pillow_bytes("RGB", "JPEG", quality=95, exif=exif)
    plain = pillow_bytes("RGB", "JPEG", quality=95)
    np.testing.assert_array_equal(decode_rgb(turned, BOUNDS), decode_rgb(plain, BOUNDS))


def test_decode_rgb__reads_a_jpeg_with_thumbnail_and_trailing_bytes() -> None:
    thumbnail = b"Exif\x00\x00" + jpeg_bytes(galaxy_pixels(5, 16, 16))
    whole = jpeg_bytes(PIXELS)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = whole[:2] + segment + whole[2:]
    np.testing.assert_array_equal(
        decode_rgb(with_thumbnail + b"\x00\x00", BOUNDS), decode_rgb(whole, BOUNDS)
    )
    with pytest.raises(ImageRejectedError, match="a truncated JPEG"):
        decode_rgb(with_thumbnail[:-500], BOUNDS)


@pytest.mark.parametrize("content", [jpeg_bytes(PIXELS), png_bytes(PIXELS)])
def test_decode_rgb__refuses_a_file_cut_short_anywhere(content: bytes) -> None:
    for length in [*range(0, len(content), 97), len(content) - 1]:
        with pytest.raises(ImageRejectedError):
            decode_rgb(content[:length], BOUNDS)


def test_decode_rgb__survives_damage_anywhere() -> None:
    generator = np.random.default_rng(4)
    whole = [jpeg_bytes(PIXELS), png_bytes(PIXELS)]
    n_rejected = 0
    for trial in range(300):
        content = bytearray(whole[trial % 2])
        for at in generator.integers(8, len(content), 4):
            content[at] = generator.integers(256)
        try:
            assert decode_rgb(bytes(content), BOUNDS).shape[2] == 3
        except ImageRejectedError:
            n_rejected += 1
    assert n_rejected >= 150 - 5


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"\n <!DOCTYPE html><html>", "an HTML page instead of an image"),
        (b"<HTML><body>log in", "an HTML page instead of an image"),
        (b"<?xml version='1.0'?><Error>", "an XML document instead of an image"),
        (b'{"message": "quota"}', "a JSON document instead of an image"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"SIMPLE  =                    T", "a damaged FITS file"),
        (b"GIF89a....", "neither JPEG, PNG nor FITS"),
        (bomb_bytes(30_000), "more than max_image_px=1000000 pixels: 30000 x 30000"),
        (png_bytes(galaxy_pixels(1, 15, 40)), "smaller than min_side_px=16: 40 x 15"),
        (jpeg_bytes(galaxy_pixels(1, 40, 15)), "smaller than min_side_px=16: 15 x 40"),
        (png_bytes(PIXELS).replace(b"IDAT", b"IDAX"), "a damaged PNG"),
        (b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xd9", "a damaged JPEG"),
    ],
)
def test_decode_rgb__says_why_it_refuses(content: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError) as refusal:
        decode_rgb(content, BOUNDS)
    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_cut_out__whole_factors_average_blocks(factor: int) -> None:
    pixels = galaxy_pixels(6, 24 * factor, 24 * factor)
    blocks = pixels.reshape(24, factor, 24, factor, 3).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_allclose(cut_out(pixels, 1.0, 24), blocks, atol=0.51)


def test_cut_out__other_factors_average_by_overlapped_area() -> None:
    pixels = galaxy_pixels(7, 50, 50)
    edges = np.arange(17) * 50 / 16
    overlap = np.minimum(edges[1:, None], np.arange(1, 51)) - np.maximum(
        edges[:-1, None], np.arange(50)
    )
    weights = np.clip(overlap, 0, None) / (50 / 16)
    expected = np.einsum("iy,jx,yxb->ijb", weights, weights, pixels.astype(np.float64))
    np.testing.assert_allclose(cut_out(pixels, 1.0, 16), expected, atol=0.51)


def test_cut_out__takes_the_central_square() -> None:
    pixels = galaxy_pixels(8, 60, 100)
    np.testing.assert_array_equal(cut_out(pixels, 1.0, 60), pixels[:, 20:80])
    np.testing.assert_array_equal(cut_out(pixels, 0.5, 30), pixels[15:45, 35:65])


def test_cut_out__keeps_the_mean_brightness() -> None:
    pixels = galaxy_pixels(9, 100, 100)
    assert cut_out(pixels, 1.0, 32).mean() == pytest.approx(pixels.mean(), abs=0.2)


def test_cut_out__enlarges_linearly() -> None:
    pixels = galaxy_pixels(10, 20, 20)
    expected = cv2.resize(pixels, (40, 40), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cut_out(pixels, 1.0, 40), expected)
