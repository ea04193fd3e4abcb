"""Pretraining on images, and on images and votes: repeatable, recorded, or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.checkpoint import (
    checkpoint_digest,
    load_checkpoint,
    load_checkpoint_config,
    load_encoder,
)
from galaxyloop.config import ConfigError
from galaxyloop.errors import NoTrainingDataError
from galaxyloop.objectives import ByolConfig, HybridConfig
from galaxyloop.training import ByolRun, HybridRun, TrainingConfig, pretrain_byol, pretrain_hybrid
from galaxyloop.training.state import STATE
from tests.library.training_data import TREE, toy_survey

SHORT = TrainingConfig(
    epochs=2, batch_size=16, n_threads=1, seed=5, precision="float32", device="cpu"
)
SMALL = {"hidden_size": 24, "projection_size": 12}
BYOL = ByolRun(training=SHORT, objective=ByolConfig(**SMALL))
HYBRID = HybridRun(training=SHORT, objective=HybridConfig(**SMALL, labelled_share=0.25))
N_GALAXIES = 64
MONITORS = ["feature_std", "effective_rank"]


def byol(directory: Path, run: ByolRun = BYOL, n_galaxies: int = N_GALAXIES, **o: object) -> Path:
    cutouts, _, splits = toy_survey(n_galaxies)
    return pretrain_byol(cutouts, splits, run, directory, **o)


def hybrid(directory: Path, run: HybridRun = HYBRID, **options: object) -> Path:
    cutouts, votes, splits = toy_survey(N_GALAXIES)
    voted = votes[[i % 4 == 0 or i % 3 == 0 for i in range(N_GALAXIES)]]
    return pretrain_hybrid(cutouts, voted, splits, TREE, run, directory, **options)


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("byol")
    return byol(folder / "checkpoint", state_directory=folder)


@pytest.fixture(scope="module")
def of_both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hybrid(tmp_path_factory.mktemp("hybrid") / "checkpoint")


def test_pretrain_byol__same_seed_gives_the_same_bytes_whatever_was_drawn_before(
    of_images: Path, tmp_path: Path
) -> None:
    torch.rand(3)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = byol(tmp_path / "again")
    assert checkpoint_digest(again) == checkpoint_digest(of_images)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    logs = [pd.read_parquet(path / "log.parquet") for path in (again, of_images)]
    pd.testing.assert_frame_equal(*(log.drop(columns="seconds") for log in logs))


def test_pretrain_byol__logs_loss_and_collapse_of_every_epoch(of_images: Path) -> None:
    log = pd.read_parquet(of_images / "log.parquet")
    assert set(MONITORS) < set(log.columns)
    assert log["step"].tolist() == [3, 6]
    assert log["train_loss"].between(0, 4).all()
    assert log["validation_loss"].between(0, 4).all()
    assert log["train_loss"].iloc[-1] < log["train_loss"].iloc[0]
    assert log["feature_std"].between(0.1, 1).all()
    assert log["effective_rank"].between(1, 16).all()


def test_pretrain_byol__keeps_the_last_weights_of_the_online_encoder(of_images: Path) -> None:
    state = torch.load(of_images.parent / STATE, weights_only=True)
    model = load_encoder(of_images)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, state["weights"][f"model.{name}"]), name
    target = state["weights"]["target_encoder.network.conv1.weight"]
    online = model.encoder.network.conv1.weight
    assert not torch.equal(target, online)
    # Six steps at 0.99 and more leave the target near where it started.
    with torch.no_grad():
        assert 0 < (target - online).norm() < 0.5 * online.norm()


def test_pretrain_hybrid__counts_galaxies_with_and_without_votes(of_both: Path) -> None:
    data = load_checkpoint_config(of_both)["data"]
    assert (data["n_train"], data["n_labelled"], data["n_validation"]) == (48, 16, 16)
    log = pd.read_parquet(of_both / "log.parquet")
    assert set(MONITORS) < set(log.columns)
    # The 16 with votes are seen by four at a time, the 32 others by twelve.
    assert log["step"].tolist() == [4, 8]
    assert load_checkpoint(of_both).tree == TREE


def test_pretrain_hybrid__goes_on_from_the_encoder_it_is_given(
    of_images: Path, tmp_path: Path
) -> None:
    no_steps = replace(HYBRID, training=replace(SHORT, epochs=0))
    started = load_encoder(hybrid(tmp_path / "started", no_steps, start=of_images))
    expected = load_encoder(of_images).encoder.state_dict()
    for name, weight in started.encoder.state_dict().items():
        assert torch.equal(weight, expected[name]), name


def test_pretrain_byol__refuses_steps_of_one_galaxy(tmp_path: Path) -> None:
    for batch_size in (1, 2):
        run = replace(BYOL, training=replace(SHORT, batch_size=batch_size))
        with pytest.raises(ConfigError, match=f"batch_size={batch_size} makes steps of one"):
            byol(tmp_path / "c", run, n_galaxies=12)


def test_pretrain_byol__refuses_a_split_of_one_galaxy(tmp_path: Path) -> None:
    cutouts, _, splits = toy_survey(8)
    splits["split"] = ["train"] * 7 + ["validation"]
    with pytest.raises(NoTrainingDataError, match="'validation' has fewer than two galaxies"):
        pretrain_byol(cutouts, splits, BYOL, tmp_path / "c")


def test_pretrain_hybrid__refuses_a_training_split_without_votes(tmp_path: Path) -> None:
    cutouts, votes, splits = toy_survey(N_GALAXIES)
    voted = votes[[i % 4 == 0 for i in range(N_GALAXIES)]]
    with pytest.raises(NoTrainingDataError, match="no training galaxy has votes of toy"):
        pretrain_hybrid(cutouts, voted, splits, TREE, HYBRID, tmp_path / "c")
