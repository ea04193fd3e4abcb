"""Catalogues made by hand, as files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from galaxyloop.catalogue import CatalogueProvenance, write_catalogue, write_predictions
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.predictions import ImageQuality
from galaxyloop.surveys import IngestConfig, SurveyVersion, version_survey

TREE = DecisionTree(
    "toy",
    (
        Question("smooth-or-featured-toy", ("smooth", "featured-or-disk")),
        Question("bar-toy", ("yes", "no"), ("smooth-or-featured-toy_featured-or-disk",)),
    ),
)
PROVENANCE = CatalogueProvenance("toy-model", "3", "ab12", "toy", "0.1.0", "2026-01-02", "cd34")


@dataclass(frozen=True)
class Posterior:
    """A posterior's summaries, without how they came about."""

    fraction: npt.NDArray[np.float32]
    p05: npt.NDArray[np.float32]
    p95: npt.NDArray[np.float32]
    asked: npt.NDArray[np.float32]


def random_positions(n_galaxies: int, seed: int = 3) -> pd.DataFrame:
    """Positions all over the sky."""
    rng = np.random.default_rng(seed)
    sines = rng.uniform(-1, 1, n_galaxies)
    return pd.DataFrame(
        {"ra_deg": rng.uniform(0, 360, n_galaxies), "dec_deg": np.degrees(np.arcsin(sines))}
    )


def make_catalogue(
    path: Path, positions: pd.DataFrame, tree: DecisionTree = TREE, ids: list[str] | None = None
) -> Path:
    """A catalogue of random posteriors, one a position; every third distance is not known."""
    n = len(positions)
    rng = np.random.default_rng(5)
    fractions = [rng.dirichlet(np.ones(len(q.answers)), n) for q in tree.questions]
    fraction = np.hstack(fractions).astype(np.float32)
    asked = [np.ones(n), *rng.uniform(0, 1, (len(tree.questions) - 1, n))]
    index = positions.assign(
        id_str=ids or [f"J{i:04}" for i in range(n)], image_digest="d"
    ).reset_index(drop=True)
    distance = np.where(np.arange(n) % 3 == 0, np.nan, rng.uniform(0, 2, n))
    quality = ImageQuality(distance, np.arange(n) % 16)
    posterior = Posterior(
        fraction, fraction * 0.5, np.minimum(fraction * 1.5, 1), np.stack(asked, axis=1)
    )
    shard = path.with_name(f"{path.stem}-predictions.parquet")
    information = np.zeros((n, len(tree.questions)))
    write_predictions(index, posterior, information, tree, shard, quality)
    write_catalogue([shard], tree, PROVENANCE, path)
    shard.unlink()
    return path


def make_survey(
    directory: Path, images: dict[str, str], before: SurveyVersion | None = None
) -> SurveyVersion:
    """A version of a survey of these images by id, in chunks of three galaxies."""
    galaxies = pd.DataFrame({"id_str": list(images), "image_uri": list(images.values())})
    galaxies = galaxies.assign(ra_deg=np.nan, dec_deg=np.nan, survey="s", group_id=list(images))
    config = IngestConfig(chunk_size=3, fingerprint="uri")
    return version_survey(galaxies, config, before, directory)
