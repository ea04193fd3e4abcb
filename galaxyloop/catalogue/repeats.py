"""Galaxies that come twice: found in bounded memory."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from galaxyloop.errors import CatalogueError

MAX_HASHES = 4_000_000
"""Hashes kept at once: 8 bytes each."""


class RepeatedIds:
    """Looks for ids that come twice among any number of them.

    Up to ``MAX_HASHES`` ids all are compared. Of more, those whose hash is in the lowest half, then
    quarter, and so on: an equal share of the ids, and of the repeated ones both or none. So
    repeats of more than a few galaxies are found in any number.
    """

    def __init__(self) -> None:
        """Begin with no ids."""
        self._bound = np.uint64(2**64 - 1)
        self._parts: list[npt.NDArray[np.uint64]] = []
        self._n_kept = 0

    def add(self, ids: npt.NDArray[np.object_]) -> None:
        """Take note of some more ids."""
        hashes = np.asarray(pd.util.hash_array(ids, categorize=False), dtype=np.uint64)
        self._keep(hashes[hashes <= self._bound])
        while self._n_kept > MAX_HASHES:
            self._bound = self._bound // np.uint64(2)
            kept = np.concatenate(self._parts)
            self._parts, self._n_kept = [], 0
            self._keep(kept[kept <= self._bound])

    def check(self) -> None:
        """Refuse ids that came twice.

        Raises:
            CatalogueError: some did.
        """
        hashes = np.concatenate(self._parts) if self._parts else np.empty(0, np.uint64)
        n_repeated = len(hashes) - len(np.unique(hashes))
        if n_repeated:
            raise CatalogueError(
                f"{n_repeated} of {len(hashes)} galaxies compared are predicted twice; give each "
                "chunk of one survey version once, with the predictions of that chunk"
            )

    def _keep(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Remember hashes."""
        self._parts.append(hashes)
        self._n_kept += len(hashes)
