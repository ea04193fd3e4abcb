"""Draw simulated galaxies of every kind on one sheet.

python examples/contact_sheet.py --out simulated_galaxies.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from galaxyloop.synthetic import KINDS, SimulationConfig, draw_galaxy_of_kind, expose_galaxy

_GREY_STEP = 12

Sheet = UInt8[np.ndarray, "y x band"]


def draw_sheet(config: SimulationConfig, n_columns: int) -> Sheet:
    """One row a kind, its name in a strip above the row."""
    rows = []
    for place, kind in enumerate(KINDS):
        images = []
        for column in range(n_columns):
            structure = np.random.default_rng([config.seed, place, column, 0])
            exposure = np.random.default_rng([config.seed, place, column, 1])
            galaxy = draw_galaxy_of_kind(kind, structure)
            images.append(expose_galaxy(galaxy, config, structure, exposure))
        rows += [draw_caption(kind, n_columns * config.image_size_px), np.hstack(images)]
    return np.vstack(rows)


def draw_caption(text: str, width_px: int) -> Sheet:
    """Light letters on a dark strip."""
    strip = np.full((18, width_px, 3), 24, np.uint8)
    colour = (225, 225, 225)
    cv2.putText(strip, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return strip


def main() -> None:
    """Read the arguments, write the sheet, say where."""
    parser = argparse.ArgumentParser(description="Draw simulated galaxies of every kind.")
    parser.add_argument("--out", type=Path, default=Path("simulated_galaxies.png"))
    parser.add_argument("--columns", type=int, default=10, help="galaxies a kind")
    parser.add_argument("--size", type=int, default=96, help="side of an image in pixels")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = SimulationConfig(seed=arguments.seed, image_size_px=arguments.size)
    sheet = draw_sheet(config, arguments.columns)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    # Noise does not compress; coarser grey levels hide in it and halve the file.
    stepped = sheet // _GREY_STEP * _GREY_STEP
    settings = [
        cv2.IMWRITE_PNG_COMPRESSION,
        9,
        cv2.IMWRITE_PNG_FILTER,
        cv2.IMWRITE_PNG_FILTER_PAETH,
    ]
    if not cv2.imwrite(str(arguments.out), stepped[..., ::-1], settings):
        raise SystemExit(f"{arguments.out} could not be written; choose a name ending in .png")
    print(f"{len(KINDS)} kinds x {arguments.columns} galaxies: {arguments.out.resolve()}")


if __name__ == "__main__":
    main()
