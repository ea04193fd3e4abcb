"""What a model is judged by: how likely each held-out galaxy's votes were to it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64, Integer

from galaxyloop.decision_tree import DecisionTree

LEVEL = 0.9
"""Nominal coverage of the intervals that calibration is judged by."""
SCORE_FILES = ("scores.parquet", "scores.json")
_COLUMNS = ("id_str", "group_id", "question", "log_likelihood", "coverage")


@dataclass(frozen=True)
class HeldOutScores:
    """One row a held-out galaxy and question that somebody answered."""

    table: pd.DataFrame
    """``id_str``, ``group_id``, ``question``; ``log_likelihood`` of the observed votes under the
    mixture of posterior samples [nats]; ``coverage``, the share of the question's answers whose
    observed counts lie in their central 90 % interval, missing with too few votes."""
    tree: DecisionTree
    """What the model answers."""
    digest: str
    """Of the galaxies, their pixels and votes, and how the posterior was sampled: only scores of
    equal digests can be compared."""
    image_size_px: int
    """Side of the cutouts."""

    def write(self, directory: Path) -> None:
        """Add the files ``SCORE_FILES``."""
        self.table.to_parquet(directory / SCORE_FILES[0], index=False)
        content = {
            "digest": self.digest,
            "image_size_px": self.image_size_px,
            "tree": json.loads(self.tree.to_json()),
        }
        (directory / SCORE_FILES[1]).write_text(json.dumps(content, sort_keys=True))

    @classmethod
    def open(cls, directory: Path) -> "HeldOutScores":
        """Read what ``write`` wrote."""
        content = json.loads((directory / SCORE_FILES[1]).read_text())
        return cls(
            table=pd.read_parquet(directory / SCORE_FILES[0]),
            tree=DecisionTree.from_json(json.dumps(content["tree"])),
            digest=content["digest"],
            image_size_px=content["image_size_px"],
        )


def make_scores(
    names: tuple[np.ndarray, np.ndarray],
    log_likelihood: Float64[np.ndarray, "galaxy question"],
    pit: Float64[np.ndarray, "galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
) -> pd.DataFrame:
    """The table of ``HeldOutScores``, galaxy by galaxy.

    Args:
        names: ids and groups of the galaxies.
        log_likelihood: of each question's votes [nats].
        pit: integral transforms of the counts; NaN where there are too few votes.
        votes: observed.
        tree: the questions.
    """
    slices = list(tree.slices.values())
    has_votes = np.stack([votes[:, part].any(axis=1) for part in slices], axis=1)
    is_inside = np.where(np.isnan(pit), np.nan, np.abs(pit - 0.5) <= LEVEL / 2)
    coverage = np.stack([is_inside[:, part].mean(axis=1) for part in slices], axis=1)
    galaxy, question = np.nonzero(has_votes)
    columns = (
        names[0].astype(str)[galaxy],
        names[1].astype(str)[galaxy],
        np.array(tree.question_names)[question],
        log_likelihood[galaxy, question].astype(np.float64),
        coverage[galaxy, question],
    )
    return pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))
