"""FITS images to planes by name.

Plain arrays are read here, several times faster than astropy does; astropy reads scaled, blanked
and compressed ones.
"""

import math
import re
import struct
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Num, Shaped

from galaxyloop.images.bounds import ImageBounds, ImageRejectedError, check_size
from galaxyloop.images.fits_headers import HeaderUnit, describe_units, read_headers
from galaxyloop.images.gzip_files import FITS_START, GZIP_START, unpack_gzip

Plane = Num[np.ndarray, "y x"]
_Planes = Num[np.ndarray, "band y x"]

_MAX_PLANES = 1000
_KINDS = {
    bits: np.dtype(kind)
    for bits, kind in ((8, "u1"), (16, ">i2"), (32, ">i4"), (64, ">i8"), (-32, ">f4"), (-64, ">f8"))
}
_UNSCALED = {b"BSCALE  ": 1.0, b"BZERO   ": 0.0}
_BAND_KEYWORDS = (b"BAND    ", b"FILTER  ", b"EXTNAME ")
_NO_BANDS = {"", "primary", "image", "sci", "science", "data", "compressed_image"}
_SIDE_PRODUCTS = {
    *("invvar", "ivar", "var", "variance", "err", "error", "rms", "sigma", "unc", "noise"),
    *("weight", "wht", "wgt", "mask", "maskbits", "dq", "flag", "flags", "quality"),
    *("exp", "exposure", "nexp", "ctx", "con", "psf", "area", "bkg", "background"),
}
_COMPRESSIONS = {"RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "NOCOMPRESS"}
_RICE_SETTINGS = {"BLOCKSIZE": {"16", "32"}, "BYTEPIX": {"1", "2", "4"}}
_ASTROPY_ERRORS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError, struct.error, zlib.error),
)


def is_fits(content: bytes) -> bool:
    """Whether bytes begin like a FITS file, or like a packed file that may be one."""
    return content.startswith((FITS_START, GZIP_START))


def read_fits(content: bytes, bounds: ImageBounds, hdus: Sequence[str] = ()) -> dict[str, Plane]:
    """Every image plane of a FITS file, in the file's order, row 0 first as stored.

    A plane is an image HDU, or a layer of a cube ``(band, y, x)``. A cube's header names the
    layers by ``BANDS`` (``"grz"``) or ``BAND0``, ``BAND1`` ...; an image is named by ``BAND``,
    ``FILTER`` or ``EXTNAME``; a plane without a name gets its place among the planes, from 0.
    Of planes of one name the first counts. Unless ``hdus`` asks for them, HDUs named like a
    variance, a weight, a mask or the like are left aside.

    Values and types are those that ``astropy.io.fits`` gives, plain arrays in FITS's byte order
    and without a copy, so read-only.

    Args:
        content: a FITS file, plain, with compressed HDUs, or packed by gzip.
        bounds: checked on the headers, before anything is unpacked; ``max_image_px`` holds for
            all planes together.
        hdus: names or numbers of the HDUs to read; none takes all that hold an image.

    Raises:
        ImageRejectedError: no image, damaged, truncated, too large or too small.
    """
    if content.startswith(GZIP_START):
        content = unpack_gzip(content, bounds)
    layers = _name_planes(_pick(read_headers(content), hdus), bounds, is_asked_for=bool(hdus))
    _check_data(content, [unit for unit, _ in layers], bounds)
    planes: dict[str, Plane] = {}
    with _AstropyFile(content) as file:
        for unit, names in layers:
            values = _read_plain(content, unit) if _is_plain(unit) else file.read(unit)
            cube: _Planes = values.reshape(-1, *unit.shape[-2:])
            for name, plane in zip(names, cube, strict=True):
                planes.setdefault(name, plane)
    return planes


def _name_planes(
    units: Sequence[HeaderUnit], bounds: ImageBounds, *, is_asked_for: bool
) -> list[tuple[HeaderUnit, list[str]]]:
    """The HDUs that have a plane of a new name, with the names of all their planes."""
    layers = []
    taken: set[str] = set()
    n_planes = 0
    for unit in units:
        _check_shape(unit, bounds)
        names = _plane_names(unit, n_planes)
        places = [str(n_planes + i) for i in range(len(names))]
        n_planes += len(names)
        if is_asked_for:
            pairs = zip(names, places, strict=True)
            names = [place if name in taken else name for name, place in pairs]
        if not taken.issuperset(names):
            layers.append((unit, names))
            taken.update(names)
    return layers


def _pick(units: list[HeaderUnit], hdus: Sequence[str]) -> list[HeaderUnit]:
    """The HDUs asked for, in that order, or all that look like the image."""
    if not hdus:
        images = [unit for unit in units if unit.shape and not _is_side_product(unit)]
        if not images:
            raise ImageRejectedError("a FITS file without an image", describe_units(units))
        return images
    picked = []
    for wanted in hdus:
        found = [unit for unit in units if _is_called(unit, wanted)]
        if not found:
            raise ImageRejectedError(f"no HDU '{wanted}'", describe_units(units))
        if not found[0].shape:
            raise ImageRejectedError(f"no image in HDU '{wanted}'", describe_units(units))
        picked.append(found[0])
    return picked


def _is_called(unit: HeaderUnit, wanted: str) -> bool:
    """Whether this is the HDU of that number or name; names do not heed upper and lower case."""
    if wanted.isdecimal():
        return unit.index == int(wanted)
    return unit.name.casefold() == wanted.casefold()


def _is_side_product(unit: HeaderUnit) -> bool:
    """Whether a header says that these are no fluxes."""
    told = " ".join(unit.text(keyword) for keyword in (b"EXTNAME ", b"IMAGETYP", b"IMTYPE  "))
    return not _SIDE_PRODUCTS.isdisjoint(re.split(r"[^a-z]+", told.casefold()))


def _plane_names(unit: HeaderUnit, n_before: int) -> list[str]:
    """Name of each plane of an HDU; its place if the header has none."""
    n_planes = unit.shape[-3] if len(unit.shape) > 2 else 1
    if n_planes > 1 or b"BANDS   " in unit.cards or b"BAND0   " in unit.cards:
        letters = unit.text(b"BANDS   ")
        names = re.split(r"[\s,]+", letters) if re.search(r"[\s,]", letters) else list(letters)
        numbered = [unit.text(b"BAND%d" % i + b" " * (4 - len(str(i)))) for i in range(n_planes)]
        for found in (numbered, names):
            if all(found) and len(set(found)) == n_planes:
                return found
    elif n_planes == 1:
        for name in (unit.text(keyword) for keyword in _BAND_KEYWORDS):
            if name.casefold() not in _NO_BANDS:
                return [name]
    return [str(n_before + i) for i in range(n_planes)]


def _check_shape(unit: HeaderUnit, bounds: ImageBounds) -> None:
    """Whether an HDU is a plane or a cube of planes, neither too large nor too many."""
    *more, height, width = unit.shape if len(unit.shape) > 1 else (0, 0, 0)
    if not width or any(length > 1 for length in more[:-1]):
        axes = " x ".join(str(length) for length in reversed(unit.shape))
        raise ImageRejectedError("neither a plane nor a cube of planes", axes)
    check_size((width, height), bounds)
    if math.prod(unit.shape) > bounds.max_image_px:
        size = f"{width} x {height} x {more[-1]}"
        raise ImageRejectedError(f"more than max_image_px={bounds.max_image_px} pixels", size)
    if more and more[-1] > _MAX_PLANES:
        raise ImageRejectedError(f"a cube of more than {_MAX_PLANES} planes", str(more[-1]))


def _check_data(content: bytes, units: Sequence[HeaderUnit], bounds: ImageBounds) -> None:
    """Whether what the headers promise fits all together, and is there."""
    n_px = sum(math.prod(unit.shape) for unit in units)
    if n_px > bounds.max_image_px:
        told = f"{n_px} in {len(units)} HDUs"
        raise ImageRejectedError(f"more than max_image_px={bounds.max_image_px} pixels", told)
    for unit in units:
        if unit.end > len(content):
            missing = f"{len(content)} of {unit.end} bytes"
            raise ImageRejectedError("a truncated FITS file", missing)
        _check_compression(unit)


def _check_compression(unit: HeaderUnit) -> None:
    """Let through only what astropy's decoders survive however damaged the tiles are.

    They trust a damaged HCOMPRESS or PLIO tile, and odd settings of Rice's, to the point of
    writing past their memory or never returning.
    """
    if not unit.is_compressed:
        return
    method = unit.text(b"ZCMPTYPE")
    if method not in _COMPRESSIONS:
        known = ", ".join(sorted(_COMPRESSIONS))
        raise ImageRejectedError(f"FITS compression other than {known}; unpack it", method)
    for keyword in [keyword for keyword in unit.cards if keyword.startswith(b"ZNAME")]:
        name = unit.text(keyword).upper()
        value = unit.text((b"ZVAL" + keyword[5:]).ljust(8)[:8])
        if value not in _RICE_SETTINGS.get(name, {value}):
            raise ImageRejectedError("a damaged FITS header", f"{name} of Rice is {value}")


def _is_plain(unit: HeaderUnit) -> bool:
    """Whether the numbers on disk are the values."""
    if unit.is_compressed or unit.bitpix not in _KINDS or b"BLANK   " in unit.cards:
        return False
    try:
        return all(float(unit.text(k) or plain) == plain for k, plain in _UNSCALED.items())
    except ValueError:
        return False


def _read_plain(content: bytes, unit: HeaderUnit) -> Shaped[np.ndarray, "..."]:
    """The numbers where they lie."""
    kind = _KINDS[unit.bitpix]
    return np.frombuffer(content, kind, math.prod(unit.shape), unit.start)


class _AstropyFile:
    """Scaled, blanked and compressed values of a file, which astropy opens at most once."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._stack = ExitStack()
        self._hdus: Any = None

    def __enter__(self) -> "_AstropyFile":
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened."""
        self._stack.close()

    def read(self, unit: HeaderUnit) -> Shaped[np.ndarray, "..."]:
        """The values of one HDU."""
        from astropy.io import fits  # here: it takes most of a second

        try:
            if self._hdus is None:
                file = fits.open(BytesIO(self.content), memmap=False)
                self._hdus = self._stack.enter_context(file)
            values = np.asarray(self._hdus[unit.index].data)
            if values.shape != unit.shape:
                raise ValueError(f"{values.shape} instead of {unit.shape}")
        except (*_ASTROPY_ERRORS, *_unpacking_errors(), fits.VerifyError) as error:
            told = " ".join(str(error).split())
            raise ImageRejectedError("a damaged FITS file", f"HDU {unit.index}: {told}") from error
        return values


def _unpacking_errors() -> tuple[type[Exception], ...]:
    """What astropy's decompression of tiles raises; astropy has no public name for it."""
    try:
        from astropy.io.fits.hdu.compressed._compression import CfitsioException
    except ImportError:
        return ()
    return (CfitsioException,)
