"""Studies of few labels with made-up results, for their tests."""

from typing import Any

import pandas as pd

from galaxyloop.label_efficiency.arms import standard_arms
from galaxyloop.label_efficiency.cells import CELL_CODE, METRICS, Cell, list_cells
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.table import COLUMNS, results_table

N_STEPS = [80, 100, 140, 240]
DIGESTS = {"checkpoint_digest": "c" * 64, "config_digest": "d" * 64}


def ids(n_galaxies: int) -> list[str]:
    return [f"galaxy{i}" for i in range(n_galaxies)]


def study(**settings: Any) -> LabelEfficiencyConfig:  # noqa: ANN401 - of any field
    return LabelEfficiencyConfig(arms=standard_arms(), **{"n_steps": N_STEPS, **settings})


def result(cell: Cell, auc: float, balanced_accuracy: float = 0.7) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, 0.0) | {"precision": "float32"}
    values = {"auc": auc, "balanced_accuracy": balanced_accuracy, "accuracy": 0.8}
    for name in METRICS:
        row |= {name: values[name], f"{name}_test_low": 0.6, f"{name}_test_high": 0.9}
    return {**row, **vars(cell), "n_positive": 9, "n_test": 500, "code": CELL_CODE, **DIGESTS}


def results_of(config: LabelEfficiencyConfig, auc: dict[str, float]) -> pd.DataFrame:
    return results_table(
        result(cell, auc.get(cell.arm, 0.7) + 0.001 * cell.draw, auc.get(cell.arm, 0.7) - 0.05)
        for cell in list_cells(config)
    )
