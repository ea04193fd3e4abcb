"""Finetuning keeps what it should, resumes to the byte, and refuses what cannot be learnt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from galaxyloop.checkpoint import (
    checkpoint_digest,
    load_checkpoint,
    load_checkpoint_config,
    load_encoder,
)
from galaxyloop.config import ConfigError
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import (
    CheckpointError,
    LabelError,
    NoTrainingDataError,
    PretrainedWeightsError,
    UnknownNameError,
)
from galaxyloop.finetuning.checks import check_inputs
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.model import load_label_model
from galaxyloop.finetuning.probe import fit_probe
from galaxyloop.finetuning.start import balanced_weights, encode_galaxies, settled, starting_encoder
from galaxyloop.finetuning.targets import Target
from galaxyloop.finetuning.training import FinetuneData, finetune, predict_labels, select_labelled
from galaxyloop.training.data import LabelledCutouts
from tests.library.finetuning_data import (
    BRIGHT,
    SHADES,
    VALUE,
    make_data,
    make_run,
    save_encoder,
)
from tests.library.training_data import TREE, toy_survey


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("start") / "checkpoint")


def log_of(checkpoint: Path) -> pd.DataFrame:
    return pd.read_parquet(checkpoint / "log.parquet")


def test_finetune__without_validation_galaxies_runs_all_epochs_and_keeps_the_last(
    tmp_path: Path,
) -> None:
    run = make_run(training={"epochs": 3, "patience": 1})
    states: list[Path] = []
    checkpoint = finetune(
        make_data(), run, tmp_path / "a", state_directory=tmp_path, on_saved=states.append
    )
    log = log_of(checkpoint)
    assert log["epoch"].tolist() == [0, 1, 2]
    assert "validation_loss" not in log
    assert not log.isna().any(axis=None)
    last = torch.load(states[-1], weights_only=True)["weights"]
    kept = load_label_model(checkpoint).state_dict()
    assert all(torch.equal(last[f"model.{name}"], kept[name]) for name in kept)


def test_finetune__with_validation_galaxies_stops_when_they_gain_nothing(
    start: Path, tmp_path: Path
) -> None:
    data = make_data(n_validation=12)
    # What is learnt from the others is wrong for the validation galaxies.
    turned = data.labels.assign(y=np.where(np.arange(48) < 12, 1 - data.labels["y"], data.labels.y))
    run = make_run(
        encoder="", frozen_normalisation=True, training={"epochs": 9, "patience": 2, "seed": 1}
    )
    checkpoint = finetune(replace(data, labels=turned), run, tmp_path / "a", start=start)
    log = log_of(checkpoint)
    assert len(log) == log["validation_loss"].argmin() + 3 < 9


@pytest.mark.parametrize("trainable", ["head", "top"])
def test_finetune__what_is_not_trained_stays_to_the_bit(
    trainable: str, start: Path, tmp_path: Path
) -> None:
    run = make_run(trainable=trainable, encoder="", frozen_normalisation=False)
    tuned = load_encoder(finetune(make_data(), run, tmp_path / "a", start=start)).state_dict()
    before = load_encoder(start).state_dict()
    changed = {name.split(".")[2] for name in before if not torch.equal(before[name], tuned[name])}
    assert changed == ({"layer4"} if trainable == "top" else set())


def test_finetune__frozen_normalisation_keeps_its_statistics(start: Path, tmp_path: Path) -> None:
    run = make_run(encoder="", frozen_normalisation=True)
    tuned = load_encoder(finetune(make_data(), run, tmp_path / "a", start=start)).state_dict()
    before = load_encoder(start).state_dict()
    changed = {name for name in before if not torch.equal(before[name], tuned[name])}
    assert changed
    assert all("conv" in name or "downsample.0" in name for name in changed)


@pytest.mark.parametrize("target", [BRIGHT, SHADES, VALUE])
def test_finetune__a_head_that_starts_at_the_probe_predicts_as_the_probe(
    target: Target, start: Path, tmp_path: Path
) -> None:
    data = make_data(target)
    run = make_run(encoder="", head_start="probe", training={"epochs": 0})
    model = load_label_model(finetune(data, run, tmp_path / "a", start=start))
    everybody = np.arange(48)
    features = encode_galaxies(load_encoder(start), data.cutouts, everybody)
    y = data.labels["y"].to_numpy(np.float64)
    probe = fit_probe(features, y, model.target if target.classes else target, seed=0)
    predicted = predict_labels(model, data.cutouts.read(everybody), n_threads=1)
    np.testing.assert_allclose(predicted, probe.predict(features), atol=2e-3)


def test_finetune__learns_how_bright_galaxies_are(tmp_path: Path) -> None:
    data = make_data(VALUE, n_galaxies=96)
    run = make_run(layer_decay=1.0, training={"epochs": 8, "learning_rate": 3e-3}, dropout_rate=0.0)
    model = load_label_model(finetune(data, run, tmp_path / "a"))
    y = data.labels["y"].to_numpy()
    assert model.target.mean == pytest.approx(y.mean())
    assert model.target.std == pytest.approx(y.std())
    predicted = predict_labels(model, data.cutouts.read(np.arange(96)), n_threads=1)
    assert np.sqrt(np.mean((predicted - y) ** 2)) < 0.6 * y.std()


def test_finetune__of_votes_gives_a_model_of_the_new_tree(start: Path, tmp_path: Path) -> None:
    cutouts, votes, splits = toy_survey(48)
    run = make_run(encoder="", trainable="top")
    checkpoint = finetune(
        FinetuneData(cutouts, votes, splits, TREE), run, tmp_path / "a", start=start
    )
    assert load_checkpoint(checkpoint).tree == TREE
    assert log_of(checkpoint)["validation_loss"].notna().all()
    before, tuned = load_encoder(start).state_dict(), load_encoder(checkpoint).state_dict()
    changed = {name.split(".")[2] for name in before if not torch.equal(before[name], tuned[name])}
    assert changed == {"layer4"}


def test_finetune__repeats_and_resumes_to_the_byte(start: Path, tmp_path: Path) -> None:
    run = make_run(encoder="", head_start="probe", training={"epochs": 3})
    whole = finetune(make_data(), run, tmp_path / "whole", start=start)

    class EnoughError(Exception):
        pass

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            raise EnoughError

    with pytest.raises(EnoughError):
        finetune(
            make_data(),
            run,
            tmp_path / "cut",
            start=start,
            state_directory=tmp_path / "states",
            on_epoch=stop,
        )
    epochs: list[float] = []
    resumed = finetune(
        make_data(),
        run,
        tmp_path / "resumed",
        start=start,
        state_directory=tmp_path / "states",
        on_epoch=lambda row: epochs.append(row["epoch"]),
    )
    assert epochs == [2]
    assert checkpoint_digest(resumed) == checkpoint_digest(whole)


def test_finetune__does_not_depend_on_what_else_there_is(start: Path, tmp_path: Path) -> None:
    run = make_run(encoder="", training={"epochs": 1})
    data = make_data()
    alone = finetune(data, run, tmp_path / "alone", start=start)
    order = np.random.default_rng(1).permutation(48)
    more = replace(
        data,
        labels=pd.concat(
            [data.labels.iloc[order], pd.DataFrame({"id_str": ["other"], "y": [1.0]})]
        ),
        splits=data.splits.iloc[order[::-1]],
    )
    assert checkpoint_digest(finetune(more, run, tmp_path / "more", start=start)) == (
        checkpoint_digest(alone)
    )


def test_finetune__says_what_it_started_from_and_learnt_from(start: Path, tmp_path: Path) -> None:
    run = make_run(encoder="", training={"epochs": 0})
    data = load_checkpoint_config(finetune(make_data(), run, tmp_path / "a", start=start))["data"]
    assert data["start_digest"] == checkpoint_digest(start)
    assert (data["n_train"], data["n_validation"]) == (48, 0)
    assert sum(data["n_train_by_class"].values()) == 48


@pytest.mark.parametrize(
    ("changes", "has_start", "expected"),
    [
        ({}, False, (False, "zero")),
        ({"encoder": ""}, True, (True, "probe")),
        ({"weights": "model.safetensors"}, False, (True, "probe")),
        ({"frozen_normalisation": False, "head_start": "zero"}, True, (False, "zero")),
        ({"frozen_normalisation": True, "head_start": "probe"}, False, (True, "probe")),
    ],
)
def test_settled__leaves_trained_encoders_their_statistics(
    changes: dict[str, object], has_start: bool, expected: tuple[bool, str], tmp_path: Path
) -> None:
    run = settled(make_run(**changes), tmp_path if has_start else None)
    assert (run.frozen_normalisation, run.head_start) == expected


def test_starting_encoder__takes_a_local_file_of_published_weights(tmp_path: Path) -> None:
    torch.manual_seed(5)
    published = build_encoder("resnet18").network
    weights = {**published.state_dict(), "fc.weight": torch.rand(9, 512), "fc.bias": torch.rand(9)}
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    run = make_run(encoder="resnet18", weights=str(tmp_path / "model.safetensors"))
    _, galaxies, _ = select_labelled(make_data())
    model = starting_encoder(galaxies, run, None)
    found = model.encoder.network.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in published.state_dict().items())
    assert model.normalisation.mean == [0.485, 0.456, 0.406]


def test_starting_encoder__refuses_weights_of_another_encoder(tmp_path: Path) -> None:
    weights = build_encoder("resnet18").network.state_dict()
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    _, galaxies, _ = select_labelled(make_data())
    run = make_run(weights=str(tmp_path / "model.safetensors"))
    message = r"model\.safetensors for 'resnet_mini': \d+ of \d+ weights are missing, too many"
    with pytest.raises(PretrainedWeightsError, match=message):
        starting_encoder(galaxies, run, None)
    (tmp_path / "model.safetensors").write_bytes(b"no such thing")
    with pytest.raises(PretrainedWeightsError, match="cannot be read as safetensors"):
        starting_encoder(galaxies, run, None)


def test_finetune__refuses_a_checkpoint_of_another_encoder_or_size(
    start: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"holds the encoder 'resnet_mini', .* 'resnet18'"):
        finetune(make_data(), make_run(encoder="resnet18"), tmp_path / "a", start=start)
    larger = save_encoder(tmp_path / "larger", image_size_px=24)
    with pytest.raises(CheckpointError, match=r"24 px, these have 16 px; set image_size_px=24"):
        finetune(make_data(), make_run(encoder=""), tmp_path / "a", start=larger)
    with pytest.raises(CheckpointError, match=r"24 px, these have 16 px; set image_size_px=24"):
        check_inputs(make_run(encoder=""), larger, 16)
    assert not (tmp_path / "a").exists()


def test_finetune__refuses_a_truncated_or_foreign_checkpoint(tmp_path: Path) -> None:
    torn = save_encoder(tmp_path / "torn")
    weights = torn / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"architecture": "resnet18"}')
    for place, message in ((torn, "cannot be read as safetensors"), (foreign, "got None")):
        with pytest.raises(CheckpointError, match=message):
            finetune(make_data(), make_run(encoder=""), tmp_path / "a", start=place)
        with pytest.raises(CheckpointError, match=message):
            check_inputs(make_run(encoder=""), place, 16)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"encoder": ""}, ConfigError, "give a checkpoint or a registered model as start"),
        ({"encoder": "resnet_mimi"}, UnknownNameError, "no encoder 'resnet_mimi'"),
        ({"encoder": "hf-hub:a/b"}, ConfigError, "set pretrained to true"),
    ],
)
def test_check_inputs__refuses_a_run_without_an_encoder(
    changes: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_inputs(make_run(**changes), None, 16)


def test_check_inputs__refuses_two_sets_of_weights(start: Path) -> None:
    with pytest.raises(ConfigError, match="has weights of its own"):
        check_inputs(make_run(encoder="", pretrained=True), start, 16)


def test_finetune__refuses_labels_that_cannot_be_learnt(tmp_path: Path) -> None:
    data = make_data()
    few = data.labels.assign(y=(np.arange(48) == 7).astype(float))
    with pytest.raises(LabelError, match=r"train: 1 of 'bright' among 48 labels .* fewer than 2"):
        finetune(replace(data, labels=few), make_run(), tmp_path / "a")
    lost = data.labels.assign(y=np.where(np.arange(48) == 7, np.nan, data.labels["y"]))
    with pytest.raises(LabelError, match=r"got 1 of 48 in split 'train' .*\['toy7'\]"):
        finetune(replace(data, labels=lost), make_run(), tmp_path / "a")
    others = data.labels.assign(id_str="x" + data.labels["id_str"])
    with pytest.raises(NoTrainingDataError, match="48 labelled galaxies, 0 cutouts with a label"):
        finetune(replace(data, labels=others), make_run(), tmp_path / "a")


def test_balanced_weights__make_classes_count_the_same() -> None:
    labels = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 2.0])
    weights = balanced_weights(labels, 3)
    np.testing.assert_allclose(weights * np.bincount(labels.astype(int)), [2, 2, 2])
    assert weights[labels.astype(int)].mean() == pytest.approx(1)


def test_encode_galaxies__is_the_encoder_in_evaluation_mode(start: Path) -> None:
    data = make_data()
    model = load_encoder(start).train()
    found = encode_galaxies(model, data.cutouts, np.array([4, 2]))
    assert model.training
    images = torch.from_numpy(data.cutouts.read(np.array([4, 2]))).permute(0, 3, 1, 2)
    expected = model.eval().features(images).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    empty = LabelledCutouts(data.cutouts, np.zeros(0, np.int64), np.zeros((0, 1), np.float32))
    assert encode_galaxies(model, empty.cutouts, empty.positions).shape == (0, 256)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainable": "tail"}, "trainable must be one of full, top, head, got 'tail'"),
        ({"n_blocks": 0}, "n_blocks must be >= 1, got 0"),
        ({"layer_decay": 0.0}, r"layer_decay must be in \(0, 1\], got 0\.0"),
        ({"pretrained": True, "weights": "a"}, "set one"),
    ],
)
def test_finetune_run__refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FinetuneRun.from_dict(changes)


def test_finetune_run__keeps_its_own_defaults_when_one_is_changed() -> None:
    run = FinetuneRun.from_dict({"training": {"epochs": 7}})
    assert (run.training.epochs, run.training.learning_rate) == (7, 1e-4)
