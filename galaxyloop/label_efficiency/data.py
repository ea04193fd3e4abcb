"""What a study learns from: cutouts, splits, the labels that are studied, and sets of votes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Integer, UInt8

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import StorageError
from galaxyloop.finetuning.labels import Labels, match_labels_to_images
from galaxyloop.finetuning.targets import Target
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.leakage import split_study, withhold_votes
from galaxyloop.storage import whole_directory
from galaxyloop.training.data import Cutouts

_GALAXIES_PER_READ = 1024
_FILES = ("images.npy", "galaxies.parquet", "labels.parquet", "study.json")


@dataclass(frozen=True)
class LabelSet:
    """Votes that pretraining may see."""

    votes: pd.DataFrame
    """``id_str`` and the tree's answers; no test galaxy is among them."""
    tree: DecisionTree
    """No question near the label that is studied is in it."""


@dataclass(frozen=True)
class StudyData:
    """All that a study's pretrainings and cells read."""

    cutouts: Cutouts
    splits: pd.DataFrame
    """``id_str``, ``group_id``, ``split`` and ``fold``; see ``leakage.split_study``."""
    labels: pd.DataFrame
    """``id_str``, ``label``, ``y``, ``position`` of the cutout, ``split``; in order of id."""
    target: Target
    label_sets: dict[str, LabelSet] = field(default_factory=dict)
    """Votes to pretrain on, by name."""

    @property
    def pool(self) -> pd.DataFrame:
        """The galaxies that labels are drawn from."""
        return self.labels[self.labels["split"] != "test"].reset_index(drop=True)

    @property
    def test(self) -> pd.DataFrame:
        """The galaxies that all cells are judged by."""
        return self.labels[self.labels["split"] == "test"].reset_index(drop=True)

    def digest(self) -> str:
        """SHA-256 over the labelled galaxies: ids, labels, splits and pixels."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        """The same, computed once."""
        rows = self.labels[["id_str", "label", "split"]].astype(str).to_numpy().tolist()
        digest = hashlib.sha256(json.dumps([self.target.to_dict(), rows]).encode())
        positions = self.labels["position"].to_numpy(np.int64)
        for start in range(0, len(positions), _GALAXIES_PER_READ):
            images = self.cutouts.read(positions[start : start + _GALAXIES_PER_READ])
            digest.update(np.ascontiguousarray(images).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class CutoutArray:
    """Cutouts as one array, which may lie on disk."""

    images: UInt8[np.ndarray, "galaxy y x band"]
    id_strs: np.ndarray

    def read(self, positions: Integer[np.ndarray, " some"]) -> UInt8[np.ndarray, "some y x band"]:
        """Copies of some of them."""
        return np.asarray(self.images[positions])


def prepare_study(
    cutouts: Cutouts,
    galaxies: pd.DataFrame,
    labels: Labels,
    votes: Mapping[str, tuple[pd.DataFrame, DecisionTree]],
    config: LabelEfficiencyConfig,
) -> StudyData:
    """Split the galaxies and take from the votes what pretraining may not see.

    Args:
        cutouts: of all galaxies, labelled or not.
        galaxies: ``id_str`` and ``group_id`` of them.
        labels: the labels that are studied, of some of them.
        votes: tables of votes with their trees, by the label sets' names.
        config: shares of the splits, and what is withheld.

    Raises:
        LabelError: labels have no images, or no galaxy is left to test or to learn from.
        DecisionTreeError: a label set has no other question.
    """
    matched = match_labels_to_images(labels, cutouts.id_strs)
    splits = split_study(galaxies, matched.table["id_str"], config.split)
    label_sets = {
        name: LabelSet(*withhold_votes(table_of_votes, tree, splits, config.withheld))
        for name, (table_of_votes, tree) in votes.items()
    }
    return replace(match_study(cutouts, labels, splits), label_sets=label_sets)


def match_study(
    cutouts: Cutouts, labels: Labels, splits: pd.DataFrame, max_unmatched: float = 0.1
) -> StudyData:
    """Labels with the cutouts and splits of their galaxies, without votes.

    Args:
        cutouts: of all galaxies.
        labels: of some of them.
        splits: what ``split_study`` gives.
        max_unmatched: share of labelled galaxies that may have no cutout.

    Raises:
        LabelError: too many labels have no cutout.
    """
    matched = match_labels_to_images(labels, cutouts.id_strs, max_unmatched)
    table = matched.table.merge(splits[["id_str", "split"]], on="id_str")
    columns = ["id_str", "label", "y", "position", "split"]
    ordered = table[columns].sort_values("id_str", ignore_index=True)
    return StudyData(cutouts, splits, ordered, labels.target)


def save_study(data: StudyData, directory: Path) -> Path:
    """Write a study's data, so that several processes can open it.

    Raises:
        StorageError: the directory holds something already.
    """
    with whole_directory(directory) as draft:
        ids = data.cutouts.id_strs.astype(str)
        shape = (len(ids), *data.cutouts.read(np.zeros(1, np.int64)).shape[1:])
        images = np.lib.format.open_memmap(draft / _FILES[0], "w+", np.uint8, shape)
        for start in range(0, len(ids), _GALAXIES_PER_READ):
            places = np.arange(start, min(start + _GALAXIES_PER_READ, len(ids)))
            images[places] = data.cutouts.read(places)
        table = pd.DataFrame({"id_str": ids}).merge(data.splits, on="id_str", how="left")
        table.to_parquet(draft / _FILES[1], index=False)
        data.labels.to_parquet(draft / _FILES[2], index=False)
        trees = {}
        for name, label_set in data.label_sets.items():
            label_set.votes.to_parquet(draft / f"votes-{name}.parquet", index=False)
            trees[name] = json.loads(label_set.tree.to_json())
        content = {"target": data.target.to_dict(), "trees": trees}
        (draft / _FILES[3]).write_text(json.dumps(content, indent=1) + "\n")
    return directory


def open_study(directory: Path) -> StudyData:
    """Open what ``save_study`` wrote; the images stay on disk.

    Raises:
        StorageError: a file is missing.
    """
    missing = [name for name in _FILES if not (directory / name).is_file()]
    if missing:
        raise StorageError(
            f"{directory} holds no study's data: {missing} are missing; save it anew"
        )
    images, galaxies, labels, content = (directory / name for name in _FILES)
    table = pd.read_parquet(galaxies)
    cutouts = CutoutArray(np.load(images, mmap_mode="r"), table["id_str"].to_numpy(dtype=object))
    told = json.loads(content.read_text())
    label_sets = {
        name: LabelSet(
            pd.read_parquet(directory / f"votes-{name}.parquet"),
            DecisionTree.from_json(json.dumps(tree)),
        )
        for name, tree in told["trees"].items()
    }
    splits = table.dropna(subset="split").reset_index(drop=True)
    target = Target.from_dict(told["target"])
    return StudyData(cutouts, splits, pd.read_parquet(labels), target, label_sets)
