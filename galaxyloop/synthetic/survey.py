"""A simulated survey on disk: images, manifest, votes, and the truth beside them."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from jaxtyping import UInt8
from tqdm import tqdm

from galaxyloop.campaigns import find_campaign
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.storage import whole_directory
from galaxyloop.synthetic.broken import BROKEN_IMAGES, BROKEN_VOTES
from galaxyloop.synthetic.config import SimulationConfig
from galaxyloop.synthetic.opinions import true_fractions
from galaxyloop.synthetic.simulation import SimulatedGalaxy, iterate_galaxies

_FIRST_BROKEN = 90_000_000
"""Broken inputs stand at places of their own, so that they stay when a survey grows."""
_JPEG_QUALITY = 92
_PNG_EVERY = 40


@dataclass
class _Tables:
    """The rows of the survey's tables, gathered galaxy by galaxy."""

    manifest: list[dict[str, Any]] = field(default_factory=list)
    votes: list[dict[str, Any]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    broken: list[dict[str, Any]] = field(default_factory=list)


def write_survey(config: SimulationConfig, directory: Path, progress: bool = True) -> Path:
    """Write a simulated survey; the directory appears only when it is complete.

    It holds ``images/``, ``manifest.csv`` (``image_uri`` is relative to the manifest),
    ``votes.csv`` (counts of the labelled galaxies, one column an answer), ``truth.parquet``
    (true fractions and parameters of every galaxy), ``broken.csv`` (which inputs cannot be
    used, and why) and ``simulation.json`` (the config). The same config gives the same bytes.

    Args:
        config: what to simulate.
        directory: where to; replaced if it holds a simulated survey.
        progress: whether to show a progress bar.

    Returns:
        The directory.

    Raises:
        FileExistsError: the directory holds something else.
        UnknownNameError: there is no such campaign.
    """
    tree = find_campaign(config.campaign).tree
    _refuse_foreign(directory)
    with whole_directory(directory, replace=True) as draft:
        (draft / "images").mkdir()
        tables = _write_images(config, tree, draft, progress)
        _write_tables(tables, tree, draft)
        (draft / "simulation.json").write_text(config.to_json() + "\n")
    return directory


def _refuse_foreign(directory: Path) -> None:
    """Only a simulated survey or an empty directory may be replaced."""
    is_free = not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))
    if not is_free and not (directory / "simulation.json").is_file():
        raise FileExistsError(
            f"{directory} exists and holds no simulated survey; choose another directory"
        )


def _write_images(
    config: SimulationConfig, tree: DecisionTree, directory: Path, progress: bool
) -> _Tables:
    """Write sound and broken images and gather the tables' rows."""
    tables = _Tables()
    galaxies = iterate_galaxies(config, tree)
    for index, row in enumerate(
        tqdm(galaxies, "simulate galaxies", config.n_galaxies, disable=not progress, unit="galaxy")
    ):
        _add_rows(tables, row, config, tree, ".png" if index % _PNG_EVERY == 7 else ".jpg")
        _write_image(directory / tables.manifest[-1]["image_uri"], row.image)
    _add_broken(tables, config, tree, directory)
    return tables


def _add_rows(
    tables: _Tables, row: SimulatedGalaxy, config: SimulationConfig, tree: DecisionTree, ending: str
) -> None:
    """The rows of one galaxy in every table that knows it."""
    tables.manifest.append(
        {
            "id_str": row.id_str,
            "image_uri": f"images/{row.id_str}{ending}",
            "ra_deg": row.ra_deg,
            "dec_deg": row.dec_deg,
            "survey": config.survey,
            "group_id": row.group_id,
        }
    )
    if row.is_labelled:
        tables.votes.append(
            {"id_str": row.id_str, **dict(zip(tree.columns, row.votes.tolist(), strict=True))}
        )
    fractions = true_fractions(row.concentrations, tree).tolist()
    columns = (f"{column}_fraction" for column in tree.columns)
    tables.truth.append(
        {
            "id_str": row.id_str,
            "group_id": row.group_id,
            **dict(zip(columns, fractions, strict=True)),
            **asdict(row.galaxy),
        }
    )


def _add_broken(
    tables: _Tables, config: SimulationConfig, tree: DecisionTree, directory: Path
) -> None:
    """Galaxies with a broken image, then galaxies with a broken row of votes."""
    n_broken = config.n_broken_images + config.n_broken_votes
    plan = replace(config, n_galaxies=max(n_broken, 1), repeated_share=0.0, labelled_share=1.0)
    galaxies = iterate_galaxies(plan, tree, first=_FIRST_BROKEN)
    for place, row in zip(range(n_broken), galaxies, strict=False):
        _add_rows(tables, row, config, tree, ".jpg")
        path = directory / tables.manifest[-1]["image_uri"]
        _write_image(path, row.image)
        if place < config.n_broken_images:
            kinds = list(BROKEN_IMAGES)
            reason = kinds[place % len(kinds)]
            BROKEN_IMAGES[reason](path)
            table = "manifest.csv"
        else:
            kinds = list(BROKEN_VOTES)
            reason = kinds[(place - config.n_broken_images) % len(kinds)]
            BROKEN_VOTES[reason](tables.votes[-1], tree.columns[0])
            table = "votes.csv"
        tables.broken.append({"id_str": row.id_str, "table": table, "reason": reason})


def _write_image(path: Path, image: UInt8[np.ndarray, "y x band"]) -> None:
    """Encode by the file's ending; OpenCV wants the bands as BGR."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    is_encoded, encoded = cv2.imencode(path.suffix, image[..., ::-1], settings)
    if not is_encoded:
        raise OSError(f"{path} could not be encoded as {path.suffix}")
    path.write_bytes(encoded.tobytes())


def _write_tables(tables: _Tables, tree: DecisionTree, directory: Path) -> None:
    """Write the four tables; each has its columns even where it has no rows."""
    columns = ["id_str", "image_uri", "ra_deg", "dec_deg", "survey", "group_id"]
    pd.DataFrame(tables.manifest, columns=columns).to_csv(directory / "manifest.csv", index=False)
    # Objects, so that one broken cell does not turn a column of counts into floats.
    votes = pd.DataFrame(tables.votes, columns=["id_str", *tree.columns], dtype=object)
    votes.to_csv(directory / "votes.csv", index=False)
    pd.DataFrame(tables.truth).to_parquet(directory / "truth.parquet", index=False)
    broken = pd.DataFrame(tables.broken, columns=["id_str", "table", "reason"])
    broken.to_csv(directory / "broken.csv", index=False)
