"""Adapter: a folder of real Galaxy Zoo 2 galaxies to the inputs of ``campaign_round``.

The folder holds ``gz2_s82_counts`` (Stripe 82 vote counts, Willett et al. 2013),
``gz2_hart_fractions`` (the table of Hart et al. 2016) and ``unlabelled`` images. Written are
OUT/manifest.csv, which names every image, and OUT/inputs.yaml, the round's inputs. Galaxies keep
their SDSS object id; images without one are known by their file name.

Usage: python examples/real_galaxies.py DATA OUT
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

VOTES = {
    "gz2_s82_counts": ("votes.csv", "none"),
    "gz2_hart_fractions": ("votes_fractions.csv", "weighted"),
}
UNLABELLED = ("sdss_s82_cutouts", "gz2_asset_images")


def main() -> None:
    """Write the manifest and the inputs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    missing = [name for name in VOTES if not (options.data / name).is_dir()]
    if missing:
        parser.error(f"{options.data} must hold the folders {', '.join(VOTES)}; missing: {missing}")
    options.out.mkdir(parents=True, exist_ok=True)
    manifest = pd.DataFrame([*labelled(options.data), *unlabelled(options.data)])
    manifest.to_csv(options.out / "manifest.csv", index=False)
    inputs = round_inputs(options.data, options.out)
    (options.out / "inputs.yaml").write_text(yaml.safe_dump(inputs, sort_keys=False))
    print(f"{len(manifest)} galaxies in {options.out / 'manifest.csv'}")


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


def round_inputs(data: Path, out: Path) -> dict[str, Any]:
    """The inputs of ``campaign_round``; SDSS cutouts show the galaxy in their inner 60 %."""
    return {
        "manifest": str(out / "manifest.csv"),
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
        "cutouts": {"image_size_px": 64, "centre_fraction": 0.6},
        "run": {"training": {"epochs": 60, "batch_size": 64, "n_threads": 2}},
        "n_folds": 5,
        "model_name": "galaxyloop-real",
        "output": str(out),
    }


if __name__ == "__main__":
    main()
