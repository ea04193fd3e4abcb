"""A label table on disk: labelled galaxies of a survey, what labels mean, and who trains when."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from galaxyloop.errors import LabelError
from galaxyloop.finetuning.labels import Labels, match_labels_to_images
from galaxyloop.finetuning.rounds import RoundsConfig, plan_rounds
from galaxyloop.finetuning.targets import Target
from galaxyloop.shards import CutoutCollection
from galaxyloop.storage import whole_directory

logger = logging.getLogger("galaxyloop")
_FORMAT = "galaxyloop-label-table-1"
_TABLE, _ROUNDS, _SUMMARY = "labels.parquet", "rounds.parquet", "labels.json"
_KEPT = ["id_str", "label", "y", "group_id", "image_digest"]


@dataclass(frozen=True)
class LabelTable:
    """Labelled galaxies that have a cutout."""

    table: pd.DataFrame
    """``id_str, label, y, group_id, image_digest``, a row a galaxy, sorted by id."""
    target: Target
    rounds: pd.DataFrame
    """What ``plan_rounds`` gives."""
    counts: dict[str, int]
    """Rows read, used, repeated, left out; galaxies with and without image."""
    told: str
    """How the labels were understood, in a sentence."""

    @classmethod
    def open(cls, directory: Path) -> "LabelTable":
        """Read what ``write_label_table`` wrote."""
        summary: dict[str, Any] = json.loads((directory / _SUMMARY).read_text("utf-8"))
        if summary.get("format") != _FORMAT:
            raise LabelError(f"{directory} is no label table; write it with write_label_table")
        return cls(
            pd.read_parquet(directory / _TABLE),
            Target.from_dict(summary["target"]),
            pd.read_parquet(directory / _ROUNDS),
            summary["counts"],
            summary["told"],
        )

    @property
    def n_rounds(self) -> int:
        """Trainings, of which the last gives the final model."""
        return int(self.rounds["round"].max()) + 1

    def splits(self, number: int) -> pd.DataFrame:
        """``id_str`` and ``split`` of one round."""
        own = self.rounds[self.rounds["round"] == number]
        return own[["id_str", "split"]].reset_index(drop=True)


def write_label_table(
    labels: Labels,
    cutouts: CutoutCollection,
    groups: pd.Series,
    max_unmatched: float,
    config: RoundsConfig,
    directory: Path,
) -> str:
    """Match labels to cutouts, plan the rounds, and write both; the digest of the content.

    The digest covers ids, labels, what they mean, rounds, groups, each image's fingerprint and
    the settings that cutouts were made with: all that a finetuning depends on but its run.

    Args:
        labels: what ``read_labels`` gives.
        cutouts: of the survey, whose pixels are not read.
        groups: each galaxy's group by id, as the survey has it now: the cutouts' own index keeps
            that of the day they were made.
        max_unmatched: share of labelled galaxies that may have no cutout.
        config: how the rounds are planned.
        directory: appears complete or not at all.

    Raises:
        LabelError: too few labelled galaxies have a cutout, or a class has too few to train on.
    """
    matched = match_labels_to_images(labels, cutouts.id_strs, max_unmatched)
    logger.info("%s", matched.told)
    digests = cutouts.index["image_digest"].iloc[matched.table["position"].to_numpy(np.int64)]
    table = matched.table.assign(
        group_id=groups.loc[matched.table["id_str"]].to_numpy(), image_digest=digests.to_numpy()
    )[_KEPT]
    rounds = plan_rounds(table, matched.target, config)
    summary = {
        "format": _FORMAT,
        "target": matched.target.to_dict(),
        "counts": matched.counts,
        "told": matched.told,
    }
    with whole_directory(directory) as draft:
        table.to_parquet(draft / _TABLE, index=False)
        rounds.to_parquet(draft / _ROUNDS, index=False)
        (draft / _SUMMARY).write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", "utf-8")
    settings = sorted({json.dumps(s.summary.config, sort_keys=True) for s in cutouts.shards})
    digest = hashlib.sha256(json.dumps([summary["target"], summary["counts"], settings]).encode())
    for part in (table, rounds):
        digest.update(part.to_csv(index=False).encode())
    return digest.hexdigest()
