"""Rows that are not used: each once, with the value and the reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.table_files import MalformedRow

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("source", pa.string()),
        ("id_str", pa.string()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass
class BatchRejects:
    """Rows of one batch that are rejected; the first reason found for a row stays."""

    rows: np.ndarray
    """Position in the source of each row of the batch."""
    id_strs: Any
    """Id of each row of the batch: an Arrow array of text, or an array of objects."""
    found: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Position in the batch to column, value and reason."""
    known: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Positions of rows that are set aside, as an earlier source gave their galaxies' votes."""

    def add(self, mask: np.ndarray, column: str, values: np.ndarray, reason: str) -> None:
        """Reject the rows where the mask is true."""
        # Most masks are empty, and any() is quick to see it.
        if not mask.any():
            return
        for position in np.flatnonzero(mask):
            self.add_one(int(position), column, values[position], reason)

    def add_one(self, position: int, column: str, value: object, reason: str) -> None:
        """Reject one row of the batch."""
        self.found.setdefault(position, (column, show(value), reason))

    @property
    def accepted(self) -> np.ndarray:
        """True for the rows that are neither rejected nor known."""
        mask = np.ones(len(self.rows), dtype=bool)
        mask[list(self.found)] = False
        mask[self.known] = False
        return mask

    def without(self, is_absent: np.ndarray) -> "BatchRejects":
        """The same without some rows, which must not be rejected."""
        here = np.flatnonzero(~is_absent)
        place = {int(position): i for i, position in enumerate(here)} if self.found else {}
        found = {place[position]: why for position, why in self.found.items()}
        return BatchRejects(self.rows[here], self.id_strs.take(pa.array(here)), found)

    def lines(self, source: str) -> list[dict[str, Any]]:
        """The rejected rows as lines of the rejects table, in the order of the source."""
        return [
            {
                "row": int(self.rows[position]),
                "source": source,
                "id_str": str(self.id_strs[position]),
                "column": column,
                "value": value,
                "reason": reason,
            }
            for position, (column, value, reason) in sorted(self.found.items())
        ]


def show(value: object) -> str:
    """A value as text: whole floats without their decimals, missing ones as nothing."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def malformed_lines(malformed: Sequence[MalformedRow], source: str) -> list[dict[str, Any]]:
    """Csv lines that could not be cut into cells, as lines of the rejects table."""
    return [
        {
            "row": line.row,
            "source": source,
            "id_str": "",
            "column": "",
            "value": f"{line.n_cells} cells",
            "reason": f"the line must have {line.n_columns} cells like the header; mend it",
        }
        for line in malformed
    ]


class RejectsCounter:
    """Counts the reasons of rejects."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.reasons: Counter[str] = Counter()

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Take note of rows of votes."""
        self.reasons.update(line["reason"] for line in lines)
        self.store(lines)

    def store(self, lines: list[dict[str, Any]]) -> None:
        """Keep lines without counting their reasons; a counter keeps none."""


class RejectsWriter(RejectsCounter):
    """Writes rejects.parquet as lines come, and counts the reasons."""

    def __init__(self, path: str) -> None:
        """Open the file."""
        super().__init__()
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")

    def __enter__(self) -> "RejectsWriter":
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

    def store(self, lines: list[dict[str, Any]]) -> None:
        """Append lines without counting their reasons."""
        if lines:
            self._writer.write_table(pa.Table.from_pylist(lines, schema=SCHEMA))
