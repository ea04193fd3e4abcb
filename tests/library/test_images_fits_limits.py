"""How much of a FITS file is read, and how often."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from galaxyloop.images import ImageBounds, ImageRejectedError
from galaxyloop.images.fits import read_fits
from tests.library.fits_files import cube_bytes, file_bytes, image_hdu, random_array

BOUNDS = ImageBounds(max_image_px=1_000_000, min_side_px=1)
PLANE = random_array((20, 30), "f4")
GOOD = cube_bytes(PLANE)


def test_read_fits__refuses_too_much_in_many_hdus_together() -> None:
    names = [f"B{i}" for i in range(40)]
    zeros = [fits.CompImageHDU(np.zeros((200, 200), "i2"), name=name) for name in names]
    content = file_bytes(*zeros)
    with pytest.raises(ImageRejectedError, match="max_image_px=1000000 pixels: 1600000 in 40 HDUs"):
        read_fits(content, BOUNDS)
    assert list(read_fits(content, BOUNDS, names[:25])) == names[:25]
    unit = file_bytes(image_hdu(PLANE, "A"))[2880:]
    empty = file_bytes(fits.PrimaryHDU())
    assert list(read_fits(empty + 999 * unit, BOUNDS)) == ["A"]
    with pytest.raises(ImageRejectedError, match="a FITS file of more than 1000 HDUs"):
        read_fits(empty + 1000 * unit, BOUNDS)
    with pytest.raises(ImageRejectedError, match="a cube of more than 1000 planes: 1001"):
        read_fits(cube_bytes(np.zeros((1001, 2, 2), "u1")), BOUNDS)


def test_read_fits__astropy_opens_a_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    n_opened = 0
    astropys = fits.open

    def counting(*args: object, **options: object) -> fits.HDUList:
        nonlocal n_opened
        n_opened += 1
        return astropys(*args, **options)

    monkeypatch.setattr(fits, "open", counting)
    arrays = {name: random_array((20, 24), "i2", seed) for seed, name in enumerate("ABC")}
    content = file_bytes(*(fits.CompImageHDU(array, name=n) for n, array in arrays.items()))
    for name, plane in read_fits(content, BOUNDS).items():
        np.testing.assert_array_equal(plane, arrays[name])
    assert n_opened == 1


def test_read_fits__gzip_members_neither_hide_a_bomb_nor_take_for_ever() -> None:
    many = gzip.compress(GOOD) + gzip.compress(b"") * 20_000
    with pytest.raises(ImageRejectedError, match="over 10000 members"):
        read_fits(many, BOUNDS)
    million = gzip.compress(bytes(1_000_000), 9)
    with pytest.raises(ImageRejectedError, match="over 9000000 bytes out of"):
        read_fits(gzip.compress(GOOD) + million * 20, BOUNDS)
