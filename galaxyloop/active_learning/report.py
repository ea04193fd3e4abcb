"""A study's results as files: cells, curves, savings and a figure."""

from pathlib import Path

import pandas as pd

from galaxyloop.active_learning.config import ActiveLearningConfig
from galaxyloop.active_learning.savings import summarise_curves, tabulate_savings
from galaxyloop.plots.active_learning import plot_active_learning
from galaxyloop.plots.style import LIGHT, new_figure, paint

FILES = ("cells.csv", "curves.csv", "savings.csv", "active_learning.png")
_DIGITS = 5
_SHOWN = [
    *("arm", "n_seeds", "labels_needed", "saving", "saving_low", "saving_high"),
    *("area", "area_low", "area_high", "last_error"),
]


def write_report(
    results: pd.DataFrame, config: ActiveLearningConfig, directory: Path
) -> tuple[str, list[Path]]:
    """Write ``FILES``.

    Args:
        results: rows of the study's cells.
        config: of the study; its measure is drawn and told.
        directory: where to; it must exist.

    Returns:
        The measure and the savings as text, and the files.
    """
    curves, savings = summarise_curves(results, config), tabulate_savings(results, config)
    paths = [directory / name for name in FILES]
    for table, path in zip((results, curves, savings), paths, strict=False):
        table.round(_DIGITS).to_csv(path, index=False)
    figure, (ax,) = new_figure(6.2, 4.2)
    plot_active_learning(curves, savings, config.measure, ax)
    paint(figure, LIGHT).savefig(paths[-1])
    told = savings[savings["measure"] == config.measure][_SHOWN]
    return f"{config.measure}\n{told.round(_DIGITS).to_string(index=False)}", paths
