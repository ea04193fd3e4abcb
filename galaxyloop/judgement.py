"""What a judge of tables finds wrong stops the run; the judges themselves are ``schemas``'."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import read_batches

TableJudge = Callable[[pd.DataFrame, DecisionTree], pd.DataFrame]
"""Takes a table, or a part of one, and its tree; returns ``row, column, value, reason`` of every
fault. Row is the position in the part; row, column and value are empty where none is meant."""


def check_table(table: pd.DataFrame, tree: DecisionTree, judge: TableJudge, what: str) -> None:
    """Refuse a table in memory that its judge finds fault with.

    Args:
        table: such as an acquisition list.
        tree: whose questions and answers it holds.
        judge: such as ``schemas.acquisition.judge_acquisition``.
        what: name of the table, for the message.

    Raises:
        CatalogueError: there is a fault; names the first row, column, value and reason.
    """
    _refuse(judge(table, tree), what, 0)


def check_file(path: Path, tree: DecisionTree, judge: TableJudge) -> int:
    """Refuse a parquet table on disk that its judge finds fault with.

    It is read as it was written, a row group at a time, so memory does not grow with the table; a
    fault between rows of two row groups is not seen.

    Args:
        path: such as a shard's predictions or a catalogue.
        tree: whose questions and answers it holds.
        judge: such as ``schemas.catalogue.judge_catalogue``.

    Returns:
        The rows that were judged.

    Raises:
        CatalogueError: there is a fault; names the first row, column, value and reason.
    """
    first_row = 0
    for batch in read_batches(path):
        _refuse(judge(batch.to_pandas(), tree), str(path), first_row)
        first_row += batch.num_rows
    return first_row


def _refuse(faults: pd.DataFrame, what: str, first_row: int) -> None:
    """Raise the first fault, counting rows from ``first_row``."""
    if faults.empty:
        return
    fault = faults.iloc[0]
    place = "" if pd.isna(fault["row"]) else f" in row {first_row + int(fault['row'])}"
    if fault["column"]:
        place += f", column '{fault['column']}': got {fault['value']}"
    raise CatalogueError(
        f"{what} breaks its rules{place}: {fault['reason']} ({len(faults)} such faults at least); "
        "look at the checkpoint's log and at the inputs of this step, then make the table again"
    )
