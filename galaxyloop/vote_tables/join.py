"""Accepted votes of all sources, joined by galaxy; rows rest on disk, only ids in memory."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from galaxyloop.campaigns import Campaign
from galaxyloop.decision_tree import DecisionTree

ORIGINS = ("counts", "fractions", "rebuilt", "derived")
"""Ways to have votes, from the most to the least certain: ``derived`` is an expert's attribute."""


class CampaignRows:
    """Accepted rows of one campaign, appended to a file on disk."""

    def __init__(self, campaign: Campaign, path: Path) -> None:
        """Start without rows."""
        self.campaign = campaign
        self.positions: dict[str, int] = {}
        """Id to its row in the file."""
        self._origins: list[np.ndarray] = []
        self._path = path
        self._path.touch()

    def append(
        self, id_strs: np.ndarray, votes: Int[np.ndarray, "galaxy answer"], origin: str
    ) -> None:
        """Add rows whose ids are new."""
        first = len(self.positions)
        self.positions.update(zip(id_strs, range(first, first + len(id_strs)), strict=True))
        self._origins.append(np.full(len(id_strs), ORIGINS.index(origin), dtype=np.int8))
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(votes, dtype=np.int32).tobytes())

    def open(self) -> "OpenRows":
        """The rows for reading."""
        n_answers = len(self.campaign.tree.columns)
        shape = (len(self.positions), n_answers)
        votes = (
            np.memmap(self._path, dtype=np.int32, mode="r", shape=shape)
            if self.positions
            else np.zeros(shape, dtype=np.int32)
        )
        origins = np.concatenate([np.zeros(0, dtype=np.int8), *self._origins])
        return OpenRows(self.positions, votes, origins)


class OpenRows:
    """Rows of one campaign, by galaxy."""

    def __init__(
        self,
        positions: dict[str, int],
        votes: Int[np.ndarray, "galaxy answer"],
        origins: Int[np.ndarray, " galaxy"],
    ) -> None:
        """Keep the rows."""
        self._positions, self._votes, self._origins = positions, votes, origins

    def take(
        self, id_strs: Sequence[str]
    ) -> tuple[Int[np.ndarray, "galaxy answer"], Int[np.ndarray, " galaxy"]]:
        """Votes (0 where the campaign lacks the galaxy) and the index of their origin."""
        found = np.array([self._positions.get(id_str, -1) for id_str in id_strs], dtype=np.int64)
        votes = np.zeros((len(id_strs), self._votes.shape[1]), dtype=np.int32)
        origins = np.zeros(len(id_strs), dtype=np.int8)
        votes[found >= 0] = self._votes[found[found >= 0]]
        origins[found >= 0] = self._origins[found[found >= 0]]
        return votes, origins


def write_joined(
    campaigns: Sequence[CampaignRows], tree: DecisionTree, path: Path, batch_rows: int
) -> tuple[int, str]:
    """Write one row a galaxy, in the order of first appearance.

    Where campaigns differ in how their votes were had, the row says the least certain way.

    Returns:
        The number of galaxies, and the digest of the content.
    """
    id_strs = list(dict.fromkeys(id_str for rows in campaigns for id_str in rows.positions))
    opened = [rows.open() for rows in campaigns]
    schema = pa.schema(
        [("id_str", pa.string()), ("votes_origin", pa.string())]
        + [(column, pa.int32()) for column in tree.columns]
    )
    hashes = [hashlib.sha256() for _ in range(3)]
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, len(id_strs), batch_rows):
            ids = id_strs[first : first + batch_rows]
            parts = [rows.take(ids) for rows in opened]
            votes = np.concatenate([part[0] for part in parts], axis=1)
            origins = np.max([part[1] for part in parts], axis=0)
            names = [ORIGINS[index] for index in origins]
            arrays = [pa.array(ids, pa.string()), pa.array(names, pa.string())]
            arrays += [pa.array(np.ascontiguousarray(column)) for column in votes.T]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            hashes[0].update("".join(f"{id_str}\n" for id_str in ids).encode())
            hashes[1].update(origins.astype(np.int8).tobytes())
            hashes[2].update(np.ascontiguousarray(votes).astype("<i4").tobytes())
    parts_digest = "".join(part.hexdigest() for part in hashes)
    return len(id_strs), hashlib.sha256((tree.to_json() + parts_digest).encode()).hexdigest()
