"""Ids that come twice in a table of any length, found by one part of them at a time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxyloop.scratch import ScratchTables

N_PARTS = 128
"""Parts that ids are put in by their hash; memory holds one part."""


class RowIds:
    """The ids of a table's rows, on disk."""

    def __init__(self, directory: Path) -> None:
        """Begin with none, in a directory that is not there yet."""
        self._parts = ScratchTables(directory)

    def add(self, ids: pd.Series) -> None:
        """Take note of some more ids, by their row; rows come in ascending order."""
        hashes = pd.util.hash_pandas_object(ids, index=False, categorize=False).to_numpy()
        rows = pa.table({"row": ids.index.to_numpy(), "id_str": pa.array(ids, pa.string())})
        self._parts.add(rows, (hashes % np.uint64(N_PARTS)).astype(np.int64))

    def take_repeated(self) -> pd.Series:
        """The ids that an earlier row has too, by row; memory grows with them. None are left."""
        found = [pd.Series(dtype=str, index=pd.Index([], dtype=np.int64))]
        for part in sorted(self._parts.places):
            ids = self._parts.take(part).to_pandas().set_index("row")["id_str"]
            found.append(ids[ids.duplicated()])
        repeated: pd.Series = pd.concat(found).sort_index()
        return repeated
