"""Temperatures: planted ones are found, and a calibrated model keeps them wherever it goes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import dirichlet_multinomial
from torch import Tensor

from galaxyloop.calibration import (
    TEMPERATURE_COLUMNS,
    CalibrationConfig,
    calibrate_checkpoint,
    fit_temperatures,
)
from galaxyloop.checkpoint import (
    CONFIG,
    WEIGHTS,
    CheckpointRecords,
    checkpoint_digest,
    load_checkpoint,
    load_checkpoint_config,
    save_checkpoint,
)
from galaxyloop.config import ConfigError
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import CheckpointError
from galaxyloop.evaluation import Evaluation, evaluate_checkpoint
from galaxyloop.heads import MAX_TEMPERATURE, MIN_TEMPERATURE, VoteHead
from galaxyloop.metrics import MetricsConfig, beside_uncalibrated, calibration_table, count_pit
from galaxyloop.metrics import evaluate_predictions as evaluate
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.objectives import VotesObjective
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.random_streams import seeded
from galaxyloop.shards import CutoutCollection
from tests.library.shard_files import write_shard
from tests.library.training_data import TREE as TOY
from tests.library.training_data import toy_survey
from tests.reference.trees import flat_tree

TREE = flat_tree([2, 3])
QUICK = PosteriorConfig(n_samples=4, precision="float32", n_threads=1)
METRICS = MetricsConfig(n_bootstrap=10)


def simulate(planted: tuple[float, float], n_galaxies: int = 3000) -> tuple[Tensor, np.ndarray]:
    """Two questions whose true concentrations are the predicted ones over the planted numbers."""
    rng = np.random.default_rng(1)
    predicted = rng.uniform(2, 40, (1, n_galaxies, 5))
    votes = np.zeros((n_galaxies, 5), dtype=np.int64)
    for temperature, part in zip(planted, TREE.slices.values(), strict=True):
        for galaxy in range(n_galaxies):
            fractions = rng.dirichlet(predicted[0, galaxy, part] / temperature)
            votes[galaxy, part] = rng.multinomial(rng.integers(0, 50), fractions)
    return torch.as_tensor(predicted, dtype=torch.float32), votes


def make_model(side_px: int = 16) -> GalaxyModel:
    with seeded(3):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(TOY.columns), 0.2)
    return GalaxyModel(encoder, head, TOY, side_px, Normalisation())


@pytest.fixture
def galaxies(tmp_path: Path) -> tuple[CutoutCollection, pd.DataFrame, pd.DataFrame]:
    cutouts, votes, splits = toy_survey(240)
    shard = write_shard(tmp_path / "shard", cutouts.images, [str(one) for one in cutouts.id_strs])
    splits.loc[1::4, "split"] = "test"
    return CutoutCollection([shard]), votes, splits


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    records = CheckpointRecords({"seed": 1}, {"n_train": 2}, pd.DataFrame({"epoch": [1]}), {"a": 1})
    return save_checkpoint(make_model(), tmp_path / "trained", records)


@pytest.mark.parametrize("planted", [(1.6, 0.5), (0.7, 1.0)])
def test_fit_temperatures__finds_planted_ones(planted: tuple[float, float]) -> None:
    concentrations, votes = simulate(planted)
    table = fit_temperatures(concentrations, votes, TREE)
    assert tuple(table.columns) == TEMPERATURE_COLUMNS
    np.testing.assert_allclose(table["temperature"], planted, rtol=0.12)
    assert (table["log_likelihood_after"] >= table["log_likelihood_before"]).all()


def test_fit_temperatures__of_one_sample_is_the_best_of_a_fine_grid_by_scipy() -> None:
    concentrations, votes = simulate((1.5, 1.0), n_galaxies=300)
    found = fit_temperatures(concentrations, votes, TREE)["temperature"][0]
    counts, alpha = votes[:, :2], concentrations[0, :, :2].double().numpy()

    def likelihood(temperature: float) -> float:
        rows = zip(alpha / temperature, counts, strict=True)
        return sum(dirichlet_multinomial.logpmf(k, a, int(k.sum())) for a, k in rows)

    grid = np.geomspace(found / 1.3, min(found * 1.3, MAX_TEMPERATURE), 41)
    best = grid[np.argmax([likelihood(one) for one in grid])]
    assert found == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize(("planted", "bound"), [(8.0, MAX_TEMPERATURE), (0.002, MIN_TEMPERATURE)])
def test_fit_temperatures__stops_at_the_bounds(planted: float, bound: float) -> None:
    concentrations, votes = simulate((planted, 1.0), n_galaxies=2000)
    assert fit_temperatures(concentrations, votes, TREE)["temperature"][0] == pytest.approx(bound)


def test_fit_temperatures__of_too_few_galaxies_is_one() -> None:
    concentrations, votes = simulate((1.8, 1.8), n_galaxies=200)
    votes[60:, :2] = 0
    votes[:, 2:] = np.minimum(votes[:, 2:], [1, 0, 0])
    table = fit_temperatures(concentrations, votes, TREE, CalibrationConfig(min_galaxies=61))
    assert table["temperature"].tolist() == [1.0, 1.0]
    assert table["n_galaxies"].tolist()[1] == 0
    assert np.isnan(table["log_likelihood_after"][1])
    assert table["log_likelihood_after"][0] == table["log_likelihood_before"][0]


def test_fit_temperatures__calibrates_counts_it_has_not_seen() -> None:
    concentrations, votes = simulate((1.9, 0.3))
    fitted, held_out = slice(0, 1500), slice(1500, None)
    table = fit_temperatures(concentrations[:, fitted], votes[fitted], TREE)
    scale = torch.as_tensor(table["temperature"].to_numpy()[list(TREE.question_of_answer)])
    before = concentrations[:, held_out]
    after = (before / scale).float()
    levels = {}
    for name, one in (("before", before), ("after", after)):
        pit = count_pit(one, votes[held_out], TREE, METRICS)
        levels[name] = calibration_table(pit, TREE, [0.9])["observed"].to_numpy()
    assert np.all(np.abs(levels["before"] - 0.9) > 0.02)
    np.testing.assert_allclose(levels["after"], 0.9, atol=0.02)


def test_calibration_config__refuses_no_room() -> None:
    with pytest.raises(ConfigError, match=r"max_galaxies must be >= min_galaxies, got 3"):
        CalibrationConfig(max_galaxies=3)


def test_vote_head__with_temperatures_keeps_fractions_and_bounds() -> None:
    model = make_model().eval()
    images = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    plain = model(images)
    model.set_temperatures({"colour-toy": MAX_TEMPERATURE})
    calibrated = model(images)
    torch.testing.assert_close(vote_fractions(calibrated, TOY), vote_fractions(plain, TOY))
    torch.testing.assert_close(calibrated[:, 2:], plain[:, 2:] / MAX_TEMPERATURE)
    assert torch.equal(calibrated[:, :2], plain[:, :2])
    assert calibrated.min() > 0.5


def test_votes_objective__does_not_see_temperatures() -> None:
    model = make_model().eval()
    images, votes = torch.rand(5, 3, 16, 16), torch.randint(0, 9, (5, 5)).float()
    plain = VotesObjective(model).loss([images], votes)
    model.set_temperatures({"bright-toy": 0.5})
    assert torch.equal(VotesObjective(model).loss([images], votes), plain)


def test_set_temperatures__of_none_leaves_the_checkpoint_as_it_was(
    trained: Path, tmp_path: Path
) -> None:
    model = load_checkpoint(trained)
    assert model.temperatures == {}
    model.set_temperatures({"bright-toy": 1.0})
    config = load_checkpoint_config(trained)
    again = save_checkpoint(model, tmp_path / "b", CheckpointRecords(config["run"], config["data"]))
    assert checkpoint_digest(again) == checkpoint_digest(trained)


def test_calibrate_checkpoint__changes_what_every_reader_of_it_is_told(
    trained: Path, galaxies: tuple[CutoutCollection, pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    cutouts, votes, splits = galaxies
    configs = QUICK, CalibrationConfig(min_galaxies=10)
    directory = calibrate_checkpoint(trained, cutouts, votes, splits, configs, tmp_path / "new")
    assert directory == tmp_path / "new"
    assert (directory / WEIGHTS).read_bytes() == (trained / WEIGHTS).read_bytes()
    config, model = load_checkpoint_config(directory), load_checkpoint(directory)
    assert model.temperatures == config["temperatures"]
    assert model.temperatures["bright-toy"] != 1
    told = config["data"]["calibration"]["bright-toy"]
    assert told["temperature"] == model.temperatures["bright-toy"]
    assert told["log_likelihood_after"] > told["log_likelihood_before"]
    assert told["n_galaxies"] == 60
    assert config["data"]["n_train"] == 2
    images = cutouts.read(np.arange(3))
    plain = predict_concentrations(load_checkpoint(trained), images, QUICK)
    scaled = predict_concentrations(model, images, QUICK)
    torch.testing.assert_close(scaled * model.head.temperatures, plain)
    again = calibrate_checkpoint(directory, cutouts, votes, splits, configs, tmp_path / "again")
    assert checkpoint_digest(again) == checkpoint_digest(directory)


def test_calibrate_checkpoint__with_too_few_galaxies_gives_the_checkpoint_back(
    trained: Path, galaxies: tuple[CutoutCollection, pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    configs = QUICK, CalibrationConfig(min_galaxies=61)
    assert calibrate_checkpoint(trained, *galaxies, configs, tmp_path / "new") == trained
    assert not (tmp_path / "new").exists()


def test_calibrate_checkpoint__takes_temperatures_away_that_no_galaxies_bear_out(
    trained: Path, galaxies: tuple[CutoutCollection, pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    model, config = load_checkpoint(trained), load_checkpoint_config(trained)
    model.set_temperatures({"bright-toy": 1.9})
    records = CheckpointRecords(config["run"], config["data"])
    before = save_checkpoint(model, tmp_path / "before", records)
    configs = QUICK, CalibrationConfig(min_galaxies=61)
    after = calibrate_checkpoint(before, *galaxies, configs, tmp_path / "after")
    assert after == tmp_path / "after"
    assert load_checkpoint(after).temperatures == {}


def test_evaluate_checkpoint__tells_of_the_model_before_it_was_calibrated(
    trained: Path, galaxies: tuple[CutoutCollection, pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    configs = QUICK, CalibrationConfig(min_galaxies=10)
    calibrated = calibrate_checkpoint(trained, *galaxies, configs, tmp_path / "calibrated")
    found = {}
    for name, checkpoint in (("plain", trained), ("calibrated", calibrated)):
        model = load_checkpoint(checkpoint)
        evaluate_checkpoint(model, *galaxies, (QUICK, METRICS), tmp_path / "held-out" / name)
        found[name] = Evaluation.open(tmp_path / "held-out" / name)
    plain, after = (
        each.metrics.set_index(["question", "metric"])["value"] for each in found.values()
    )
    for metric in ("log_likelihood", "coverage_90", "calibration_error", "discrete_coverage_error"):
        key, old = ("bright-toy", metric), ("bright-toy", f"{metric}_uncalibrated")
        assert after[old] == pytest.approx(plain[key], abs=1e-4)
        assert old not in plain.index
    total = ("all", "log_likelihood")
    assert after[total] > after["all", "log_likelihood_uncalibrated"]
    before = found["calibrated"].calibration["observed_uncalibrated"]
    np.testing.assert_allclose(before, found["plain"].calibration["observed"], atol=1e-6)


def test_beside_uncalibrated__leaves_the_tables_as_they_were() -> None:
    concentrations, votes = simulate((1.0, 1.0), n_galaxies=60)
    metrics = evaluate(concentrations, votes, votes, TREE, METRICS)
    pit = count_pit(concentrations, votes, TREE, METRICS)
    tables = metrics, calibration_table(pit, TREE, METRICS.levels)
    both, calibration = beside_uncalibrated(tables, concentrations, (votes, votes), TREE, METRICS)
    pd.testing.assert_frame_equal(both.iloc[: len(metrics)], metrics)
    np.testing.assert_array_equal(calibration["observed_uncalibrated"], calibration["observed"])


@pytest.mark.parametrize(
    ("temperatures", "told"),
    [
        ({"bright-toy": 2.5}, r"must be in \[0.05, 2.0\], got 2.5"),
        ({"bright-toy": 0.0}, "got 0.0"),
        ({"bright-toy": float("nan")}, "got nan"),
        ({"bright-toy": "1"}, "got '1'"),
        ({"other": 1.5}, "has no question 'other'"),
        ([1.5], "TypeError"),
    ],
)
def test_load_checkpoint__refuses_temperatures_that_cannot_be(
    trained: Path, temperatures: object, told: str
) -> None:
    config = json.loads((trained / CONFIG).read_text())
    (trained / CONFIG).write_text(json.dumps({**config, "temperatures": temperatures}))
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(trained)
