"""From the files of an image to RGB pixels."""

import re
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32

from galaxyloop.image_files import ImagePart
from galaxyloop.images.bounds import ImageBounds, ImageRejectedError, Pixels
from galaxyloop.images.colour import ColourConfig
from galaxyloop.images.curves import Recipe, mix_colours, to_flux
from galaxyloop.images.fits import Plane, is_fits, read_fits
from galaxyloop.images.pictures import decode_rgb, is_picture, not_an_image

_BLUE_TO_RED = ("u", "g", "r", "vis", "i", "z", "y", "j", "h", "k", "ks")


def decode_image(
    parts: Sequence[ImagePart], bounds: ImageBounds, colour: ColourConfig, wanted_px: int = 0
) -> Pixels:
    """Decode the files of one image to 8-bit RGB.

    FITS counts rows from the bottom, pictures from the top. FITS images are turned upside down,
    so that a galaxy stands as in its survey's JPEG.

    Args:
        parts: the image's one file, or one a band.
        bounds: what it may measure.
        colour: how FITS bands become colours; JPEG and PNG do not look at it.
        wanted_px: the shorter side that is enough [px], of which ``decode_rgb`` tells; 0 decodes
            whole, as FITS and PNG always are.

    Raises:
        ImageRejectedError: no image, damaged, truncated, too large or too small, a band is
            missing or has too little data.
    """
    if len(parts) == 1 and not is_fits(parts[0].content):
        return decode_rgb(parts[0].content, bounds, wanted_px)
    recipe = colour.recipe
    planes = _read_bands(parts, bounds, colour, recipe)
    sizes = {plane.shape for plane in planes.values()}
    if len(sizes) > 1:
        told = ", ".join(f"{name} {p.shape[1]} x {p.shape[0]}" for name, p in planes.items())
        raise ImageRejectedError("bands of different sizes", told)
    scales = recipe.scales or (1.0,) * len(planes)
    flux = np.stack(
        [
            _checked_flux(name, plane, scale, colour)
            for (name, plane), scale in zip(planes.items(), scales, strict=True)
        ]
    )
    if not (flux > 0).any():
        raise ImageRejectedError("no pixel above zero", f"bands {', '.join(planes)}")
    rgb = mix_colours(flux, recipe)
    levels = cv2.convertScaleAbs(rgb.reshape(-1, rgb.shape[2]), alpha=255).reshape(rgb.shape)
    return np.asarray(cv2.flip(cv2.merge(list(levels)), 0))


def _checked_flux(
    name: str, plane: Plane, scale: float, colour: ColourConfig
) -> Float32[np.ndarray, "y x"]:
    """A band's scaled flux, if it has data in enough pixels."""
    flux = to_flux(plane, scale)
    if plane.dtype.kind == "f":
        n_missing = flux.size - int(np.count_nonzero(flux))
        if np.isnan(flux.min()):
            n_missing += int(np.count_nonzero(np.isnan(flux)))
        share = n_missing / plane.size
        if share > colour.max_missing_share:
            raise ImageRejectedError(
                f"more than max_missing_share={colour.max_missing_share:g} of a band without data",
                f"{share:.3g} of band {name}",
            )
        if n_missing and colour.recipe.looks_at_image:
            # A survey's edge is no sky: zeros would shift its level.
            flux[flux == 0] = np.nan
    return flux


def _read_bands(
    parts: Sequence[ImagePart], bounds: ImageBounds, colour: ColourConfig, recipe: Recipe
) -> dict[str, Plane]:
    """The planes of the recipe's bands, blue to red."""
    if len(parts) == 1:
        return _of_one_file(parts[0], bounds, colour, recipe)
    pictures = [part.band for part in parts if is_picture(part.content)]
    if pictures:
        raise ImageRejectedError(
            "a JPEG or PNG a band; give one file, or FITS", f"bands {', '.join(pictures)}"
        )
    names = _pick_bands([part.band for part in parts], recipe)
    files = {part.band: (i, part) for i, part in enumerate(parts)}
    planes = {}
    for name in names:
        place, part = files[name]
        hdus = colour.hdus
        if len(hdus) > 1:
            if len(hdus) != len(parts):
                raise ImageRejectedError("colour.hdus are neither one nor one a file", str(hdus))
            hdus = [hdus[place]]
        planes[name] = _only_plane(part, bounds, hdus)
    return planes


def _of_one_file(
    part: ImagePart, bounds: ImageBounds, colour: ColourConfig, recipe: Recipe
) -> dict[str, Plane]:
    """The bands of a cube, or of an HDU each."""
    planes = _read_part(part, bounds, colour.hdus)
    is_named_by_place = len(colour.hdus) > 1 and len(colour.hdus) == len(recipe.bands)
    if is_named_by_place and len(planes) == len(recipe.bands):
        return dict(zip(recipe.bands, planes.values(), strict=True))
    return {name: planes[name] for name in _pick_bands(list(planes), recipe)}


def _only_plane(part: ImagePart, bounds: ImageBounds, hdus: Sequence[str]) -> Plane:
    """The one plane of a band's own file, or the one that bears the band's name."""
    planes = _read_part(part, bounds, hdus)
    if part.band in planes:
        return planes[part.band]
    if len(planes) > 1:
        raise ImageRejectedError(
            "several planes in the file of one band; name one in colour.hdus",
            f"band {part.band}: {', '.join(planes)}",
        )
    return next(iter(planes.values()))


def _read_part(part: ImagePart, bounds: ImageBounds, hdus: Sequence[str]) -> dict[str, Plane]:
    """The planes of a file, which may be no FITS after all."""
    if not is_fits(part.content):
        raise not_an_image(part.content)
    return read_fits(part.content, bounds, hdus)


def _pick_bands(names: list[str], recipe: Recipe) -> list[str]:
    """Which of the bands there are the recipe wants, blue to red."""
    if recipe.bands:
        return _find_bands(recipe.bands, names)
    if len(names) > recipe.max_bands:
        raise ImageRejectedError(
            f"more than {recipe.max_bands} bands; name them in colour.bands",
            f"bands are {', '.join(names[:26])}",
        )
    letters = [_letter(name) for name in names]
    if all(letters) and len(set(letters)) == len(names):
        order = sorted(range(len(names)), key=lambda i: _BLUE_TO_RED.index(letters[i]))
        return [names[i] for i in order]
    return names


def _find_bands(wanted: Sequence[str], names: list[str]) -> list[str]:
    """The bands of those names, each another one."""
    takers: dict[str, str] = {}
    for band in wanted:
        name = _find_band(band, names)
        if name in takers:
            raise ImageRejectedError(
                "two of colour.bands are one band of the image",
                f"{takers[name]}, {band} are {name}",
            )
        takers[name] = band
    return list(takers)


def _find_band(wanted: str, names: list[str]) -> str:
    """The band of that name: as written, but for case, or of the same letter (HSC-G is g)."""
    if wanted in names:
        return wanted
    for simplify in (str.casefold, _letter):
        found = [name for name in names if simplify(name) == simplify(wanted) != ""]
        if len(found) == 1:
            return found[0]
    raise ImageRejectedError(
        f"no band '{wanted}'; name the bands in colour.bands", f"bands are {', '.join(names[:26])}"
    )


def _letter(name: str) -> str:
    """The known band that a filter's name ends in, without a version: HSC-R2 is r, W1 is none."""
    word = re.split(r"[^a-z0-9]+", name.casefold())[-1]
    letter = word[0] if re.fullmatch(r"[a-z][0-9]", word) else word
    return letter if letter in _BLUE_TO_RED else ""
