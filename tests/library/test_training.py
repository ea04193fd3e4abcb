"""Training learns, repeats to the byte, resumes to the byte, and refuses what cannot be learnt."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.augment import AugmentConfig, plain_views
from galaxyloop.checkpoint import checkpoint_digest, load_checkpoint, load_checkpoint_config
from galaxyloop.config import ConfigError
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.errors import (
    CheckpointError,
    NoTrainingDataError,
    TrainingDivergedError,
)
from galaxyloop.objectives import VotesObjective
from galaxyloop.training import SupervisedRun, TrainingConfig, pretrain_supervised
from galaxyloop.training.data import select_split
from galaxyloop.training.state import STATE
from tests.library.training_data import TREE, ArrayCutouts, toy_survey

SHORT = TrainingConfig(
    epochs=3, batch_size=32, n_threads=1, seed=5, precision="float32", device="cpu"
)
RUN = SupervisedRun(training=SHORT)


class StorageGoneError(Exception):
    """What the storage says when it is gone."""


def pretrain(
    directory: Path, run: SupervisedRun = RUN, n_galaxies: int = 200, **hooks: object
) -> Path:
    cutouts, votes, splits = toy_survey(n_galaxies)
    return pretrain_supervised(cutouts, votes, splits, TREE, run, directory, **hooks)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain(tmp_path_factory.mktemp("trained") / "checkpoint")


def test_pretrain_supervised__same_seed_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    again = pretrain(tmp_path / "again")
    assert checkpoint_digest(again) == checkpoint_digest(trained)
    log, log_again = (pd.read_parquet(path / "log.parquet") for path in (trained, again))
    pd.testing.assert_frame_equal(log.drop(columns="seconds"), log_again.drop(columns="seconds"))
    other = replace(RUN, training=replace(SHORT, seed=6))
    assert checkpoint_digest(pretrain(tmp_path / "other", other)) != checkpoint_digest(trained)


def test_pretrain_supervised__does_not_touch_the_global_generators(tmp_path: Path) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    run = replace(RUN, training=replace(SHORT, epochs=1))
    pretrain(tmp_path / "checkpoint", run, n_galaxies=40)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_pretrain_supervised__galaxies_without_votes_change_no_byte(
    trained: Path, tmp_path: Path
) -> None:
    cutouts, votes, splits = toy_survey(200)
    order = np.random.default_rng(1).permutation(260)
    ids = np.concatenate([cutouts.id_strs, [f"new{i}" for i in range(60)]])
    images = np.concatenate([cutouts.images, cutouts.images[:60]])
    grown = ArrayCutouts(images[order], ids[order])
    all_splits = pd.DataFrame({"id_str": ids, "split": [*splits["split"], *["train"] * 60]})
    shuffled_votes = votes.sample(frac=1, random_state=2)
    path = pretrain_supervised(grown, shuffled_votes, all_splits, TREE, RUN, tmp_path / "grown")
    assert checkpoint_digest(path) == checkpoint_digest(trained)


def test_pretrain_supervised__one_other_pixel_is_another_checkpoint(
    trained: Path, tmp_path: Path
) -> None:
    cutouts, votes, splits = toy_survey(200)
    cutouts.images[0, 0, 0, 0] ^= 1
    path = pretrain_supervised(cutouts, votes, splits, TREE, RUN, tmp_path / "other")
    assert load_checkpoint_config(path)["data"] != load_checkpoint_config(trained)["data"]


def test_pretrain_supervised__says_that_the_encoder_takes_another_size(tmp_path: Path) -> None:
    run = replace(RUN, encoder="vit_tiny_patch16_224")
    message = r"'vit_tiny_patch16_224' does not take images of 16 x 16 px.*image_size_px"
    with pytest.raises(ConfigError, match=message):
        pretrain(tmp_path / "c", run, n_galaxies=40)


def test_pretrain_supervised__an_error_before_the_first_epoch_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise StorageGoneError

    monkeypatch.setattr("torch.optim.AdamW", gone)
    with pytest.raises(StorageGoneError):
        pretrain(tmp_path / "c", n_galaxies=40)


@dataclass
class VanishingCutouts(ArrayCutouts):
    """Storage that is gone after some reads."""

    n_reads_left: int

    def read(self, positions: np.ndarray) -> np.ndarray:
        self.n_reads_left -= 1
        if self.n_reads_left < 0:
            raise StorageGoneError
        return super().read(positions)


@pytest.mark.parametrize("n_reads", [7, 10, 14, 16])
def test_pretrain_supervised__cut_short_and_resumed_equals_uninterrupted(
    trained: Path, tmp_path: Path, n_reads: int
) -> None:
    # Four reads come before training; an epoch reads 5 batches for training and 1 for validation.
    run = replace(RUN, training=replace(SHORT, save_every_steps=2))
    states = tmp_path / "states"
    cutouts, votes, splits = toy_survey(200)
    vanishing = VanishingCutouts(cutouts.images, cutouts.id_strs, n_reads)
    with pytest.raises(StorageGoneError):
        pretrain_supervised(
            vanishing, votes, splits, TREE, run, tmp_path / "cut", state_directory=states
        )
    assert not (tmp_path / "cut").exists()
    state = torch.load(states / STATE, weights_only=True)
    n_steps = 5 * state["epoch"] + state["n_batches"]
    rows: list[dict[str, float]] = []
    resumed = pretrain(tmp_path / "resumed", run, state_directory=states, on_epoch=rows.append)
    weights = "weights.safetensors"
    assert (resumed / weights).read_bytes() == (trained / weights).read_bytes()
    log = pd.read_parquet(resumed / "log.parquet").drop(columns="seconds")
    expected = pd.read_parquet(trained / "log.parquet").drop(columns="seconds")
    pd.testing.assert_frame_equal(log, expected)
    # It went on instead of starting again.
    assert n_steps >= (n_reads - 4) // 6 * 5
    assert [row["epoch"] for row in rows] == list(range(state["epoch"], 3))


def test_pretrain_supervised__a_cut_in_mid_epoch_leaves_a_state_in_mid_epoch(
    tmp_path: Path,
) -> None:
    run = replace(RUN, training=replace(SHORT, save_every_steps=2))
    cutouts, votes, splits = toy_survey(200)
    vanishing = VanishingCutouts(cutouts.images, cutouts.id_strs, 14)
    with pytest.raises(StorageGoneError):
        pretrain_supervised(
            vanishing, votes, splits, TREE, run, tmp_path / "cut", state_directory=tmp_path
        )
    state = torch.load(tmp_path / STATE, weights_only=True)
    assert (state["epoch"], state["n_batches"]) == (1, 3)


def test_pretrain_supervised__a_finished_state_is_not_trained_again(
    trained: Path, tmp_path: Path
) -> None:
    rows: list[dict[str, float]] = []
    for name in ("first", "second"):
        path = pretrain(tmp_path / name, state_directory=tmp_path, on_epoch=rows.append)
        assert checkpoint_digest(path) == checkpoint_digest(trained)
    assert [row["epoch"] for row in rows] == [0, 1, 2]


def test_pretrain_supervised__refuses_the_state_of_another_run(tmp_path: Path) -> None:
    short = replace(RUN, training=replace(SHORT, epochs=1))
    pretrain(tmp_path / "one", short, n_galaxies=40, state_directory=tmp_path)
    with pytest.raises(CheckpointError, match=r"belongs to another run .* its own state"):
        pretrain(tmp_path / "two", RUN, n_galaxies=40, state_directory=tmp_path)
    (tmp_path / STATE).write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match="cannot be read"):
        pretrain(tmp_path / "two", short, n_galaxies=40, state_directory=tmp_path)


def test_pretrain_supervised__learns_what_is_there_to_learn(tmp_path: Path) -> None:
    training = replace(SHORT, epochs=6, batch_size=32)
    augment = AugmentConfig(brightness=0.0)
    directory = pretrain(tmp_path / "c", SupervisedRun(training=training, augment=augment), 400)
    cutouts, votes, _ = toy_survey(200, seed=99)
    model = load_checkpoint(directory)
    with torch.no_grad():
        images = torch.from_numpy(cutouts.images).permute(0, 3, 1, 2)
        predicted = vote_fractions(model(images), TREE)[:, 0].numpy()
    observed = votes[TREE.columns[0]].to_numpy() / 20
    error = np.sqrt(np.mean((predicted - observed) ** 2))
    # The votes' own noise is about 0.09; the mean alone errs by about 0.28.
    assert error < 0.5 * observed.std(), error


def test_pretrain_supervised__keeps_the_weights_of_the_best_epoch(trained: Path) -> None:
    log = pd.read_parquet(trained / "log.parquet")
    columns = ["epoch", "step", "train_loss", "validation_loss", "learning_rate", "seconds"]
    assert list(log.columns) == [*columns, "n_images"]
    assert log["step"].tolist() == [5, 10, 15]
    assert log["n_images"].tolist() == [150, 300, 450]
    cutouts, votes, splits = toy_survey(200)
    validation = select_split(cutouts, votes, splits, TREE, "validation")
    batch = validation.read(np.arange(len(validation)))
    model = load_checkpoint(trained)
    objective = VotesObjective(model).eval()
    with torch.no_grad():
        nll, n_answered = objective.validation_sums(plain_views(batch.images), [], batch.labels)
    assert (nll / n_answered).item() == pytest.approx(log["validation_loss"].min(), rel=1e-5)


def test_pretrain_supervised__records_config_data_and_environment(trained: Path) -> None:
    config = load_checkpoint_config(trained)
    assert SupervisedRun.from_dict(config["run"]) == RUN
    assert (config["data"]["n_train"], config["data"]["n_validation"]) == (150, 50)
    environment = json.loads((trained / "environment.json").read_text())
    assert environment["torch"] == torch.__version__.split("+")[0]
    assert (environment["precision"], environment["n_threads"]) == ("float32", 1)


def test_pretrain_supervised__patience_stops_early(tmp_path: Path) -> None:
    # A learning rate that changes nothing: the first epochs cannot be beaten by much.
    training = replace(SHORT, epochs=50, patience=2, learning_rate=1e-12, warmup_steps=0)
    run = replace(RUN, training=training)
    log = pd.read_parquet(pretrain(tmp_path / "c", run, n_galaxies=40) / "log.parquet")
    best = int(log["validation_loss"].argmin())
    assert len(log) == best + 3 < 50


def test_pretrain_supervised__bfloat16_is_close_to_float32(trained: Path, tmp_path: Path) -> None:
    run = replace(RUN, training=replace(SHORT, precision="bfloat16"))
    losses = pd.read_parquet(pretrain(tmp_path / "c", run) / "log.parquet")["validation_loss"]
    expected = pd.read_parquet(trained / "log.parquet")["validation_loss"]
    np.testing.assert_allclose(losses, expected, rtol=0.05)


def test_pretrain_supervised__no_epochs_write_the_first_weights(tmp_path: Path) -> None:
    run = replace(RUN, training=replace(SHORT, epochs=0))
    model = load_checkpoint(pretrain(tmp_path / "c", run, n_galaxies=40))
    assert model.tree == TREE


def test_pretrain_supervised__says_that_it_diverged(tmp_path: Path) -> None:
    run = replace(
        RUN, training=replace(SHORT, learning_rate=1.0, weight_decay=1e30, max_gradient_norm=0.0)
    )
    with pytest.raises(
        TrainingDivergedError, match=r"is (nan|inf) at step \d+ .learning rate 1.*galaxies: toy"
    ):
        pretrain(tmp_path / "c", run, n_galaxies=100)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_pretrain_supervised__refuses_an_empty_split(tmp_path: Path, split: str) -> None:
    cutouts, votes, splits = toy_survey(40)
    splits["split"] = splits["split"].replace(split, "test")
    with pytest.raises(NoTrainingDataError, match=f"'{split}' .*40 cutouts, 40 .* 0 galaxies in"):
        pretrain_supervised(cutouts, votes, splits, TREE, RUN, tmp_path / "c")


def test_pretrain_supervised__weights_that_are_no_numbers_are_never_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(objective: VotesObjective, step: int, n_steps: int) -> None:
        if step == 6:
            with torch.no_grad():
                objective.model.head.linear.weight[0, 0] = float("nan")

    monkeypatch.setattr(VotesObjective, "after_step", poison)
    run = replace(RUN, training=replace(SHORT, save_every_steps=1))
    with pytest.raises(TrainingDivergedError, match=r"head.linear.weight is nan at step 6 .*toy"):
        pretrain(tmp_path / "c", run, state_directory=tmp_path / "state")
    state = torch.load(tmp_path / "state" / "state.pt", weights_only=True)
    assert (state["epoch"], state["n_batches"]) == (1, 1)
    assert all(weight.isfinite().all() for weight in state["weights"].values())
    assert not (tmp_path / "c").exists()
