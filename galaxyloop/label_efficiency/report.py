"""A study's results as files: cells, summary, differences and a figure."""

from pathlib import Path

import pandas as pd

from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.summary import summarise_cells, tabulate_differences
from galaxyloop.plots.label_efficiency import plot_label_efficiency_panel
from galaxyloop.plots.style import LIGHT, new_figure, paint

BASELINE = "direct"
_DIGITS = 4
_SHOWN = ["arm", "kind", "n_labels", "n_draws", "auc", "auc_std", "balanced_accuracy", "note"]


def write_report(
    results: pd.DataFrame, config: LabelEfficiencyConfig, directory: Path
) -> tuple[str, list[Path]]:
    """Write ``cells_of_study.csv``, ``label_efficiency.csv``, ``differences.csv`` and the figure.

    Args:
        results: rows of the study's cells.
        config: of the study.
        directory: where to; it must exist.

    Returns:
        The summary as text, and the files. Without the arm ``direct`` there are no differences.
    """
    tables = {
        "cells_of_study.csv": results,
        "label_efficiency.csv": summarise_cells(results, config),
    }
    if BASELINE in set(results["arm"]):
        tables["differences.csv"] = tabulate_differences(results, config, BASELINE)
    paths = []
    for name, table in tables.items():
        paths.append(directory / name)
        table.round(_DIGITS).to_csv(paths[-1], index=False)
    summary = tables["label_efficiency.csv"]
    figure, axes = new_figure(9.2, 5.6, 2, 2)
    plot_label_efficiency_panel(summary, axes)
    paths.append(directory / "label_efficiency.png")
    paint(figure, LIGHT).savefig(paths[-1])
    return summary[_SHOWN].round(_DIGITS).to_string(index=False), paths
