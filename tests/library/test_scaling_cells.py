"""Cells of a scaling study: who trains, for how long, and what they are judged by."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import ConfigError, NoTrainingDataError
from galaxyloop.metrics import evaluate_predictions
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.scaling.cells import ScalingCell, list_cells, run_cell, thin_splits
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.scaling.held_out import fraction_rmse
from galaxyloop.training.config import SupervisedRun, TrainingConfig
from tests.library.training_data import TREE, ArrayCutouts, toy_survey

RUN = SupervisedRun(training=TrainingConfig(epochs=8, batch_size=32))


def splits_of(n_groups: int) -> pd.DataFrame:
    """Two images a group; one group in five tests."""
    names = [f"g{i}" for i in range(2 * n_groups)]
    split = np.where(np.arange(2 * n_groups) // 2 % 5 == 0, "test", "train")
    groups = [f"group{i // 2}" for i in range(2 * n_groups)]
    return pd.DataFrame({"id_str": names, "group_id": groups, "split": split})


def small_survey(n_galaxies: int = 240) -> tuple[ArrayCutouts, pd.DataFrame, pd.DataFrame]:
    """As ``toy_survey``, with one galaxy in four to test."""
    cutouts, votes, splits = toy_survey(n_galaxies)
    is_test = np.arange(n_galaxies) % 4 == 1
    return cutouts, votes, splits.assign(split=splits["split"].mask(is_test, "test"))


def cell(fraction: float, seed: int = 0, epochs: int = 2) -> ScalingCell:
    training = TrainingConfig(epochs=epochs, batch_size=32, n_threads=1, seed=seed)
    posterior = PosteriorConfig(n_samples=4, n_threads=1)
    return ScalingCell(fraction, seed, SupervisedRun(training=training), posterior, 5)


def test_thin_splits__of_a_seed_are_nested_and_keep_groups_and_test_whole() -> None:
    splits = splits_of(1000)
    before: set[str] = set()
    for fraction in (0.1, 0.25, 0.5, 1.0):
        thinned = thin_splits(splits, fraction, seed=3)
        train = thinned[thinned["split"] == "train"]
        kept = set(train["id_str"])
        assert before <= kept
        # Binomial: 800 groups, five standard errors.
        assert abs(train["group_id"].nunique() - 800 * fraction) <= 5 * 14.2
        assert (train.groupby("group_id").size() == 2).all()
        assert (thinned["split"] == "test").sum() == 400
        before = kept
    pd.testing.assert_frame_equal(thin_splits(splits, 1.0, 3), splits)


def test_thin_splits__does_not_depend_on_other_galaxies_and_differs_by_seed() -> None:
    splits = splits_of(300)
    thinned = thin_splits(splits, 0.3, 1)
    fewer = thin_splits(splits.iloc[:200], 0.3, 1)
    assert set(fewer["id_str"]) == set(thinned["id_str"]) & set(splits["id_str"][:200])
    assert set(thin_splits(splits, 0.3, 2)["id_str"]) != set(thinned["id_str"])


def test_list_cells__of_one_encoder_are_the_same_whatever_else_is_studied() -> None:
    few = list_cells(ScalingConfig(run=RUN, n_seeds=2))
    config = ScalingConfig(
        encoders=["resnet18", "resnet_mini"],
        fractions=[0.0625, 0.125, 0.25, 0.5, 1.0],
        run=RUN,
        n_seeds=3,
    )
    many = list_cells(config)
    assert len(many) == 2 * 5 * 3
    assert {one.to_json() for one in few} < {one.to_json() for one in many}
    other_laws = replace(config, laws=replace(config.laws, n_draws=50))
    assert list_cells(other_laws) == many


@pytest.mark.parametrize(("power", "epochs"), [(0.0, [64, 32, 16, 8]), (1.0, [8] * 4)])
def test_list_cells__trains_small_fractions_for_more_epochs(
    power: float, epochs: list[int]
) -> None:
    cells = list_cells(ScalingConfig(run=RUN, steps_power=power, n_seeds=2))
    assert [one.run.training.epochs for one in cells[::2]] == epochs
    assert {one.run.training.seed for one in cells} == {0, 1}
    assert {one.run.training.n_threads for one in cells} == {1}


def test_run_cell__counts_what_it_trained_on_and_learns_more_from_more() -> None:
    cutouts, votes, splits = small_survey()
    small, large = (
        run_cell(one, cutouts, votes, splits, TREE, shows_epochs=False)
        for one in (cell(0.2), cell(1.0, epochs=12))
    )
    train = thin_splits(splits, 0.2, 0).query("split == 'train'")["id_str"]
    assert small["n_galaxies"] == len(train)
    counts = votes[votes["id_str"].isin(train)][list(TREE.columns)]
    assert small["n_votes"] == counts.to_numpy().sum()
    assert large["n_galaxies"] == 120
    assert large["n_test"] == small["n_test"] == 60
    assert large["n_steps"] == 12 * 4
    assert large["nll"] < small["nll"]
    assert large["rmse"] < small["rmse"]
    assert 1e6 < large["n_parameters"] < 2e6


def test_run_cell__gives_the_same_numbers_again() -> None:
    cutouts, votes, splits = small_survey(120)
    rows = [run_cell(cell(0.5), cutouts, votes, splits, TREE, shows_epochs=False) for _ in "ab"]
    assert [row["nll"] for row in rows[:1]] == [row["nll"] for row in rows[1:]]
    assert rows[0]["rmse"] == rows[1]["rmse"]


def test_run_cell__refuses_a_fraction_without_galaxies() -> None:
    cutouts, votes, splits = small_survey(40)
    with pytest.raises(NoTrainingDataError, match="split 'train'"):
        run_cell(cell(1e-6), cutouts, votes, splits, TREE)


def test_fraction_rmse__equals_numbers_worked_by_hand() -> None:
    # First question: 6 of 10 said yes, foretold 0.5; nobody else was asked often enough.
    votes = np.array([[6, 4, 0, 3, 3], [2, 1, 0, 0, 2], [0, 10, 0, 0, 0]])
    fractions = np.array([[0.5, 0.5, 0.1, 0.5, 0.4]] * 3, dtype=np.float32)
    pairs = [0.1**2, 0.5**2, (0.1**2 + 0.0 + 0.1**2) / 3]
    expected = np.sqrt(np.mean(pairs))
    assert fraction_rmse(fractions, votes, TREE, 5) == pytest.approx(expected, rel=1e-6)
    assert np.isnan(fraction_rmse(fractions, votes, TREE, 100))


def test_fraction_rmse__of_one_question_is_the_rmse_of_the_metrics() -> None:
    tree = DecisionTree("toy", TREE.questions[:1])
    random = np.random.default_rng(0)
    concentrations = random.uniform(1, 20, (3, 50, 2)).astype(np.float32)
    votes = random.integers(0, 20, (50, 2))
    table = evaluate_predictions(torch.from_numpy(concentrations), votes, votes, tree)
    rmse = table[(table["metric"] == "rmse") & (table["question"] == "bright-toy")]["value"].iloc[0]
    fractions = (concentrations / concentrations.sum(axis=2, keepdims=True)).mean(axis=0)
    assert fraction_rmse(fractions, votes, tree, 5) == pytest.approx(rmse, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fractions": [0.5, 1.0]}, r"fractions must be 4 or more that rise, got \[0.5, 1.0\]"),
        ({"fractions": [0.1, 0.5, 1.0, 2.0]}, r"fractions must be in \(0, 1\]"),
        ({"n_seeds": 1}, "n_seeds must be >= 2, got 1; one seed shows no scatter"),
        ({"n_seeds": 500}, "at most 1000 cells, got 2000"),
        ({"encoders": ["a", "a"]}, "encoders must be one or more names that differ"),
        ({"steps_power": 1.5}, r"steps_power must be in \[0, 1\], got 1.5"),
        ({"n_threads": 0}, "n_threads must be >= 1 or None"),
        ({"min_votes": 0}, "min_votes must be >= 1"),
    ],
)
def test_scaling_config__refuses_what_cannot_be_studied(
    settings: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        ScalingConfig.from_dict(settings)
