"""Adapter: a folder of real galaxies to the inputs of ``campaign_round``, in two arms.

The folder holds ``gz2_s82_counts`` (Stripe 82 vote counts, Willett et al. 2013),
``gz2_hart_fractions`` (the table of Hart et al. 2016), ``unlabelled`` images and, for the second
arm, ``efigi_expert`` (attributes of Baillard et al. 2011 with their images).

- arm ``gz2``: the galaxies with Galaxy Zoo 2 votes, and the unlabelled ones.
- arm ``gz2_efigi``: the same, and EFIGI's galaxies with an expert's attributes as a second,
  derived campaign: one model for both.

Written are OUT/ARM/manifest.csv, which names every image, and OUT/ARM/inputs.yaml, the round's
inputs. Galaxies keep their SDSS object id or PGC name; images without one are known by their file
name, so the same galaxies are held out in both arms.

Usage: python examples/real_galaxies.py DATA OUT
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
import yaml
from tqdm import tqdm

VOTES = {
    "gz2_s82_counts": ("votes.csv", "none"),
    "gz2_hart_fractions": ("votes_fractions.csv", "weighted"),
}
UNLABELLED = ("sdss_s82_cutouts", "gz2_asset_images")
EFIGI = "efigi_expert"
SDSS_CENTRE = 0.6
"""SDSS cutouts show the galaxy in their inner 60 %; EFIGI's are scaled to it."""


def main() -> None:
    """Write the manifests and the inputs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    missing = [name for name in VOTES if not (options.data / name).is_dir()]
    if missing:
        parser.error(f"{options.data} must hold the folders {', '.join(VOTES)}; missing: {missing}")
    sdss = [*labelled(options.data), *unlabelled(options.data)]
    write_arm(options.out / "gz2", sdss, gz2_inputs(options.data, options.out / "gz2"))
    if (options.data / EFIGI).is_dir():
        arm = options.out / "gz2_efigi"
        galaxies = [*framed(sdss, arm / "images"), *efigi(options.data)]
        write_arm(arm, galaxies, gz2_efigi_inputs(options.data, arm))


def write_arm(arm: Path, galaxies: list[dict[str, Any]], inputs: dict[str, Any]) -> None:
    """The manifest and the inputs of one arm."""
    arm.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(galaxies).to_csv(arm / "manifest.csv", index=False)
    (arm / "inputs.yaml").write_text(yaml.safe_dump(inputs, sort_keys=False))
    print(f"{len(galaxies)} galaxies in {arm / 'manifest.csv'}")


def labelled(data: Path) -> Iterator[dict[str, Any]]:
    """A row for each image with votes."""
    for folder, (votes, _) in VOTES.items():
        table = pd.read_csv(data / folder / votes, dtype={"objid": str, "filename": str})
        for row in table.to_dict("records"):
            yield {
                "id_str": row["objid"],
                "image_uri": str((data / folder / "images" / row["filename"]).resolve()),
                "ra_deg": row.get("ra"),
                "dec_deg": row.get("dec"),
                "survey": folder,
            }


def unlabelled(data: Path) -> Iterator[dict[str, Any]]:
    """A row for each image without votes; positions where a table beside the folder has them."""
    for folder in UNLABELLED:
        table = data / "unlabelled" / f"{folder}.csv"
        positions = (
            pd.read_csv(table).set_index("filename").to_dict("index") if table.is_file() else {}
        )
        for image in sorted((data / "unlabelled" / folder).glob("*.jpg")):
            position = positions.get(image.name, {})
            yield {
                "id_str": f"{folder}-{image.stem}",
                "image_uri": str(image.resolve()),
                "ra_deg": position.get("ra"),
                "dec_deg": position.get("dec"),
                "survey": folder,
            }


def efigi(data: Path) -> Iterator[dict[str, Any]]:
    """A row for each image with attributes; the table has no positions."""
    table = pd.read_csv(data / EFIGI / "attributes.csv", dtype=str)
    for name, image in zip(table["PGCname"], table["filename"], strict=True):
        place = data / EFIGI / "images" / image
        yield {"id_str": name, "image_uri": str(place.resolve()), "survey": EFIGI}


def framed(galaxies: list[dict[str, Any]], images: Path) -> Iterator[dict[str, Any]]:
    """The same galaxies, their centres written without loss: all images are framed alike.

    A centre that is newer than its image is taken as it is.
    """
    for row in tqdm(galaxies, "frame SDSS images alike", disable=None):
        source = Path(row["image_uri"])
        place = images / row["survey"] / f"{source.stem}.png"
        if not place.is_file() or place.stat().st_mtime <= source.stat().st_mtime:
            place.parent.mkdir(parents=True, exist_ok=True)
            image = cv2.imread(str(source), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            if image is None:
                raise SystemExit(f"{source} is no image that can be read; replace or remove it")
            side = round(SDSS_CENTRE * min(image.shape[:2]))
            top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
            cv2.imwrite(str(place), image[top : top + side, left : left + side])
        yield {**row, "image_uri": str(place.resolve())}


def gz2_inputs(data: Path, arm: Path) -> dict[str, Any]:
    """The inputs of ``campaign_round`` for Galaxy Zoo 2 alone."""
    return {
        "manifest": str(arm / "manifest.csv"),
        "votes": [
            {
                "uri": str((data / folder / table).resolve()),
                "campaign": "gz2",
                "rebuild": rebuild,
                "id_column": "objid",
            }
            for folder, (table, rebuild) in VOTES.items()
        ],
        "ingest": {"survey": "sdss", "chunk_size": 512},
        "cutouts": {"image_size_px": 64, "centre_fraction": SDSS_CENTRE},
        "run": {"training": {"epochs": 60, "batch_size": 64, "n_threads": 2}},
        "n_folds": 5,
        "model_name": "galaxyloop-real",
        "output": str(arm),
    }


def gz2_efigi_inputs(data: Path, arm: Path) -> dict[str, Any]:
    """The same galaxies, folds and encoder with a second campaign; more steps, fewer epochs."""
    inputs = gz2_inputs(data, arm)
    attributes = (data / EFIGI / "attributes.csv").resolve()
    inputs["votes"].append({"uri": str(attributes), "campaign": "efigi", "id_column": "PGCname"})
    inputs["cutouts"]["centre_fraction"] = 1.0
    inputs["run"]["training"]["epochs"] = 30
    inputs["model_name"] = "galaxyloop-real-two-campaigns"
    return inputs


if __name__ == "__main__":
    main()
