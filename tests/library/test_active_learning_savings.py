from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.legend import Legend
from sklearn.isotonic import IsotonicRegression

from galaxyloop.active_learning import savings
from galaxyloop.active_learning.config import ActiveLearningConfig, ArmConfig
from galaxyloop.active_learning.report import FILES, write_report
from galaxyloop.active_learning.savings import (
    SAVING_COLUMNS,
    falling_curve,
    labels_to_reach,
    summarise_curves,
    tabulate_savings,
)
from galaxyloop.active_learning.table import results_table
from galaxyloop.plots.active_learning import plot_active_learning
from galaxyloop.plots.style import new_figure

ARMS = [ArmConfig("random", "random"), ArmConfig("wise")]
CONFIG = ActiveLearningConfig(arms=ARMS, n_start=100, n_asked=100, n_rounds=5, n_seeds=6)


def rows_of(arm: str, errors: np.ndarray) -> list[dict[str, object]]:
    """Errors [seed round] as a cell's rows; only the measure ``rmse`` has numbers."""
    return [
        {
            **{"arm": arm, "seed": seed, "round": i, "n_labels": CONFIG.n_labels[i]},
            **{"rmse": error, "log_loss": 2 * error, "ranking_error": float("nan")},
            **{"cpu_seconds": 1.0, "cell_digest": "0" * 64},
        }
        for seed, curve in enumerate(errors)
        for i, error in enumerate(curve)
    ]


def results_of(random: np.ndarray, wise: np.ndarray) -> pd.DataFrame:
    return results_table([*rows_of("random", random), *rows_of("wise", wise)])


def power_law(n_labels: np.ndarray, factor: float) -> np.ndarray:
    """Error that needs ``factor`` times as many labels."""
    return (n_labels / factor) ** -0.5


def test_labels_to_reach__reads_between_rounds_as_worked_by_hand() -> None:
    n_labels, errors = np.array([100, 200, 300]), np.array([0.5, 0.4, 0.1])
    assert labels_to_reach(n_labels, errors, 0.25) == pytest.approx(250)
    assert labels_to_reach(n_labels, errors, 0.4) == pytest.approx(200)
    assert labels_to_reach(n_labels, errors, 0.6) == 100
    assert labels_to_reach(n_labels, errors, 0.05) == float("inf")


def test_falling_curve__never_rises_and_keeps_the_mean() -> None:
    errors = np.random.default_rng(0).normal(size=20) - 0.1 * np.arange(20)
    curve = falling_curve(errors)
    assert (np.diff(curve) <= 1e-12).all()
    assert curve.mean() == pytest.approx(errors.mean())
    fitted = IsotonicRegression(increasing=False).fit_transform(np.arange(20), errors)
    np.testing.assert_allclose(curve, fitted, atol=1e-12)
    falling = np.linspace(1, 0, 8)
    np.testing.assert_allclose(falling_curve(falling), falling)


@pytest.mark.parametrize("factor", [0.4, 0.65, 1.0])
def test_tabulate_savings__recovers_a_planted_saving(factor: float) -> None:
    n_labels = np.array(CONFIG.n_labels, dtype=float)
    noise = 0.001 * np.random.default_rng(1).standard_normal((2, 6, 6))
    random = power_law(n_labels, 1.0) + noise[0]
    table = tabulate_savings(results_of(random, power_law(n_labels, factor) + noise[1]), CONFIG)
    assert tuple(table.columns) == SAVING_COLUMNS
    told = table[table["measure"] == "rmse"].set_index("arm").loc["wise"]
    assert told["saving"] == pytest.approx(1 - factor, abs=0.05)
    assert told["saving_low"] <= told["saving"] <= told["saving_high"]
    assert told["saving_high"] - told["saving_low"] < 0.1
    expected = (power_law(n_labels, 1.0) - power_law(n_labels, factor))[1:].mean()
    assert told["area"] == pytest.approx(expected, abs=0.001)
    assert set(table["measure"]) == {"rmse", "log_loss"}


def test_tabulate_savings__of_random_against_itself_is_nothing() -> None:
    curves = 1 - 0.1 * np.arange(6) + 0.03 * np.random.default_rng(2).standard_normal((6, 6))
    table = tabulate_savings(results_of(curves, curves + 1), CONFIG).set_index(["arm", "measure"])
    random, worse = table.loc[("random", "rmse")], table.loc[("wise", "rmse")]
    assert random["saving"] == random["saving_low"] == random["saving_high"] == 0
    assert random["area"] == random["area_low"] == 0
    # An arm that never gets there needs more labels than any number.
    assert worse["saving"] == -float("inf")
    assert worse["saving_high"] == -float("inf")
    assert worse["area"] == pytest.approx(-1)


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [3, 5])
def test_tabulate_savings__holds_a_planted_saving_as_often_as_it_says(
    n_seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(savings, "_N_BOOTSTRAP", 100)
    n_labels = np.array(CONFIG.n_labels, dtype=float)
    random, wise = (power_law(n_labels, factor) for factor in (1.0, 1 / 1.4))
    needed = labels_to_reach(np.array(CONFIG.n_labels), wise, float(random[-1]))
    saving = 1 - needed / CONFIG.n_labels[-1]
    held = []
    for seed in range(100):
        noise = 0.004 * np.random.default_rng(seed).standard_normal((2, n_seeds, 6))
        table = tabulate_savings(results_of(random + noise[0], wise + noise[1]), CONFIG)
        told = table.set_index(["arm", "measure"]).loc[("wise", "rmse")]
        held.append(told["saving_low"] <= saving <= told["saving_high"])
    # Without the widening it is 60 % of 3 seeds and 84 % of 5.
    assert 0.85 <= np.mean(held) <= 0.97


def test_tabulate_savings__saves_no_more_than_all_labels() -> None:
    # One of three starts needs nearly all labels, the others few.
    random = np.tile(np.linspace(1.0, 0.5, 6), (3, 1))
    wise = np.full((3, 6), 0.4)
    wise[:, 0], wise[0, :5] = 1.0, 1.0
    told = tabulate_savings(results_of(random, wise), CONFIG).set_index(["arm", "measure"])
    assert told.loc[("wise", "rmse"), "saving_high"] <= 1


def test_tabulate_savings__of_one_seed_has_no_interval() -> None:
    n_labels = np.array(CONFIG.n_labels, dtype=float)
    curves = (power_law(n_labels, factor)[None] for factor in (1.0, 0.5))
    told = tabulate_savings(results_of(*curves), CONFIG).set_index(["arm", "measure"])
    wise = told.loc[("wise", "rmse")]
    assert np.isfinite(wise["saving"])
    assert wise[["saving_low", "saving_high", "area_low"]].isna().all()


def test_tabulate_savings__does_not_count_the_labels_that_random_has_no_use_for() -> None:
    # Random is flat from 300 labels on, so reaching its last error takes it 300, not 600.
    random = np.tile([0.6, 0.5, 0.2, 0.2, 0.2, 0.2], (3, 1))
    wise = np.tile([0.6, 0.2, 0.2, 0.2, 0.2, 0.2], (3, 1))
    told = tabulate_savings(results_of(random, wise), CONFIG).set_index(["arm", "measure"])
    assert told.loc[("wise", "rmse"), "labels_needed"] == pytest.approx(200)
    assert told.loc[("wise", "rmse"), "saving"] == pytest.approx(1 / 3)


def test_tabulate_savings__area_is_paired_by_seed() -> None:
    # Seeds differ by far more than arms do; on the same seed the difference is always 0.05.
    seeds = np.random.default_rng(3).normal(0, 0.5, (6, 1))
    random = 2 + seeds - 0.1 * np.arange(6)
    told = tabulate_savings(results_of(random, random - 0.05), CONFIG).set_index("arm")
    wise = told[told["measure"] == "rmse"].loc["wise"]
    assert wise["area_low"] == pytest.approx(0.05)
    assert wise["area_high"] == pytest.approx(0.05)


def test_summarise_curves__has_means_and_intervals_over_seeds() -> None:
    random = np.random.default_rng(4).uniform(0, 1, (6, 6))
    table = summarise_curves(results_of(random, random + 1), CONFIG)
    own = table[table["arm"] == "random"]
    np.testing.assert_allclose(own["rmse"], random.mean(axis=0), rtol=1e-12)
    assert (own["rmse_low"] < own["rmse"]).all()
    assert (own["n_seeds"] == 6).all()
    # The order of rows is nobody's business.
    shuffled = results_of(random, random + 1).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(summarise_curves(shuffled, CONFIG), table, rtol=1e-12)
    pd.testing.assert_frame_equal(
        tabulate_savings(shuffled, CONFIG),
        tabulate_savings(results_of(random, random + 1), replace(CONFIG, n_seeds=5)),
        rtol=1e-12,
    )


def test_write_report__leaves_tables_and_a_figure_that_names_each_arm(tmp_path: Path) -> None:
    n_labels = np.array(CONFIG.n_labels, dtype=float)
    noise = 0.01 * np.random.default_rng(5).standard_normal((2, 6, 6))
    results = results_of(power_law(n_labels, 1.0) + noise[0], power_law(n_labels, 0.5) + noise[1])
    told, paths = write_report(results, CONFIG, tmp_path)
    assert "wise" in told
    assert [path.name for path in paths] == list(FILES)
    assert all(path.stat().st_size > 0 for path in paths)
    figure, (ax,) = new_figure(6.0, 4.0)
    curves, table = summarise_curves(results, CONFIG), tabulate_savings(results, CONFIG)
    plot_active_learning(curves, table, "rmse", ax)
    saving = table.set_index(["arm", "measure"]).loc[("wise", "rmse"), "saving"]
    (legend,) = [child for child in ax.get_children() if isinstance(child, Legend)]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["random", f"wise: {saving:.0%} fewer labels"]
    assert ax.get_xlabel() == "labelled galaxies"
