"""Accepted votes of all sources, joined by galaxy; rows rest on disk, only hashes in memory."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int

from galaxyloop.campaigns import Campaign
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.vote_tables.id_index import IdIndex, cut_texts

ORIGINS = ("counts", "fractions", "rebuilt", "derived")
"""Ways to have votes, from the most to the least certain: ``derived`` is an expert's attribute."""


class VotesWriter:
    """Writes votes.parquet as rows come, and digests what it writes."""

    def __init__(self, path: Path, tree: DecisionTree) -> None:
        """Open the file."""
        self.n_galaxies = 0
        self._tree = tree
        self._schema = pa.schema(
            [("id_str", pa.string()), ("votes_origin", pa.string())]
            + [(column, pa.int32()) for column in tree.columns]
        )
        self._hashes = [hashlib.sha256() for _ in range(3)]
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            # Small counts differ by little: as small as a dictionary, and written in half the time.
            use_dictionary=["votes_origin"],
            column_encoding=dict.fromkeys(tree.columns, "DELTA_BINARY_PACKED"),
        )

    def __enter__(self) -> "VotesWriter":
        """The writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._writer.close()

    def write(
        self,
        ids: pa.StringArray,
        origins: Int[np.ndarray, " galaxy"],
        votes: Int[np.ndarray, "galaxy answer"],
    ) -> None:
        """Append galaxies: id, index in ``ORIGINS``, and an int32 for each answer of the tree."""
        if not len(ids):
            return
        names = pa.DictionaryArray.from_arrays(origins.astype(np.int8), list(ORIGINS))
        arrays = [ids, names.cast(pa.string())]
        arrays += [pa.array(np.ascontiguousarray(column)) for column in votes.T]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._hashes[0].update(cut_texts(pc.binary_join_element_wise(ids, "", "\n"))[2].data)
        self._hashes[1].update(origins.astype(np.int8).tobytes())
        self._hashes[2].update(np.ascontiguousarray(votes, dtype="<i4").data)
        self.n_galaxies += len(ids)

    def digest(self) -> str:
        """SHA-256 over the tree, ids, origins and votes, in order."""
        parts = "".join(part.hexdigest() for part in self._hashes)
        return hashlib.sha256((self._tree.to_json() + parts).encode()).hexdigest()


class CampaignRows:
    """Accepted rows of one campaign on disk, in the order of ``seen``."""

    def __init__(self, campaign: Campaign, folder: Path) -> None:
        """Start without rows; ``folder`` is for files that nobody else reads."""
        self.seen = IdIndex(folder, campaign.name)
        """The campaign's galaxies; whoever appends rows must add their ids."""
        self._n_answers = len(campaign.tree.columns)
        self._path = folder / f"{campaign.name}.votes"
        self._path.touch()

    def append(
        self, origins: Int[np.ndarray, " galaxy"], votes: Int[np.ndarray, "galaxy answer"]
    ) -> None:
        """Add the rows of the ids that were added to ``seen`` last."""
        rows = np.concatenate([origins[:, None], votes], axis=1).astype(np.int32)
        with self._path.open("ab") as file:
            file.write(np.ascontiguousarray(rows).tobytes())

    def take(
        self, ids: pa.StringArray
    ) -> tuple[Int[np.ndarray, " galaxy"], Int[np.ndarray, "galaxy answer"]]:
        """Index of the origin and votes of each galaxy, 0 where the campaign lacks it."""
        taken = np.zeros((len(ids), 1 + self._n_answers), dtype=np.int32)
        if len(self.seen):
            found = self.seen.find(ids)
            shape = (len(self.seen), 1 + self._n_answers)
            rows = np.memmap(self._path, dtype=np.int32, mode="r", shape=shape)
            taken[found >= 0] = rows[found[found >= 0]]
        return taken[:, 0], taken[:, 1:]


def write_joined(campaigns: Sequence[CampaignRows], writer: VotesWriter, batch_rows: int) -> None:
    """Write one row a galaxy, in the order of first appearance, one campaign after the other.

    Where campaigns differ in how their votes were had, the row says the least certain way.
    """
    for number, campaign in enumerate(campaigns):
        for first in range(0, len(campaign.seen), batch_rows):
            stop = min(first + batch_rows, len(campaign.seen))
            ids = campaign.seen.ids.read(first, stop)
            is_new = np.ones(len(ids), dtype=bool)
            for earlier in campaigns[:number]:
                is_new &= earlier.seen.find(ids) < 0
            ids = ids.filter(pa.array(is_new))
            parts = [rows.take(ids) for rows in campaigns]
            origins = np.max([part[0] for part in parts], axis=0)
            writer.write(ids, origins, np.concatenate([part[1] for part in parts], axis=1))
