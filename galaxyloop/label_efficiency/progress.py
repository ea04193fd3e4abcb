"""What is known of a study under way: finished pretrainings and cells, and what is missing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galaxyloop.label_efficiency.cells import Cell, cell_digest, list_cells
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import StudyData
from galaxyloop.label_efficiency.pretraining import pretraining_key, with_threads
from galaxyloop.label_efficiency.table import (
    PRETRAINING_COLUMNS,
    find_row,
    read_results,
    read_rows,
)


@dataclass(frozen=True)
class StudyPlaces:
    """Where a study's files lie."""

    data: Path
    """Written by ``save_study``."""
    work: Path
    """Receives checkpoints, and the states of those that are under way."""
    cells: Path
    """Table of finished cells (csv), to which lines are added."""

    @property
    def pretrainings(self) -> Path:
        """Table of finished pretrainings, beside that of the cells."""
        return self.cells.with_name("pretrainings.csv")


@dataclass
class Progress:
    """What is known of a study under way."""

    config: LabelEfficiencyConfig
    places: StudyPlaces
    data_digest: str
    keys: dict[str, str] = field(default_factory=dict)
    """Arm to the key of its pretraining."""
    digests: dict[str, str] = field(default_factory=dict)
    """Arm to the digest of its checkpoint, as soon as it is known."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the study's finished cells."""

    def directory(self, arm: str) -> Path:
        """Of an arm's checkpoint."""
        return self.places.work / "checkpoints" / f"{arm}-{self.keys[arm][:16]}"

    def known_digest(self, key: str) -> str:
        """Of the checkpoint that a pretraining gave, here or elsewhere; empty if not known."""
        rows = read_rows(self.places.pretrainings, PRETRAINING_COLUMNS)
        digests = [str(row["checkpoint_digest"]) for row in rows if row["pretraining_key"] == key]
        return digests[-1] if digests else ""

    def is_wanted(self, arm: ArmConfig, digest: str, data: StudyData) -> bool:
        """Whether a checkpoint is needed: by the arm's own cells, or by an arm that starts from it.

        Args:
            arm: whose pretraining is known.
            digest: of the checkpoint that it gave.
            data: the study's.
        """
        if self.look_up(arm, digest)[1]:
            return True
        for other in self.config.arms:
            if other.start == arm.name:
                threaded = with_threads(other, self.config.n_threads)
                known = self.known_digest(pretraining_key(threaded, data, digest))
                if not known or self.is_wanted(other, known, data):
                    return True
        return False

    def look_up(self, arm: ArmConfig, digest: str) -> tuple[list[dict[str, Any]], list[Cell]]:
        """Rows of an arm's finished cells, and the cells that are missing.

        Args:
            arm: one of the study's.
            digest: of its checkpoint; empty without one.
        """
        results = read_results(self.places.cells)
        rows, missing = [], []
        for cell in list_cells(self.config):
            if cell.arm == arm.name:
                key = cell_digest(cell, self.config, self.data_digest)
                row = find_row(results, cell, digest, key)
                if row is None:
                    missing.append(cell)
                else:
                    rows.append(row)
        return rows, missing
