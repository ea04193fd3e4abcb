"""What reading a table gives, whatever its format: columns, and batches of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from galaxyloop.table_files.refusals import NoTableError


@dataclass(frozen=True)
class TableColumn:
    """A column of a table."""

    name: str
    kind: pa.DataType
    """What it stores; text in csv. A list where a cell holds several values."""
    unit: str = ""
    """As a FITS or VOTable file or a parquet field states it; empty if it does not."""


@dataclass(frozen=True)
class MalformedRow:
    """A csv line that has another number of cells than the header."""

    row: int
    """Position in the table, 0 is the first after the header."""
    n_cells: int
    """Cells that it has."""
    n_columns: int
    """Cells that the header has."""
    text: str = ""
    """The line."""


@dataclass(frozen=True)
class Batch:
    """Some rows of a table."""

    rows: np.ndarray
    """Position of each row in the table; numbered on through the files of a pattern."""
    table: pa.RecordBatch
    """The columns asked for; from csv all are text."""
    malformed: tuple[MalformedRow, ...] = ()
    """Lines met since the last batch that could not be cut into cells."""
    file: str = ""
    """The file they came from."""
    first_row: int = 0
    """Position in the table of that file's first row."""

    @property
    def file_rows(self) -> np.ndarray:
        """Position of each row in its file."""
        return self.rows - self.first_row


def refuse_missing(wanted: Sequence[str], names: Sequence[str], uri: str) -> None:
    """Stop at a file that lacks a column, or has one twice; of others it may have several.

    Raises:
        NoTableError: it does.
    """
    repeated = sorted(name for name in set(wanted) if list(names).count(name) > 1)
    if repeated:
        raise NoTableError(f"{uri} has the columns {repeated} twice; keep one of each")
    missing = [name for name in wanted if name not in names]
    if missing:
        shown = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
        raise NoTableError(
            f"{uri} lacks the columns {', '.join(missing)}; it has: {shown}; all files of one "
            "table need the same"
        )
