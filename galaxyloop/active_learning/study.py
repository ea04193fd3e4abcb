"""Playing a study on one machine, cell after cell, resumable."""

from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from galaxyloop.active_learning.config import ActiveLearningConfig
from galaxyloop.active_learning.data import LoopData
from galaxyloop.active_learning.rounds import Cell, cell_digest, list_cells, play_cell
from galaxyloop.active_learning.table import append_rows, find_rows, read_results, results_table


def run_study(config: ActiveLearningConfig, data: LoopData, table: Path) -> pd.DataFrame:
    """Play the cells that are missing in a table.

    Every finished cell's lines are written at once, so a study that was cut short goes on where
    it was, and arms or seeds can be added later. Lines count if settings and data are the same;
    lines of others stay and are not used.

    Args:
        config: the study.
        data: features and votes.
        table: csv file of finished cells.

    Returns:
        The rows of this study, ``table.COLUMNS``.

    Raises:
        LabelError: the pool is smaller than all rounds need.
        StorageError: the file holds another table.
    """
    known = read_results(table)
    rows: list[dict[str, Any]] = []
    for cell in tqdm(list_cells(config), "active learning", disable=None):
        digest = cell_digest(cell, config, data.digest())
        found = find_rows(known, cell.arm, digest, config.n_rounds + 1)
        if not found:
            append_rows(table, play_and_sign(cell, config, data))
            # As a later run will read them, so that both tell the same to the last digit.
            found = find_rows(read_results(table), cell.arm, digest, config.n_rounds + 1)
        rows += found
    return results_table(rows)


def play_and_sign(cell: Cell, config: ActiveLearningConfig, data: LoopData) -> list[dict[str, Any]]:
    """A cell's rows with its digest, ``table.COLUMNS``; errors as of ``play_cell``."""
    digest = cell_digest(cell, config, data.digest())
    return [{**row, "cell_digest": digest} for row in play_cell(cell, config, data)]
