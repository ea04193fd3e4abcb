"""Labelled and unlabelled galaxies in every batch, at a set share."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Integer

from galaxyloop.config import require
from galaxyloop.errors import NoTrainingDataError
from galaxyloop.training.data import Batch, LabelledCutouts, shuffled

_LABELLED, _UNLABELLED = 1, 2
_NEW_VIEWS = 0x5851F42D4C957F2D
"""An odd number: it gives a galaxy that comes again within an epoch other views."""


@dataclass(frozen=True)
class MixedCutouts:
    """Galaxies with and without votes; no batch is without either, where there are both.

    An epoch is over when every galaxy was seen; the scarcer kind comes again until then, each
    time in a new order and with new views. All batches are of one size.

    Attributes:
        galaxies: both kinds; those whose labels are all 0 are unlabelled.
        labelled_share: of each batch, above 0 and at most 1, rounded to whole galaxies but never
            to none of a kind; 1 leaves the unlabelled galaxies out.
    """

    galaxies: LabelledCutouts
    labelled_share: float

    def __len__(self) -> int:
        """Number of galaxies."""
        return len(self.galaxies)

    @property
    def labels(self) -> Float32[np.ndarray, "galaxy label"]:
        """Zeros where there are none."""
        return self.galaxies.labels

    @cached_property
    def kinds(
        self,
    ) -> tuple[Integer[np.ndarray, " labelled"], Integer[np.ndarray, " unlabelled"]]:
        """Rows of the labelled and of the unlabelled galaxies.

        Raises:
            NoTrainingDataError: none is labelled.
        """
        is_labelled = self.galaxies.labels.any(axis=1)
        if not is_labelled.any():
            raise NoTrainingDataError(
                "no galaxy that trains has votes", {"galaxies that train": len(self.galaxies)}
            )
        return np.flatnonzero(is_labelled), np.flatnonzero(~is_labelled)

    def n_batches(self, batch_size: int) -> int:
        """Steps an epoch.

        Raises:
            ConfigError: a batch of one cannot hold both kinds.
            NoTrainingDataError: none is labelled.
        """
        counts = self._counts(batch_size)
        return max(
            math.ceil(len(rows) / n_rows)
            for rows, n_rows in zip(self.kinds, counts, strict=True)
            if n_rows
        )

    def epoch_rows(self, seed: int, epoch: int, batch_size: int) -> list[Integer[np.ndarray, "_"]]:
        """What each step reads; a pure function of (seed, epoch)."""
        n_batches = self.n_batches(batch_size)
        parts = []
        counts = self._counts(batch_size)
        for kind, rows, n_rows in zip((_LABELLED, _UNLABELLED), self.kinds, counts, strict=True):
            if n_rows:
                order = self._passes(rows, (seed, epoch, kind), n_batches * n_rows)
                parts.append(order.reshape(n_batches, n_rows))
        return list(np.concatenate(parts, axis=1))

    def read(self, rows: Integer[np.ndarray, " galaxy"]) -> Batch:
        """Images and labels; a galaxy's later passes within an epoch get other view numbers."""
        batch = self.galaxies.read(rows % len(self))
        again = (rows // len(self)).astype(np.uint64) * np.uint64(_NEW_VIEWS)
        numbers = (batch.galaxies.astype(np.uint64) ^ again) >> np.uint64(1)
        first = rows < len(self)
        return batch._replace(
            galaxies=np.where(first, batch.galaxies, numbers.astype(np.int64)), rows=rows
        )

    def names(self, rows: Integer[np.ndarray, " galaxy"]) -> list[str]:
        """Ids."""
        return self.galaxies.names(rows % len(self))

    def digest(self) -> str:
        """SHA-256 over ids, labels and pixels."""
        return self.galaxies.digest()

    def _counts(self, batch_size: int) -> tuple[int, int]:
        """Labelled and unlabelled galaxies in each batch."""
        labelled, unlabelled = self.kinds
        if not len(unlabelled) or self.labelled_share == 1:
            return min(batch_size, len(labelled)), 0
        require(
            batch_size >= 2,
            f"batch_size must be >= 2 to hold galaxies with and without votes, got {batch_size}",
        )
        n_labelled = min(max(round(self.labelled_share * batch_size), 1), batch_size - 1)
        return n_labelled, batch_size - n_labelled

    def _passes(
        self, rows: Integer[np.ndarray, " galaxy"], keys: tuple[int, int, int], n_wanted: int
    ) -> Integer[np.ndarray, " wanted"]:
        """As many rows as wanted, pass after pass, each pass in an order of its own."""
        seed, epoch, kind = keys
        n_passes = math.ceil(n_wanted / len(rows))
        orders = [
            rows[shuffled(len(rows), seed, epoch, kind, i)] + i * len(self) for i in range(n_passes)
        ]
        return np.concatenate(orders)[:n_wanted]
