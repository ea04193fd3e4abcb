"""Tables of a scaling study: every cell, means over seeds, laws, and curves to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from galaxyloop.errors import ScalingError
from galaxyloop.scaling.cells import list_cells
from galaxyloop.scaling.choice import fit_cells, foretell_doubling, hold_out_largest
from galaxyloop.scaling.config import LawConfig, ScalingConfig
from galaxyloop.scaling.laws import FORMS, Law, interval

ERRORS = {"nll": "nats a galaxy", "rmse": "vote fraction"}
"""Held-out errors that laws are fitted to, with their units."""
CELL_COLUMNS = (
    *("encoder", "fraction", "seed", "n_galaxies", "n_votes", "n_parameters", "n_steps"),
    *(*ERRORS, "n_test", "cpu_seconds", "error"),
)
"""Of the table of cells; ``error`` says why the numbers of a cell are missing."""
LAW_COLUMNS = (
    *("encoder", "metric", "form", "is_chosen", "exponent", "exponent_low", "exponent_high"),
    *("scale", "floor", "floor_low", "floor_high", "spread", "held_out", "foretold"),
    *("foretold_low", "foretold_high", "n_galaxies", "error", "error_doubled"),
    *("gain", "gain_low", "gain_high", "n_cells", "n_failed", "note"),
)
"""Of the table of laws; ``note`` says why an encoder has none."""
CURVE_COLUMNS = ("encoder", "metric", "form", "n_galaxies", "value", "low", "high")
_POINTS = 40
_UNTOLD = "failed; the log of its task says why"


def collect_cells(
    config: ScalingConfig, rows: Sequence[Mapping[str, Any] | None], reasons: Sequence[str]
) -> pd.DataFrame:
    """One line for each cell of a study, those that failed with the reason.

    Args:
        config: the study.
        rows: what ``run_cell`` gave for each of ``list_cells``; None if it failed.
        reasons: why it failed; empty where that is not known.

    Returns:
        ``CELL_COLUMNS``, in the order of ``list_cells``.

    Raises:
        ScalingError: there are not as many rows as cells.
    """
    cells = list_cells(config)
    if not len(cells) == len(rows) == len(reasons):
        raise ScalingError(
            f"a study of {len(cells)} cells needs as many rows and reasons, got {len(rows)} and "
            f"{len(reasons)}; give None for a cell that failed"
        )
    lines = []
    for cell, row, reason in zip(cells, rows, reasons, strict=True):
        place = {"encoder": cell.run.encoder, "fraction": cell.fraction, "seed": cell.seed}
        error = "" if row is not None else reason or _UNTOLD
        lines.append({**place, **(row or {}), "error": error})
    table = pd.DataFrame(lines, columns=list(CELL_COLUMNS))
    kinds = dict.fromkeys(("fraction", *ERRORS, "cpu_seconds"), "float64")
    counts = [name for name in CELL_COLUMNS if name not in (*kinds, "encoder", "error")]
    return table.astype(kinds | dict.fromkeys(counts, "Int64"))


def summarise_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds: a row for each encoder and fraction, as papers print them.

    Args:
        cells: ``CELL_COLUMNS``.

    Returns:
        ``encoder``, ``fraction``, ``n_cells`` that finished, ``n_failed``, and of each of
        ``n_galaxies``, ``n_votes``, ``n_parameters`` and the errors the mean; of the errors
        ``<name>_std`` over seeds too (NaN of one).
    """
    rows = []
    for (encoder, fraction), group in cells.groupby(["encoder", "fraction"], sort=False):
        done = group[group["error"] == ""]
        row = {"encoder": encoder, "fraction": fraction}
        row |= {"n_cells": len(done), "n_failed": len(group) - len(done)}
        row |= {name: done[name].mean() for name in ("n_galaxies", "n_votes", "n_parameters")}
        for name in ERRORS:
            row |= {name: done[name].mean(), f"{name}_std": done[name].std(ddof=1)}
        rows.append(row)
    return pd.DataFrame(rows)


def fit_laws(cells: pd.DataFrame, config: LawConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both laws of each encoder and error, which is to be gone by, and the next doubling's gain.

    Args:
        cells: ``CELL_COLUMNS``; those that failed are left out and counted.
        config: how laws are fitted.

    Returns:
        ``LAW_COLUMNS``, two rows for each encoder and error, or one with a note; and
        ``CURVE_COLUMNS``, from the smallest number of galaxies to twice the largest.
    """
    laws, curves = [], []
    for encoder, group in cells.groupby("encoder", sort=False):
        for metric in ERRORS:
            place = {"encoder": encoder, "metric": metric}
            done = group[(group["error"] == "") & group[metric].notna()]
            counted = {"n_cells": len(done), "n_failed": len(group) - len(done)}
            try:
                found, drawn = _fit(done, metric, config)
            except ScalingError as error:
                note = str(error) if len(done) else f"all cells failed: {_first_reason(group)}"
                found, drawn = [{"form": "", "is_chosen": False, "note": note}], []
            laws += [{"note": "", **place, **counted, **row} for row in found]
            curves += [curve.assign(**place) for curve in drawn]
    empty = pd.DataFrame(columns=list(CURVE_COLUMNS))
    table = pd.concat(curves, ignore_index=True)[list(CURVE_COLUMNS)] if curves else empty
    return pd.DataFrame(laws, columns=list(LAW_COLUMNS)), table


def _fit(
    cells: pd.DataFrame, metric: str, config: LawConfig
) -> tuple[list[dict[str, Any]], list[pd.DataFrame]]:
    """Rows and curves of one encoder and error."""
    held_out = hold_out_largest(cells, metric, config)
    n_galaxies = float(cells.loc[cells["fraction"] == cells["fraction"].max(), "n_galaxies"].mean())
    rows, curves = [], []
    for form in FORMS:
        law = fit_cells(cells, metric, form, config)
        doubling = asdict(foretell_doubling(law, n_galaxies, config))
        of_power = {"foretold_low": held_out.power_low, "foretold_high": held_out.power_high}
        rows.append(
            {
                "form": form,
                "is_chosen": form == held_out.form,
                **_numbers(law, config),
                "held_out": held_out.observed,
                "foretold": getattr(held_out, form),
                **(of_power if form == "power" else {}),
                **doubling,
            }
        )
        curves.append(_curve(law, float(cells["n_galaxies"].min()), 2 * n_galaxies, config))
    return rows, curves


def _numbers(law: Law, config: LawConfig) -> dict[str, float]:
    """A law's own numbers with their intervals."""
    exponent_low, exponent_high = interval(law.exponents, config.level)
    floor_low, floor_high = interval(law.floors, config.level)
    return {
        "exponent": law.exponent,
        "exponent_low": exponent_low,
        "exponent_high": exponent_high,
        "scale": law.scale,
        "floor": law.floor,
        "floor_low": floor_low,
        "floor_high": floor_high,
        "spread": law.spread,
    }


def _curve(law: Law, first: float, last: float, config: LawConfig) -> pd.DataFrame:
    """A law with its band."""
    sizes = np.geomspace(first, last, _POINTS)
    tails = [(1 - config.level) / 2, (1 + config.level) / 2]
    low, high = np.quantile(law.draw(sizes), tails, axis=0)
    columns = {"n_galaxies": sizes, "value": law.predict(sizes), "low": low, "high": high}
    return pd.DataFrame(columns).assign(form=law.form)


def _first_reason(cells: pd.DataFrame) -> str:
    """Why the first of these cells failed."""
    reasons = [str(error) for error in cells["error"] if error]
    return reasons[0] if reasons else "no votes of test galaxies to compare with"
