"""Draw one simulated galaxy under every colour preset.

The bands are FITS images in nanomaggies, with noise about a wide survey's, and are read as any
others are.

python examples/colour_presets.py --out colour_presets.png
"""

import argparse
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from astropy.io import fits
from jaxtyping import Float32, UInt8

from galaxyloop.image_files import ImagePart
from galaxyloop.images import COLOUR_PRESETS, ColourConfig, ImageBounds, decode_image
from galaxyloop.synthetic.galaxies import draw_galaxy_of_kind
from galaxyloop.synthetic.light import paint_galaxy
from galaxyloop.synthetic.sky import add_field, blur_by_seeing

Plane = Float32[np.ndarray, "y x"]
Sheet = UInt8[np.ndarray, "y x band"]

NOISE = {"g": 0.0020, "r": 0.0035, "i": 0.0048, "z": 0.0060}
"""Standard deviation in a pixel [nanomaggies]."""
BRIGHTNESS = np.float32(3)
_STEP = 8
HSC_UNIT = 10 ** ((27 - 22.5) / 2.5)
EUCLID_UNITS = {"VIS": 1.5, "NIR_Y": 100.0}
"""Counts a nanomaggy, so that the recipe bends the curve at about the noise."""
SETTINGS = {
    "grey": {"bands": ["r"]},
    "lupton": {"bands": ["g", "r", "z"], "scales": [6.0, 3.4, 2.2], "stretch": 0.3, "q": 10.0},
    "auto": {"bands": ["g", "r", "z"]},
}
"""What a preset needs to be told of these bands."""


def observe_bands(side_px: int, seed: int) -> dict[str, Plane]:
    """A barred spiral with its neighbours in every band that a preset asks for."""
    structure = np.random.default_rng([seed, 0])
    exposure = np.random.default_rng([seed, 1])
    galaxy = draw_galaxy_of_kind("barred", structure)
    light = BRIGHTNESS * paint_galaxy(galaxy, side_px, structure)
    add_field(light, exposure)
    red, middle, blue = np.moveaxis(blur_by_seeing(light, 3.0), 2, 0)
    colours = {"g": blue, "r": middle, "i": (middle + red) / 2, "z": red}
    planes = {}
    for band, colour in colours.items():
        noise = exposure.standard_normal(colour.shape, dtype=np.float32)
        planes[band] = np.float32(NOISE[band]) * (colour + noise)
    planes["VIS"] = np.float32(EUCLID_UNITS["VIS"] / 2) * (planes["r"] + planes["i"])
    planes["NIR_Y"] = np.float32(EUCLID_UNITS["NIR_Y"]) * planes["z"]
    return planes


def write_fits(planes: dict[str, Plane]) -> bytes:
    """One file with an HDU a band."""
    file = BytesIO()
    units = [fits.ImageHDU(plane, fits.Header({"BAND": band})) for band, plane in planes.items()]
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(file)
    return file.getvalue()


def draw_presets(planes: dict[str, Plane], n_columns: int) -> Sheet:
    """The galaxy under each preset, its name in a strip above."""
    bounds = ImageBounds(max_image_px=10_000_000, min_side_px=32)
    tiles = []
    for preset in COLOUR_PRESETS:
        unit = np.float32(HSC_UNIT if preset.startswith("hsc") else 1)
        content = write_fits({band: unit * plane for band, plane in planes.items()})
        colour = ColourConfig.from_dict({"preset": preset, **SETTINGS.get(preset, {})})
        image = decode_image([ImagePart("", content)], bounds, colour)
        tiles.append(np.vstack([draw_caption(preset, image.shape[1]), image]))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % n_columns)
    rows = [np.hstack(tiles[i : i + n_columns]) for i in range(0, len(tiles), n_columns)]
    return np.vstack(rows)


def draw_caption(text: str, width_px: int) -> Sheet:
    """Light letters on a dark strip."""
    strip = np.full((20, width_px, 3), 24, np.uint8)
    colour = (225, 225, 225)
    cv2.putText(strip, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return strip


def main() -> None:
    """Read the arguments, write the sheet, say where."""
    parser = argparse.ArgumentParser(description="Draw a galaxy under every colour preset.")
    parser.add_argument("--out", type=Path, default=Path("colour_presets.png"))
    parser.add_argument("--size", type=int, default=160, help="side of an image in pixels")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    sheet = draw_presets(observe_bands(arguments.size, arguments.seed), n_columns=5)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    # Noise does not compress; coarser levels hide in it and halve the file.
    stepped = sheet // _STEP * _STEP
    if not cv2.imwrite(str(arguments.out), stepped[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise SystemExit(f"{arguments.out} could not be written; choose a name ending in .png")
    print(f"{len(COLOUR_PRESETS)} presets: {arguments.out.resolve()}")


if __name__ == "__main__":
    main()
