"""A scaling study as files: cells, means, laws, a figure, and all of it as JSON."""

import json
from pathlib import Path

import pandas as pd

from galaxyloop.plots.scaling import plot_encoder_sizes, plot_scaling
from galaxyloop.plots.style import LIGHT, new_figure, paint
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.scaling.summary import ERRORS, fit_laws, summarise_cells

_DIGITS = 5


def write_report(
    cells: pd.DataFrame, config: ScalingConfig, directory: Path
) -> tuple[str, list[Path]]:
    """Write ``scaling_cells.csv``, ``scaling.csv``, ``scaling_laws.csv``, the figure, and JSON.

    Args:
        cells: ``CELL_COLUMNS``.
        config: of the study.
        directory: where to; it must exist.

    Returns:
        What came out in words, and the files; ``scaling.json``, with all tables, is the last.
    """
    summary = summarise_cells(cells)
    laws, curves = fit_laws(cells, config.laws)
    tables = {"scaling_cells": cells, "scaling": summary, "scaling_laws": laws}
    paths = [directory / f"{name}.csv" for name in tables]
    for table, path in zip(tables.values(), paths, strict=True):
        table.to_csv(path, index=False, float_format=f"%.{_DIGITS}g")
    done = cells[cells["error"] == ""]
    if len(done):
        paths.append(_draw(done, summary, laws, curves, directory / "scaling.png"))
    told = describe_study(cells, laws)
    content = {
        "told": told.splitlines(),
        "study": config.to_dict(),
        **{name: json.loads(table.to_json(orient="records")) for name, table in tables.items()},
    }
    paths.append(directory / "scaling.json")
    paths[-1].write_text(json.dumps(content, indent=1) + "\n")
    return told, paths


def describe_study(cells: pd.DataFrame, laws: pd.DataFrame) -> str:
    """A line for each encoder and error, and one for the cells that failed.

    Args:
        cells: ``CELL_COLUMNS``.
        laws: ``LAW_COLUMNS``.
    """
    lines = [_describe_law(law) for _, law in laws.iterrows() if law["is_chosen"] or law["note"]]
    failed = cells[cells["error"] != ""]
    lines.append(f"{len(cells) - len(failed)} of {len(cells)} cells finished")
    for cell in failed.itertuples():
        place = f"{cell.encoder}, fraction {cell.fraction:g}, seed {cell.seed}"
        lines.append(f"failed: {place}: {cell.error}")
    return "\n".join(lines)


def _describe_law(law: pd.Series) -> str:
    """What one encoder's error does, and what twice the votes would do."""
    name = f"{law['encoder']} {law['metric']}"
    if law["note"]:
        return f"{name}: no law; {law['note']}"
    floor = f"{law['floor']:.4g} + " if law["form"] == "saturating" else ""
    return (
        f"{name} = {floor}{law['scale']:.4g} n^-{law['exponent']:.3f} ({ERRORS[law['metric']]}; "
        f"exponent {law['exponent_low']:.3f} to {law['exponent_high']:.3f}); the next doubling of "
        f"votes, from {law['n_galaxies']:.0f} to {2 * law['n_galaxies']:.0f} galaxies, gains "
        f"{100 * law['gain']:.1f} % ({100 * law['gain_low']:.1f} to {100 * law['gain_high']:.1f})"
    )


def _draw(
    done: pd.DataFrame,
    summary: pd.DataFrame,
    laws: pd.DataFrame,
    curves: pd.DataFrame,
    path: Path,
) -> Path:
    """Both errors against galaxies, and the first against parameters."""
    figure, axes = new_figure(11.4, 3.6, 1, len(ERRORS) + 1)
    key = ["encoder", "metric", "form"]
    chosen = curves.merge(laws.loc[laws["is_chosen"].astype(bool), key], on=key)
    for metric, ax in zip(ERRORS, axes, strict=False):
        plot_scaling(done, chosen, metric, ax)
    axes[0].legend(frameon=False, fontsize=8)
    plot_encoder_sizes(summary, next(iter(ERRORS)), axes[-1])
    paint(figure, LIGHT).savefig(path)
    return path
