"""From FITS bytes to planes, against astropy."""

import gzip
import io
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from galaxyloop.images import ImageBounds, ImageRejectedError
from galaxyloop.images.fits import read_fits
from tests.library.fits_files import (
    KINDS,
    cube_bytes,
    file_bytes,
    galaxy_planes,
    image_hdu,
    random_array,
)

BOUNDS = ImageBounds(max_image_px=1_000_000, min_side_px=1)
SHAPES = [(1, 1), (7, 5), (31, 90), (3, 17, 16), (1, 8, 9), (1, 2, 8, 9)]
PLANE = random_array((20, 30), "f4")


def by_astropy(content: bytes, hdu: int = 0) -> np.ndarray:
    with fits.open(io.BytesIO(content)) as hdus:
        return np.array(hdus[hdu].data)


def assert_same(content: bytes, hdu: int = 0, hdus: tuple[str, ...] = ()) -> None:
    expected = by_astropy(content, hdu)
    expected = expected.reshape(-1, *expected.shape[-2:])
    planes = list(read_fits(content, BOUNDS, hdus).values())
    assert len(planes) == len(expected)
    for plane, other in zip(planes, expected, strict=True):
        assert plane.dtype == other.dtype
        np.testing.assert_array_equal(plane, other)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS.values())
def test_read_fits__equals_astropy_on_plain_arrays(kind: str, shape: tuple[int, ...]) -> None:
    array = random_array(shape, kind)
    assert_same(cube_bytes(array))
    assert_same(file_bytes(fits.ImageHDU(array)), hdu=1)
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(999))])
    behind = file_bytes(fits.PrimaryHDU(PLANE), table, fits.ImageHDU(array))
    assert_same(behind, hdu=2, hdus=("2",))


@pytest.mark.parametrize("kind", ["u2", "u4", "u8", "i1"])
def test_read_fits__equals_astropy_on_integers_that_fits_has_not(kind: str) -> None:
    assert_same(cube_bytes(random_array((12, 13), kind)))


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
def test_read_fits__equals_astropy_on_scaled_numbers(kind: str) -> None:
    hdu = fits.PrimaryHDU(random_array((12, 13), kind))
    hdu.header["BSCALE"], hdu.header["BZERO"] = 0.5, 100.0
    content = bytearray(file_bytes(fits.PrimaryHDU(random_array((12, 13), kind))))
    cards = [b"BSCALE  =                  0.5", b"BZERO   =                100.0"]
    for i, card in enumerate([*cards, b"END"]):
        at = content.index(b"END   ") if i == 0 else at + 80
        content[at : at + 80] = card.ljust(80)
    assert by_astropy(bytes(content)).dtype.kind == "f"
    assert_same(bytes(content))


@pytest.mark.parametrize("kind", ["u1", "i2", "i4"])
def test_read_fits__a_blank_pixel_is_nan(kind: str) -> None:
    content = bytearray(cube_bytes(random_array((12, 13), kind), {"BLANK": 77}))
    content[2880 : 2880 + np.dtype(kind).itemsize] = np.array(77, f">{kind}").tobytes()
    assert_same(bytes(content))
    assert np.isnan(read_fits(bytes(content), BOUNDS)["0"][0, 0])


@pytest.mark.parametrize("how", ["RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "u2"])
def test_read_fits__equals_astropy_on_compressed_hdus(how: str, kind: str) -> None:
    array = random_array((20, 24), kind) // (2 if kind == "i4" else 1)
    hdu = fits.CompImageHDU(array, compression_type=how, quantize_level=16)
    assert_same(file_bytes(hdu), hdu=1)


def test_read_fits__equals_astropy_on_compressed_cubes_and_gzip_files() -> None:
    cube = random_array((3, 20, 24), "f4")
    assert_same(file_bytes(fits.CompImageHDU(cube)), hdu=1)
    plain = cube_bytes(cube)
    packed = gzip.compress(plain)
    for content in (packed, gzip.compress(plain[:3000]) + gzip.compress(plain[3000:])):
        for plane, other in zip(read_fits(content, BOUNDS).values(), cube, strict=True):
            np.testing.assert_array_equal(plane, other)


def test_read_fits__does_without_astropy_on_plain_files() -> None:
    code = (
        "import sys; from galaxyloop.images import *; from galaxyloop.image_files import ImagePart;"
        "part = ImagePart('', sys.stdin.buffer.read());"
        "print(decode_image([part], ImageBounds(9999, 1), ColourConfig()).shape, "
        "'astropy' in sys.modules)"
    )
    content = cube_bytes(galaxy_planes())
    run = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True)
    assert run.stdout.decode().strip() == "(48, 48, 3) False", run.stderr.decode()


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ({}, ["0", "1", "2"]),
        ({"BANDS": "grz"}, ["g", "r", "z"]),
        ({"BANDS": "W1,W2,W3"}, ["W1", "W2", "W3"]),
        ({"BANDS": "gr"}, ["0", "1", "2"]),
        ({"BANDS": "grz", "BAND0": "HSC-G", "BAND1": "HSC-R", "BAND2": "HSC-Z"}, None),
    ],
)
def test_read_fits__names_the_layers_of_a_cube(
    header: dict[str, str], names: list[str] | None
) -> None:
    planes = read_fits(cube_bytes(random_array((3, 5, 6), "f4"), header), BOUNDS)
    assert list(planes) == (names or ["HSC-G", "HSC-R", "HSC-Z"])


def test_read_fits__names_images_by_band_filter_or_extension() -> None:
    content = file_bytes(
        fits.PrimaryHDU(PLANE),
        image_hdu(PLANE + 1, "I'S"),
        image_hdu(PLANE + 2, FILTER="r"),
        image_hdu(PLANE + 3, "SCI", FILTER="clear", BAND="z"),
        image_hdu(PLANE + 4, "SCI"),
        image_hdu(PLANE + 5, BAND="z"),
    )
    planes = read_fits(content, BOUNDS)
    assert list(planes) == ["0", "I'S", "r", "z", "4"]
    np.testing.assert_array_equal(planes["z"], PLANE + 3)


def test_read_fits__leaves_variances_weights_and_masks_aside() -> None:
    bands = {"BANDS": "grz"}
    cube = random_array((3, 20, 30), "f4")
    legacy = file_bytes(
        fits.PrimaryHDU(cube, fits.Header(bands)), fits.ImageHDU(cube + 1, fits.Header(bands))
    )
    np.testing.assert_array_equal(list(read_fits(legacy, BOUNDS).values()), cube)
    names = ("IMAGE", "MASK", "VARIANCE", "INVVAR_G", "VAR_POISSON", "WHT", "DQ", "maskbits")
    hsc = file_bytes(*(image_hdu(PLANE, name) for name in names))
    assert list(read_fits(hsc, BOUNDS)) == ["0"]
    assert list(read_fits(hsc, BOUNDS, ["wht"])) == ["WHT"]


def test_read_fits__reads_the_hdus_asked_for_in_their_order() -> None:
    content = file_bytes(*(image_hdu(PLANE + i, name) for i, name in enumerate("ABC")))
    planes = read_fits(content, BOUNDS, ["c", "1"])
    assert list(planes) == ["C", "A"]
    np.testing.assert_array_equal(planes["C"], PLANE + 2)
    same = file_bytes(*(image_hdu(PLANE + i, FILTER="r") for i in range(3)))
    assert list(read_fits(same, BOUNDS, ["1", "2", "3"])) == ["r", "1", "2"]
    assert list(read_fits(same, BOUNDS)) == ["r"]


def test_read_fits__needs_no_filling_of_the_last_block() -> None:
    content = cube_bytes(PLANE)[: 2880 + PLANE.nbytes]
    np.testing.assert_array_equal(read_fits(content, BOUNDS)["0"], PLANE)
    np.testing.assert_array_equal(read_fits(cube_bytes(PLANE) + b"junk" * 99, BOUNDS)["0"], PLANE)


def with_card(content: bytes, keyword: str, value: str) -> bytes:
    """A file with another value in its first header."""
    changed = bytearray(content)
    at = content.index(keyword.ljust(8).encode() + b"=")
    changed[at : at + 80] = f"{keyword:8}= {value:>20}".ljust(80).encode()
    return bytes(changed)


GOOD = cube_bytes(PLANE)
PACKED = file_bytes(fits.CompImageHDU(random_array((20, 24), "i2")))
HCOMPRESSED = file_bytes(fits.CompImageHDU(PLANE, compression_type="HCOMPRESS_1"))
TABLE = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])], name="CAT")


@pytest.mark.parametrize(
    ("content", "hdus", "reason"),
    [
        (b"SIMPLE  =                    T", [], "a truncated FITS file: 30 bytes"),
        (GOOD[:2880], [], "a truncated FITS file: 2880 of 5280 bytes"),
        (GOOD[:5000], [], "a truncated FITS file: 5000 of 5280 bytes"),
        (GOOD, ["sci"], "no HDU 'sci': HDUs 0 PRIMARY (30 x 20)"),
        (file_bytes(TABLE), ["cat"], "no image in HDU 'cat': HDUs 0 PRIMARY (no data), 1 CAT (no"),
        (file_bytes(TABLE), [], "a FITS file without an image: HDUs 0 PRIMARY (no data), 1 CAT"),
        (file_bytes(fits.PrimaryHDU()), [], "a FITS file without an image: HDUs 0 PRIMARY (no da"),
        (file_bytes(image_hdu(PLANE, "WHT")), [], "a FITS file without an image"),
        (cube_bytes(np.zeros(9)), [], "neither a plane nor a cube of planes: 9"),
        (cube_bytes(np.zeros((2, 1, 3, 4))), [], "neither a plane nor a cube of planes: 4 x 3"),
        (with_card(GOOD, "NAXIS1", "30000"), [], "a truncated FITS file: 5760 of 2402880 bytes"),
        (with_card(GOOD, "NAXIS1", "300000"), [], "more than max_image_px=1000000 pixels: 300000"),
        (with_card(GOOD, "NAXIS1", "-3"), [], "a damaged FITS header: axes of [-3, 20]"),
        (with_card(GOOD, "NAXIS1", "3_0"), [], "a damaged FITS header: NAXIS1 is '3_0'"),
        (with_card(GOOD, "NAXIS1", "T"), [], "a damaged FITS header: NAXIS1 is 'T'"),
        (with_card(GOOD, "NAXIS", "99999999"), [], "a damaged FITS header: NAXIS = 99999999"),
        (with_card(GOOD, "BITPIX", "7"), [], "a damaged FITS"),
        (GOOD.replace(b"BITPIX", b"BITBIX"), [], "a damaged FITS header: BITPIX is missing"),
        (
            with_card(cube_bytes(np.zeros((9, 9, 9))), "NAXIS3", "9" * 18),
            [],
            f"more than max_image_px=1000000 pixels: 9 x 9 x {'9' * 18}",
        ),
        (cube_bytes(np.zeros((400, 51, 50), "u1")), [], "more than max_image_px=1000000 pixels: 5"),
        (gzip.compress(GOOD, mtime=0)[:-300], [], "a truncated gzip file"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), [], "a damaged gzip file"),
        (
            HCOMPRESSED,
            [],
            "FITS compression other than GZIP_1, GZIP_2, NOCOMPRESS, RICE_1, RICE_ON",
        ),
        (with_card(PACKED, "ZVAL1", "40"), [], "a damaged FITS header: BLOCKSIZE of Rice is 40"),
        (gzip.compress(b"junk" * 99, mtime=0), [], "a gzip file without FITS"),
    ],
)
def test_read_fits__says_why_it_refuses(content: bytes, hdus: list[str], reason: str) -> None:
    with pytest.raises(ImageRejectedError) as refusal:
        read_fits(content, BOUNDS, hdus)
    assert str(refusal.value).startswith(reason)


def test_read_fits__refuses_a_small_image() -> None:
    with pytest.raises(ImageRejectedError, match="smaller than min_side_px=21: 30 x 20"):
        read_fits(GOOD, ImageBounds(1_000_000, 21))


def test_read_fits__refuses_bombs_before_unpacking_them() -> None:
    header = with_card(with_card(GOOD, "NAXIS1", "20000"), "NAXIS2", "20000")[:2880]
    bomb = gzip.compress(header + bytes(50_000_000), 9)
    with pytest.raises(ImageRejectedError, match="more than max_image_px=1000000 pixels"):
        read_fits(bomb, BOUNDS)
    with pytest.raises(ImageRejectedError, match="more than max_image_px=1000000 pixels"):
        read_fits(gzip.compress(GOOD[:2880] + bytes(50_000_000), 9), BOUNDS)
    tiles = bytearray(file_bytes(fits.CompImageHDU(random_array((20, 24), "i2"))))
    at = tiles.index(b"ZNAXIS1 =")
    tiles[at : at + 30] = b"ZNAXIS1 =           2000000000"
    with pytest.raises(ImageRejectedError, match="more than max_image_px=1000000 pixels"):
        read_fits(bytes(tiles), BOUNDS)


@pytest.mark.filterwarnings("ignore")
def test_read_fits__survives_damage_anywhere() -> None:
    generator = np.random.default_rng(4)
    small = random_array((20, 24), "i2")
    whole = [cube_bytes(small), file_bytes(fits.CompImageHDU(small)), gzip.compress(GOOD)]
    n_rejected = 0
    for trial in range(240):
        content = bytearray(whole[trial % len(whole)])
        for at in generator.integers(0, len(content), 4):
            content[at] = generator.integers(32, 127) if trial % 2 else generator.integers(256)
        try:
            read_fits(bytes(content)[: generator.integers(1, 2 * len(content))], BOUNDS)
        except ImageRejectedError:
            n_rejected += 1
    assert 50 < n_rejected < 240
