"""What a loop is played on: galaxies' features, and votes that are known and not yet looked at."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import LabelError, StorageError
from galaxyloop.finetuning.targets import Target
from galaxyloop.storage import whole_directory

_FILES = ("features.npy", "votes.npy", "galaxies.parquet", "tree.json")


@dataclass(frozen=True)
class LoopData:
    """Galaxies with features and votes, some of which only test."""

    id_strs: np.ndarray
    """Ids [galaxy], each once."""
    features: Float32[np.ndarray, "galaxy feature"]
    """What the frozen encoder sees."""
    votes: Float32[np.ndarray, "galaxy answer"]
    """Counts; a galaxy of the pool shows them when it is asked about."""
    is_test: Bool[np.ndarray, " galaxy"]
    """Galaxies that are never asked about, and judge every head."""
    tree: DecisionTree
    """The questions."""

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        n_galaxies = len(self.id_strs)
        shapes = (len(self.features), self.votes.shape, len(self.is_test))
        expected = (n_galaxies, (n_galaxies, len(self.tree.columns)), n_galaxies)
        if shapes != expected or not np.isfinite(self.features).all():
            raise LabelError(
                f"features must be finite, and features, votes and is_test fit {n_galaxies} "
                f"galaxies and {len(self.tree.columns)} answers, got the shapes {shapes}; take "
                "them from one table"
            )
        n_test = int(self.is_test.sum())
        if not 0 < n_test < n_galaxies:
            raise LabelError(
                f"some galaxies must test and some not, got {n_test} of {n_galaxies} that do; "
                "change the share of the test",
                n_test,
                n_galaxies,
            )

    def digest(self) -> str:
        """SHA-256 over ids, features, votes, test and tree."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        """The same, computed once."""
        digest = hashlib.sha256(self.tree.to_json().encode())
        digest.update(json.dumps(self.id_strs.tolist()).encode())
        for array in (self.features, self.votes, self.is_test):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def label_tree(target: Target) -> DecisionTree:
    """Labels as a question that one expert answers: its answers are the classes.

    Raises:
        LabelError: the labels are values, not classes.
    """
    if not target.is_classification:
        raise LabelError(
            f"the label '{target.name}' is a value; a simulated loop asks for classes: give labels "
            "of two or more classes, or votes"
        )
    return DecisionTree(target.name, (Question(target.name, tuple(target.classes)),))


def votes_of_labels(
    y: Float[np.ndarray, " galaxy"], tree: DecisionTree
) -> Float32[np.ndarray, "galaxy answer"]:
    """One vote for each galaxy's class.

    Args:
        y: numbers of the classes.
        tree: what ``label_tree`` gives.
    """
    return np.eye(len(tree.columns), dtype=np.float32)[y.astype(np.int64)]


def save_loop(data: LoopData, directory: Path) -> Path:
    """Write a loop's data.

    Raises:
        StorageError: the directory holds something already.
    """
    with whole_directory(directory) as draft:
        np.save(draft / _FILES[0], data.features)
        np.save(draft / _FILES[1], data.votes)
        table = pd.DataFrame({"id_str": data.id_strs.astype(str), "is_test": data.is_test})
        table.to_parquet(draft / _FILES[2], index=False)
        (draft / _FILES[3]).write_text(data.tree.to_json())
    return directory


def open_loop(directory: Path) -> LoopData:
    """Read what ``save_loop`` wrote.

    Raises:
        StorageError: a file is missing.
    """
    missing = [name for name in _FILES if not (directory / name).is_file()]
    if missing:
        raise StorageError(f"{directory} holds no loop's data: {missing} are missing; save it anew")
    features, votes, galaxies, tree = (directory / name for name in _FILES)
    table = pd.read_parquet(galaxies)
    return LoopData(
        table["id_str"].to_numpy(dtype=object),
        np.load(features),
        np.load(votes),
        table["is_test"].to_numpy(dtype=bool),
        DecisionTree.from_json(tree.read_text()),
    )
