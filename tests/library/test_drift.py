from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.drift import (
    HELD_OUT,
    LAST_CATALOGUE,
    DriftConfig,
    DriftReference,
    count_fractions,
    describe_drift,
    measure_drift,
)
from galaxyloop.drift.histograms import DISTANCE, BinnedColumn, stability_index
from galaxyloop.errors import ConfigError
from galaxyloop.plots import new_figure
from galaxyloop.plots.drift import plot_drift, save_drift

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))
YES, NO = (f"{column}_fraction" for column in TREE.columns)


def fractions(n_galaxies: int, seed: int, alpha: float = 2.0) -> np.ndarray:
    yes = np.random.default_rng(seed).beta(alpha, 3.0, n_galaxies)
    return np.stack([yes, 1 - yes], axis=1).astype(np.float32)


def catalogue(path: Path, predicted: np.ndarray, seed: int = 0, scale: float = 1.0) -> Path:
    """A catalogue of those fractions; 1 of 100 galaxies is out of distribution at scale 1."""
    distance = np.random.default_rng(seed).uniform(0.01, 1.01, len(predicted)) * scale
    table = {YES: predicted[:, 0], NO: predicted[:, 1], DISTANCE: distance.astype(np.float32)}
    pd.DataFrame({"id_str": [str(i) for i in range(len(predicted))], **table}).to_parquet(path)
    return path


def test_stability_index__is_the_symmetric_relative_entropy() -> None:
    new, reference = np.array([30, 70]), np.array([50, 50])
    p, q = (np.array(c) / 101 for c in ([30.5, 70.5], [50.5, 50.5]))
    expected = (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()
    assert stability_index(new, reference) == pytest.approx(expected, rel=1e-12)
    assert stability_index(new, reference) == pytest.approx(stability_index(reference, new))
    assert stability_index(new, new * 10) == pytest.approx(0, abs=1e-4)


def test_stability_index__of_one_distribution_follows_chi_squared() -> None:
    rng = np.random.default_rng(0)
    n, m, n_bins = 2000, 500, 10
    shares = np.full(n_bins, 1 / n_bins)
    values = [
        stability_index(rng.multinomial(n, shares), rng.multinomial(m, shares)) for _ in range(2000)
    ]
    scaled = np.array(values) / (1 / n + 1 / m)
    assert scaled.mean() == pytest.approx(n_bins - 1, rel=0.03)
    assert scaled.var() == pytest.approx(2 * (n_bins - 1), rel=0.15)


def test_count_fractions__puts_a_tenth_in_each_bin() -> None:
    reference = count_fractions(fractions(1000, 0), TREE)
    assert set(reference.histograms) == {YES, NO}
    assert all(abs(count - 100) <= 1 for count in reference.histograms[YES])
    assert DriftReference.from_json(reference.to_json()) == reference


def test_count_fractions__of_one_value_has_few_bins() -> None:
    same = np.full((50, 2), 0.5, np.float32)
    assert sum(count_fractions(same, TREE).histograms[YES]) == 50


def test_measure_drift__flags_nothing_among_galaxies_alike(tmp_path: Path) -> None:
    new = catalogue(tmp_path / "new.parquet", fractions(3000, 1))
    last = catalogue(tmp_path / "last.parquet", fractions(2000, 2), seed=5)
    reference = count_fractions(fractions(800, 3), TREE)
    table = measure_drift(new, TREE, reference, 0.01, last)
    assert set(table["against"]) == {HELD_OUT, LAST_CATALOGUE}
    assert len(table) == 2 + 1 + 3
    assert not table["is_flagged"].any()
    assert describe_drift(table) == []


def test_measure_drift__flags_what_has_shifted(tmp_path: Path) -> None:
    new = catalogue(tmp_path / "new.parquet", fractions(3000, 1, alpha=6.0), scale=1.2)
    last = catalogue(tmp_path / "last.parquet", fractions(2000, 2))
    reference = count_fractions(fractions(800, 3), TREE)
    table = measure_drift(new, TREE, reference, 0.01, last)
    flagged = table[table["is_flagged"]]
    assert set(zip(flagged["against"], flagged["quantity"], strict=True)) == {
        (HELD_OUT, YES),
        (HELD_OUT, NO),
        (HELD_OUT, DISTANCE),
        (LAST_CATALOGUE, YES),
        (LAST_CATALOGUE, NO),
        (LAST_CATALOGUE, DISTANCE),
    }
    share = table[table["measure"] == "share_out_of_distribution"].iloc[0]
    assert share["value"] == pytest.approx(1 - (1 / 1.2 - 0.01), abs=0.03)
    lines = describe_drift(table, n_shown=1)
    assert lines[0].startswith("3 of 3 quantities unlike the held-out galaxies: ")


def test_measure_drift__does_not_take_the_noise_of_few_galaxies_for_drift(tmp_path: Path) -> None:
    reference = count_fractions(fractions(30, 3), TREE)
    tables = [
        measure_drift(catalogue(tmp_path / "new.parquet", fractions(25, seed)), TREE, reference)
        for seed in range(40)
    ]
    table = pd.concat(tables)
    assert (table["value"] > 0.2).any()
    assert not table["is_flagged"].any()


def test_measure_drift__compares_what_both_catalogues_have(tmp_path: Path) -> None:
    new = catalogue(tmp_path / "new.parquet", fractions(100, 1))
    last = tmp_path / "last.parquet"
    pd.DataFrame({YES: fractions(50, 2)[:, 0]}).to_parquet(last)
    assert list(measure_drift(new, TREE, last=last)["quantity"]) == [YES]


def test_measure_drift__has_no_rows_without_anything_to_compare_with(tmp_path: Path) -> None:
    assert measure_drift(catalogue(tmp_path / "new.parquet", fractions(9, 1)), TREE).empty


def test_measure_drift__leaves_out_distances_that_are_not_known(tmp_path: Path) -> None:
    path = catalogue(tmp_path / "new.parquet", fractions(100, 1))
    pd.read_parquet(path).assign(**{DISTANCE: np.float32("nan")}).to_parquet(path)
    assert set(measure_drift(path, TREE, None, 0.01, path)["quantity"]) == {YES, NO}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_stability_index": 0.0}, "max_stability_index must be > 0"),
        ({"max_excess": 0.5}, "max_excess must be >= 1"),
        ({"false_alarm": 1.0}, "false_alarm must be in"),
    ],
)
def test_drift_config__refuses(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DriftConfig(**setting)


def test_binned_column__refuses_counts_without_their_edges() -> None:
    with pytest.raises(ConfigError, match="one more than edges, got 1 and 1"):
        BinnedColumn("a", [0.5], [1])


def test_plot_drift__marks_what_is_flagged(tmp_path: Path) -> None:
    new = catalogue(tmp_path / "new.parquet", fractions(3000, 1, alpha=6.0))
    last = catalogue(tmp_path / "last.parquet", fractions(3000, 1))
    table = measure_drift(new, TREE, last=last)
    _, (ax,) = new_figure(4.0, 3.0)
    plot_drift(table, ax, LAST_CATALOGUE)
    colours = {bar.get_facecolor() for bar in ax.patches}
    assert len(ax.patches) == 3
    assert len(colours) == 2
    save_drift(table, tmp_path / "drift.png")
    assert (tmp_path / "drift.png").stat().st_size > 10_000
