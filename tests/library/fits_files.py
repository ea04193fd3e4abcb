"""FITS files made for tests, good and bad."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.io import fits

KINDS = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}


def random_array(shape: Sequence[int], kind: str, seed: int = 0) -> np.ndarray:
    """Numbers over the whole range of integers, or normal ones."""
    generator = np.random.default_rng(seed)
    if np.dtype(kind).kind == "f":
        return generator.normal(3.0, 10.0, shape).astype(kind)
    limits = np.iinfo(kind)
    return generator.integers(limits.min, limits.max, shape, kind, endpoint=True)


def file_bytes(*hdus: fits.hdu.base._BaseHDU) -> bytes:
    """The HDUs as a file; an extension first gets an empty primary before it."""
    units = list(hdus)
    if not isinstance(units[0], fits.PrimaryHDU):
        units.insert(0, fits.PrimaryHDU())
    file = io.BytesIO()
    fits.HDUList(units).writeto(file)
    return file.getvalue()


def cube_bytes(planes: np.ndarray, header: Mapping[str, object] | None = None) -> bytes:
    """An array as primary HDU, with further keywords."""
    return file_bytes(fits.PrimaryHDU(planes, fits.Header(dict(header or {}))))


def image_hdu(plane: np.ndarray, name: str = "", **header: object) -> fits.ImageHDU:
    """An extension."""
    return fits.ImageHDU(plane, fits.Header(header), name or None)


def galaxy_planes(n_bands: int = 3, side: int = 48, seed: int = 0) -> np.ndarray:
    """A round galaxy off the centre, brighter band by band, over noise."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    light = 20 * np.exp(-np.hypot(x - side * 0.3, y - side * 0.6) / (side * 0.12))
    colours = np.arange(1, n_bands + 1)[:, None, None]
    noise = generator.normal(0, 0.2, (n_bands, side, side))
    return (light * colours + noise).astype(np.float32)
