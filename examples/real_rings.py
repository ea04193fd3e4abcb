"""Adapter: a folder of real galaxies to a study of few labels, "has this galaxy a ring?".

The folder is that of ``real_galaxies``. Galaxies with EFIGI's attributes (Baillard et al. 2011)
give the labels: a galaxy has a ring if its strongest ring (inner, outer or pseudo) is at least 0.5,
it has none if that is 0, and is left out if it lies between or none was judged.

Written to OUT are:

- ``manifest.csv``: every image, all framed alike;
- ``labels.csv``: ``id_str`` and ``label`` (ring or no-ring);
- ``efigi_pseudo_votes.csv``: EFIGI's other attributes times 4, as pseudo-votes. No volunteer gave
  them, and no ring attribute is among them;
- ``inputs.yaml``: the inputs of the workflow ``label_efficiency``.

Usage: python -m examples.real_rings DATA OUT
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from examples.real_galaxies import EFIGI, VOTES, efigi, framed, labelled, unlabelled
from galaxyloop.campaigns import find_campaign

RINGS = ("Inner_Ring", "Outer_Ring", "Pseudo_Ring")
LEAST_RING = 0.5
PSEUDO_VOTES = 4
"""Votes that an attribute is worth, which comes in steps of a quarter."""


def main() -> None:
    """Write the manifest, the labels, the pseudo-votes and the inputs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    write_rings(options.data, options.out)


def write_rings(data: Path, out: Path) -> dict[str, Any]:
    """Write everything; returns the workflow's inputs."""
    missing = [name for name in (*VOTES, EFIGI) if not (data / name).is_dir()]
    if missing:
        raise SystemExit(f"{data} must hold the folders {', '.join((*VOTES, EFIGI))}: {missing}")
    out.mkdir(parents=True, exist_ok=True)
    sdss = [*labelled(data), *unlabelled(data)]
    galaxies = pd.DataFrame([*framed(sdss, out / "images"), *efigi(data)])
    galaxies.to_csv(out / "manifest.csv", index=False)
    attributes = pd.read_csv(data / EFIGI / "attributes.csv")
    labels = ring_labels(attributes)
    labels.to_csv(out / "labels.csv", index=False)
    pseudo_votes(attributes).to_csv(out / "efigi_pseudo_votes.csv", index=False)
    inputs = study_inputs(data, out)
    (out / "inputs.yaml").write_text(yaml.safe_dump(inputs, sort_keys=False))
    counts = labels["label"].value_counts()
    print(
        f"{len(galaxies)} galaxies; {counts['ring']} with and {counts['no-ring']} without a ring, "
        f"{len(attributes) - len(labels)} left out"
    )
    return inputs


def ring_labels(attributes: pd.DataFrame) -> pd.DataFrame:
    """``id_str`` and ``label`` of the galaxies that clearly have a ring, or clearly none."""
    # A ring that was not judged is -1, so it counts only where none was judged.
    strongest = attributes[list(RINGS)].to_numpy().max(axis=1)
    is_clear = (strongest >= LEAST_RING) | (strongest == 0)
    names = np.where(strongest >= LEAST_RING, "ring", "no-ring")
    table = pd.DataFrame({"id_str": attributes["PGCname"], "label": names})
    return pd.DataFrame(table[is_clear].reset_index(drop=True))


def pseudo_votes(attributes: pd.DataFrame) -> pd.DataFrame:
    """Votes for and against each attribute but the rings; none where it was not judged."""
    votes: dict[str, Any] = {"id_str": attributes["PGCname"]}
    for attribute in find_campaign("efigi").pseudo_votes:
        if attribute.column not in RINGS:
            value = attributes[attribute.column]
            is_judged = (value != attribute.undefined).astype(int)
            full = (value * PSEUDO_VOTES).round().astype(int) * is_judged
            votes[attribute.full] = full
            votes[attribute.none] = PSEUDO_VOTES * is_judged - full
    return pd.DataFrame(votes)


def study_inputs(data: Path, out: Path) -> dict[str, Any]:
    """The inputs of the workflow: both sets of votes to pretrain on, and the labels."""
    gz2 = [
        {
            "uri": str((data / folder / table).resolve()),
            "campaign": "gz2",
            "rebuild": rebuild,
            "id_column": "objid",
        }
        for folder, (table, rebuild) in VOTES.items()
    ]
    attributes = {
        "uri": str((out / "efigi_pseudo_votes.csv").resolve()),
        "campaign": "efigi",
        "id_column": "id_str",
    }
    return {
        "manifest": str((out / "manifest.csv").resolve()),
        "labels": str((out / "labels.csv").resolve()),
        "votes": gz2,
        "further_votes": [attributes],
        "ingest": {"survey": "sdss", "chunk_size": 512},
        "cutouts": {"image_size_px": 64, "centre_fraction": 1.0},
        "output": str(out),
    }


if __name__ == "__main__":
    main()
