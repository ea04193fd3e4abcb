"""The rows of a Panoptes export of classifications as text, whatever file they are stored in."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.cells import read_ids, read_texts
from galaxyloop.vote_tables.settings import VoteSource

_IDS = ("classification_id", "workflow_id", "subject_ids")


class ClassificationRow(NamedTuple):
    """The cells of a row that are read; empty where the export has no such column."""

    classification_id: str
    workflow_id: str
    created_at: str
    annotations: str
    subject_ids: str
    user_name: str
    user_id: str
    workflow_version: str
    gold_standard: str
    metadata: str
    subject_data: str


def find_row_columns(header: Sequence[str], source: VoteSource) -> list[str]:
    """The columns to read.

    Raises:
        VoteTableError: one that is needed is not there.
    """
    config = source.classifications
    needed = list(ClassificationRow._fields[:6])
    needed += ["metadata"] if config.need_finished else []
    needed += ["subject_data"] if source.subject_key else []
    needed += ["workflow_version"] if config.min_version or config.max_version else []
    missing = [name for name in needed if name not in header]
    if missing:
        raise VoteTableError(
            f"{source.uri} is no export of classifications: it lacks {', '.join(missing)} (it has "
            f"{', '.join(header[:8])}); give the classifications export of the workflow, or leave "
            "classifications out"
        )
    optional = [name for name in ("user_id", "gold_standard") if name in header]
    return [*needed, *optional]


def read_rows(
    table: pa.RecordBatch, columns: Sequence[str], uri: str
) -> Iterator[ClassificationRow]:
    """The rows of a batch.

    Raises:
        VoteTableError: a column is stored in a way that may have lost digits, or is no text.
    """
    nothing = np.full(table.num_rows, "", dtype=object)
    cells = []
    for name in ClassificationRow._fields:
        read = read_ids if name in _IDS else read_texts
        cells.append(read(table.column(name), name, uri) if name in columns else nothing)
    return map(ClassificationRow._make, zip(*cells, strict=True))
