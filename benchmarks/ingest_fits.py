"""Reading FITS images and mixing their colours, against astropy doing the same."""

from io import BytesIO

import numpy as np
from astropy.io import fits
from astropy.visualization import make_lupton_rgb

from benchmarks.harness import (
    Gate,
    Ratio,
    at_least,
    at_most,
    finish,
    parse_arguments,
    time_pairs,
)
from galaxyloop.image_files import ImagePart
from galaxyloop.images import ColourConfig, ImageBounds, decode_image
from galaxyloop.images.fits import read_fits

SIDE_PX = 128
BOUNDS = ImageBounds(max_image_px=100_000_000, min_side_px=32)
LUPTON = ColourConfig(preset="lupton", stretch=0.5, q=8.0)
SPEED_GATES = {"read_fits_over_astropy": 4.0, "decode_image_over_astropy": 1.0}


def write_cubes(n_images: int) -> list[bytes]:
    """Plain FITS cubes in g, r and z, as cutout services give them."""
    generator = np.random.default_rng(0)
    radius = np.hypot(*np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j])
    cubes = []
    for _ in range(n_images):
        light = np.exp(-radius / generator.uniform(0.05, 0.4)) * generator.uniform(1, 3, (3, 1, 1))
        noise = generator.normal(0, 0.02, (3, SIDE_PX, SIDE_PX))
        file = BytesIO()
        header = fits.Header({"BANDS": "grz"})
        fits.PrimaryHDU((light + noise).astype(np.float32), header).writeto(file)
        cubes.append(file.getvalue())
    return cubes


def mixed_by_astropy(cube: bytes) -> np.ndarray:
    """The usual two calls, turned as a picture is."""
    blue, green, red = fits.getdata(BytesIO(cube))
    return make_lupton_rgb(red, green, blue, stretch=LUPTON.stretch, Q=LUPTON.q)[::-1]


def mixed_here(cube: bytes) -> np.ndarray:
    """The same, with every check."""
    return decode_image([ImagePart("", cube)], BOUNDS, LUPTON)


def largest_differences(cubes: list[bytes]) -> tuple[float, int]:
    """From astropy's fluxes, and from its colours in levels of 255."""
    of_flux, of_colour = 0.0, 0
    for cube in cubes:
        planes = np.stack(list(read_fits(cube, BOUNDS).values()))
        of_flux = max(of_flux, float(np.abs(planes - fits.getdata(BytesIO(cube))).max()))
        levels = mixed_here(cube).astype(int) - mixed_by_astropy(cube)
        of_colour = max(of_colour, int(np.abs(levels).max()))
    return of_flux, of_colour


def figures(quick: bool) -> tuple[dict[str, object], list[Gate]]:
    """Ratios and the gates on them."""
    n_images, n_rounds = (60, 5) if quick else (300, 9)
    cubes = write_cubes(n_images)
    of_flux, of_colour = largest_differences(cubes[:20])
    ratios: dict[str, Ratio] = {
        "read_fits_over_astropy": time_pairs(
            lambda: [fits.getdata(BytesIO(cube)) for cube in cubes],
            lambda: [read_fits(cube, BOUNDS) for cube in cubes],
            n_rounds,
        ),
        "decode_image_over_astropy": time_pairs(
            lambda: [mixed_by_astropy(cube) for cube in cubes],
            lambda: [mixed_here(cube) for cube in cubes],
            n_rounds,
        ),
    }
    told: dict[str, object] = {"n_fits_images": n_images, "fits_side_px": SIDE_PX, **ratios}
    seconds = ratios["read_fits_over_astropy"].candidate_s
    told["fits_images_read_per_second"] = n_images / seconds
    seconds = ratios["decode_image_over_astropy"].candidate_s
    told["fits_images_decoded_per_second"] = n_images / seconds
    gates = [at_least(name, ratios[name].median, bound) for name, bound in SPEED_GATES.items()]
    gates.append(at_most("largest_difference_of_flux_from_astropy", of_flux, 0))
    gates.append(at_most("largest_difference_of_colour_from_astropy_levels", of_colour, 1))
    return told, gates


def main() -> None:
    """Time, compare, judge."""
    arguments = parse_arguments(__doc__)
    finish("ingest_fits", *figures(arguments.quick), arguments)


if __name__ == "__main__":
    main()
