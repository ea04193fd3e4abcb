"""What training reads: cutouts and labels, batch by batch, in an order fixed by seed and epoch."""

import hashlib
import json
import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32, Integer, UInt8
from torch import Tensor

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import NoTrainingDataError, VoteTableError
from galaxyloop.models import Normalisation
from galaxyloop.random_streams import number_names

_MAX_NORMALISATION_GALAXIES = 2048
_GALAXIES_PER_READ = 1024


@runtime_checkable
class Cutouts(Protocol):
    """Images of one size that can be read by position."""

    @property
    def id_strs(self) -> np.ndarray:
        """Each galaxy's id."""

    def read(self, positions: np.ndarray) -> np.ndarray:
        """The cutouts at these positions, uint8 ``[galaxy, y, x, band]``."""


def describe_cutouts(cutouts: Cutouts) -> dict[str, Any]:
    """The settings that all cutouts were made with; empty if they differ or are not known."""
    shards = getattr(cutouts, "shards", ())
    settings = {json.dumps(shard.summary.config, sort_keys=True) for shard in shards}
    return dict(json.loads(settings.pop())) if len(settings) == 1 else {}


class Batch(NamedTuple):
    """What one step sees."""

    images: UInt8[Tensor, "galaxy y x band"]
    labels: Float[Tensor, "galaxy label"]
    """Votes, zeros where there are none; or what else is to be learnt."""
    galaxies: Integer[np.ndarray, " galaxy"]
    """Each galaxy's number, by which its views are drawn: a hash of its id."""
    rows: Integer[np.ndarray, " galaxy"]
    """What was asked for, by which ``names`` tells the ids."""


@runtime_checkable
class TrainingGalaxies(Protocol):
    """Galaxies that an epoch goes over."""

    @property
    def labels(self) -> np.ndarray:
        """Votes or other labels, ``[galaxy, label]``."""

    def __len__(self) -> int:
        """Number of galaxies."""

    def epoch_rows(self, seed: int, epoch: int, batch_size: int) -> list[np.ndarray]:
        """What each step of an epoch reads, a pure function of these."""

    def n_batches(self, batch_size: int) -> int:
        """Steps an epoch."""

    def read(self, rows: np.ndarray) -> Batch:
        """Images and labels."""

    def names(self, rows: np.ndarray) -> list[str]:
        """Ids."""

    def digest(self) -> str:
        """SHA-256 over ids, labels and pixels."""


@dataclass(frozen=True)
class LabelledCutouts:
    """Galaxies of one split that have a cutout, in order of id, with their labels.

    Other galaxies of the collection, and where in it these lie, change nothing.
    """

    cutouts: Cutouts
    positions: Integer[np.ndarray, " galaxy"]
    labels: Float32[np.ndarray, "galaxy label"]
    """Votes, zeros where there are none; or what else is to be learnt."""

    def __len__(self) -> int:
        """Number of galaxies."""
        return len(self.positions)

    @cached_property
    def numbers(self) -> Integer[np.ndarray, " galaxy"]:
        """What each galaxy's views are drawn by."""
        return number_names(self.names(np.arange(len(self))))

    def names(self, rows: Integer[np.ndarray, " galaxy"]) -> list[str]:
        """Ids of some of these galaxies."""
        return [str(name) for name in self.cutouts.id_strs[self.positions[rows]]]

    def n_batches(self, batch_size: int) -> int:
        """Steps an epoch."""
        return math.ceil(len(self) / batch_size)

    def epoch_rows(self, seed: int, epoch: int, batch_size: int) -> list[Integer[np.ndarray, "_"]]:
        """Every galaxy once, in steps of nearly equal size; a pure function of (seed, epoch)."""
        return np.array_split(shuffled(len(self), seed, epoch), self.n_batches(batch_size))

    def digest(self) -> str:
        """SHA-256 over ids, labels and pixels."""
        ids = "\n".join(self.names(np.arange(len(self))))
        digest = hashlib.sha256(ids.encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<f4").tobytes())
        for start in range(0, len(self), _GALAXIES_PER_READ):
            images = self.cutouts.read(self.positions[start : start + _GALAXIES_PER_READ])
            digest.update(np.ascontiguousarray(images).data)
        return digest.hexdigest()

    def read(self, rows: Integer[np.ndarray, " galaxy"]) -> Batch:
        """Images and labels of some of these galaxies."""
        images = np.ascontiguousarray(self.cutouts.read(self.positions[rows]))
        labels = torch.from_numpy(self.labels[rows])
        return Batch(torch.from_numpy(images), labels, self.numbers[rows], rows)


class EpochBatches:
    """Batches in the given order; the next one is read while the current one is computed with."""

    def __init__(self, galaxies: TrainingGalaxies, rows: list[Integer[np.ndarray, "_"]]) -> None:
        """Take what each step reads."""
        self._galaxies = galaxies
        self._rows = rows

    def __len__(self) -> int:
        """Number of batches left."""
        return len(self._rows)

    def __iter__(self) -> Iterator[Batch]:
        """Read the batches in order."""
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming: Future[Batch] | None = None
            for rows in self._rows:
                current, coming = coming, reader.submit(self._galaxies.read, rows)
                if current is not None:
                    yield current.result()
            if coming is not None:
                yield coming.result()


def shuffled(n_galaxies: int, *keys: int) -> Integer[np.ndarray, " galaxy"]:
    """The order of an epoch, a pure function of the keys, such as (seed, epoch)."""
    return np.random.default_rng(keys).permutation(n_galaxies)


def select_split(
    cutouts: Cutouts, votes: pd.DataFrame, splits: pd.DataFrame, tree: DecisionTree, split: str
) -> LabelledCutouts:
    """The galaxies of a split that have both a cutout and votes, in order of id.

    Raises:
        VoteTableError: the votes lack a column of the tree.
        NoTrainingDataError: there is no such galaxy; the message counts where they got lost.
    """
    table = match_labels(cutouts.id_strs, votes, splits, tree)
    chosen = table[table["split"] == split]
    if chosen.empty:
        numbers = {
            "cutouts": len(cutouts.id_strs),
            "galaxies with votes": int((votes[list(tree.columns)].sum(axis=1) > 0).sum()),
            "cutouts with votes": len(table),
            f"galaxies in the split '{split}'": int((splits["split"] == split).sum()),
        }
        raise NoTrainingDataError(f"no galaxy of split '{split}' has a cutout and votes", numbers)
    counts = chosen[list(tree.columns)].to_numpy(dtype=np.float32)
    return LabelledCutouts(cutouts, chosen["position"].to_numpy(np.int64), counts)


def select_with_votes(
    cutouts: Cutouts, votes: pd.DataFrame, splits: pd.DataFrame, tree: DecisionTree, split: str
) -> LabelledCutouts:
    """All galaxies of a split that have a cutout, in order of id; zeros where nobody voted.

    Raises:
        VoteTableError: the votes lack a column of the tree.
        NoTrainingDataError: there are fewer than two.
    """
    galaxies = select_images(cutouts, splits, split)
    table = match_labels(cutouts.id_strs, votes, splits, tree)
    counts = table.set_index("position")[list(tree.columns)].reindex(galaxies.positions)
    return replace(galaxies, labels=counts.fillna(0).to_numpy(dtype=np.float32))


def select_images(cutouts: Cutouts, splits: pd.DataFrame, split: str) -> LabelledCutouts:
    """All galaxies of a split that have a cutout, in order of id, without labels.

    Raises:
        NoTrainingDataError: there are fewer than two: nothing can be told apart.
    """
    ids = cutouts.id_strs.astype(str).astype(object)
    table = pd.DataFrame({"id_str": ids, "position": np.arange(len(ids))})
    table = table.merge(splits[["id_str", "split"]].astype({"id_str": str}), on="id_str")
    chosen = table[table["split"] == split].sort_values("id_str", ignore_index=True)
    if len(chosen) < 2:
        numbers = {
            "cutouts": len(ids),
            f"galaxies in the split '{split}'": int((splits["split"] == split).sum()),
            "of them with a cutout": len(chosen),
        }
        raise NoTrainingDataError(f"split '{split}' has fewer than two galaxies", numbers)
    positions = chosen["position"].to_numpy(np.int64)
    return LabelledCutouts(cutouts, positions, np.zeros((len(chosen), 0), np.float32))


def match_labels(
    id_strs: np.ndarray, votes: pd.DataFrame, splits: pd.DataFrame, tree: DecisionTree
) -> pd.DataFrame:
    """The galaxies with both a cutout and votes, in order of id.

    Returns:
        ``id_str``, ``position`` of the cutout, ``split`` (missing where there is none) and the
        tree's answers.

    Raises:
        VoteTableError: the votes lack a column of the tree.
    """
    columns = list(tree.columns)
    missing = [column for column in columns if column not in votes.columns]
    if missing:
        raise VoteTableError(
            f"the votes lack {len(missing)} of the tree's {len(columns)} answers, first "
            f"{missing[:3]}; read them with the campaigns of the tree"
        )
    voted = votes.loc[votes[columns].sum(axis=1) > 0, ["id_str", *columns]]
    ids = id_strs.astype(str).astype(object)
    cutouts = pd.DataFrame({"id_str": ids, "position": np.arange(len(ids))})
    table = cutouts.merge(voted.astype({"id_str": str}), on="id_str")
    split_of = splits[["id_str", "split"]].astype({"id_str": str})
    table = table.merge(split_of, on="id_str", how="left")
    return table.sort_values("id_str", ignore_index=True)


def check_campaigns(galaxies: LabelledCutouts, tree: DecisionTree) -> None:
    """Refuse a tree with a campaign that no training galaxy has votes of: it cannot be learnt.

    Raises:
        NoTrainingDataError: there is such a campaign.
    """
    n_labelled = {
        part.name: int(galaxies.labels[:, tree.places_of(part)].any(axis=1).sum())
        for part in tree.parts
    }
    unseen = [name for name, n_galaxies in n_labelled.items() if not n_galaxies]
    if unseen:
        raise NoTrainingDataError(
            f"no training galaxy has votes of {', '.join(unseen)}",
            {f"training galaxies with votes of {name}": n for name, n in n_labelled.items()},
        )


def measure_normalisation(galaxies: LabelledCutouts) -> Normalisation:
    """Mean and standard deviation of each band over evenly spread galaxies."""
    n_sampled = min(len(galaxies), _MAX_NORMALISATION_GALAXIES)
    rows = np.linspace(0, len(galaxies) - 1, n_sampled).astype(np.int64)
    images = galaxies.read(rows).images.double().div_(255)
    mean = [round(value, 6) for value in images.mean(dim=(0, 1, 2)).tolist()]
    std = [max(round(value, 6), 1e-3) for value in images.std(dim=(0, 1, 2)).tolist()]
    return Normalisation(mean, std)
