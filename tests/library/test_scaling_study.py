"""Tables, laws, figure and words of a scaling study."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import ScalingError
from galaxyloop.plots.scaling import plot_encoder_sizes, plot_scaling
from galaxyloop.plots.style import new_figure
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.scaling.report import write_report
from galaxyloop.scaling.summary import (
    CELL_COLUMNS,
    CURVE_COLUMNS,
    LAW_COLUMNS,
    collect_cells,
    fit_laws,
    summarise_cells,
)
from tests.library.scaling_cells import N_LARGEST, QUICK, planted_rows

EXPONENTS = {"resnet_mini": 0.2, "resnet18": 0.35}


def study(*encoders: str) -> ScalingConfig:
    return ScalingConfig(encoders=list(encoders), laws=QUICK)


def collected(config: ScalingConfig, failed: dict[int, str] | None = None) -> pd.DataFrame:
    rows, reasons = planted_rows(config, EXPONENTS), [""] * 12 * len(config.encoders)
    for place, reason in (failed or {}).items():
        rows[place], reasons[place] = None, reason
    return collect_cells(config, rows, reasons)


def test_collect_cells__loses_no_cell_and_says_why_one_failed() -> None:
    cells = collected(study("resnet_mini"), {4: "loss is nan", 7: ""})
    assert tuple(cells.columns) == CELL_COLUMNS
    assert len(cells) == 12
    assert cells["error"][4] == "loss is nan"
    assert cells["error"][7] == "failed; the log of its task says why"
    assert (cells["error"] == "").sum() == 10
    assert cells.loc[[4, 7], ["nll", "rmse", "n_galaxies"]].isna().all(axis=None)
    assert cells.loc[4, "fraction"] == 0.25
    assert cells.loc[4, "seed"] == 1


def test_collect_cells__refuses_rows_of_another_study() -> None:
    with pytest.raises(ScalingError, match="12 cells needs as many rows and reasons, got 1 and 1"):
        collect_cells(study("resnet_mini"), [None], [""])


def test_summarise_cells__has_means_over_seeds() -> None:
    cells = collected(study("resnet_mini", "resnet18"), {0: "away"})
    summary = summarise_cells(cells)
    assert summary["n_cells"].tolist() == [2, *[3] * 7]
    assert summary["n_failed"].sum() == 1
    first = cells[1:3]["nll"]
    assert summary["nll"][0] == pytest.approx(first.mean())
    assert summary["nll_std"][0] == pytest.approx(abs(first.diff().iloc[1]) / np.sqrt(2))


def test_fit_laws__finds_each_encoders_planted_exponent() -> None:
    laws, curves = fit_laws(collected(study("resnet_mini", "resnet18")), QUICK)
    assert tuple(laws.columns) == LAW_COLUMNS
    assert tuple(curves.columns) == CURVE_COLUMNS
    assert (laws.groupby(["encoder", "metric"])["is_chosen"].sum() == 1).all()
    power = laws[laws["form"] == "power"].set_index(["encoder", "metric"])
    for encoder, exponent in EXPONENTS.items():
        for metric in ("nll", "rmse"):
            law = power.loc[(encoder, metric)]
            assert law["exponent"] == pytest.approx(exponent, abs=0.02)
            assert law["exponent_low"] < law["exponent"] < law["exponent_high"]
            assert law["gain"] == pytest.approx(1 - 2**-exponent, abs=0.015)
            assert law["n_galaxies"] == N_LARGEST
    ends = curves.groupby(["encoder", "metric", "form"])["n_galaxies"].agg(["min", "max"])
    np.testing.assert_allclose(ends["min"], N_LARGEST / 8)
    np.testing.assert_allclose(ends["max"], 2 * N_LARGEST)
    assert (curves["low"] <= curves["high"]).all()


def test_fit_laws__tells_of_an_encoder_that_has_too_few_cells_or_none() -> None:
    config = study("resnet_mini", "resnet18", "vit_tiny_patch16_224")
    failed = dict.fromkeys(range(3, 12), "no memory") | dict.fromkeys(range(24, 36), "wrong size")
    laws, curves = fit_laws(collected(config, failed), QUICK)
    notes = laws[laws["note"] != ""].set_index("encoder")
    assert set(notes.index) == {"resnet_mini", "vit_tiny_patch16_224"}
    assert "got 1 and 0; mend what failed" in notes["note"]["resnet_mini"].iloc[0]
    assert (notes["note"]["vit_tiny_patch16_224"] == "all cells failed: wrong size").all()
    assert (notes["n_failed"] == [9, 9, 12, 12]).all()
    assert set(curves["encoder"]) == {"resnet18"}


def test_write_report__has_every_cell_and_the_failed_ones_in_words(tmp_path: Path) -> None:
    config = study("resnet_mini", "resnet18")
    told, paths = write_report(collected(config, {5: "loss is nan"}), config, tmp_path)
    assert [path.name for path in paths][-2:] == ["scaling.png", "scaling.json"]
    assert all(path.stat().st_size > 100 for path in paths)
    assert "23 of 24 cells finished" in told
    assert "failed: resnet_mini, fraction 0.25, seed 2: loss is nan" in told
    assert "resnet18 nll = " in told
    assert "the next doubling of votes, from 1600 to 3200 galaxies, gains 2" in told
    content = json.loads(paths[-1].read_text())
    assert len(content["scaling_cells"]) == 24
    assert content["scaling_cells"][5]["nll"] is None
    assert ScalingConfig.from_dict(content["study"]) == config
    laws = pd.read_csv(tmp_path / "scaling_laws.csv")
    assert len(laws) == 8


def test_write_report__of_failed_cells_alone_has_tables_and_no_figure(tmp_path: Path) -> None:
    config = study("resnet_mini")
    told, paths = write_report(
        collected(config, dict.fromkeys(range(12), "no memory")), config, tmp_path
    )
    assert "scaling.png" not in {path.name for path in paths}
    assert "resnet_mini nll: no law; all cells failed: no memory" in told
    assert "0 of 12 cells finished" in told


def test_plot_scaling__shows_every_cell_and_dots_what_nobody_has_seen() -> None:
    cells = collected(study("resnet_mini"))
    laws, curves = fit_laws(cells, QUICK)
    chosen = curves[curves["form"] == laws.loc[laws["is_chosen"], "form"].iloc[0]]
    _, (ax,) = new_figure(4.0, 3.0)
    plot_scaling(cells, chosen, "nll", ax)
    points, seen, ahead = ax.lines
    np.testing.assert_array_equal(points.get_ydata(), cells["nll"])
    assert np.max(np.asarray(seen.get_xdata())) <= N_LARGEST
    assert np.max(np.asarray(ahead.get_xdata())) == pytest.approx(2 * N_LARGEST)
    assert ahead.get_linestyle() == ":"
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_plot_encoder_sizes__has_a_line_a_fraction() -> None:
    summary = summarise_cells(collected(study("resnet_mini", "resnet18")))
    _, (ax,) = new_figure(4.0, 3.0)
    plot_encoder_sizes(summary, "nll", ax)
    assert len(ax.get_legend_handles_labels()[1]) == 4
