"""What a finetuning starts from is known before images are read, and known by its weights."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from galaxyloop.checkpoint import load_checkpoint_config, load_encoder
from galaxyloop.config import ConfigError
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import CheckpointError, PretrainedWeightsError
from galaxyloop.finetuning.catalogue import join_label_predictions
from galaxyloop.finetuning.checks import check_inputs, check_model
from galaxyloop.finetuning.footer import read_label_provenance
from galaxyloop.finetuning.published import save_published, without_weights
from galaxyloop.random_streams import seeded
from tests.library.finetuning_data import make_run, save_encoder


def save_weights(path: Path, seed: int) -> Path:
    with seeded(seed):
        weights = build_encoder("resnet18").network.state_dict()
    path.parent.mkdir(exist_ok=True)
    safetensors.torch.save_file(weights, path)
    return path


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"encoder": "resnet18", "weights": "/nowhere/model.safetensors"},
            PretrainedWeightsError,
            "/nowhere/model.safetensors cannot be read",
        ),
        (
            {"trainable": "top", "n_blocks": 99},
            ConfigError,
            r"'resnet_mini' has \d+ layers with its stem, got 99 to train",
        ),
        ({"pretrained": True}, PretrainedWeightsError, "'resnet_mini' has no published weights"),
        (
            {"encoder": "vit_tiny_patch16_224"},
            ConfigError,
            "'vit_tiny_patch16_224' does not take images of 16 x 16 px",
        ),
    ],
)
def test_check_inputs__builds_what_would_be_trained(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_inputs(make_run(**changes), None, 16)


def test_check_inputs__refuses_more_layers_than_a_checkpoint_has(tmp_path: Path) -> None:
    start = save_encoder(tmp_path / "start")
    check_inputs(make_run(encoder="", trainable="top", n_blocks=2), start, 16)
    with pytest.raises(ConfigError, match="set n_blocks to at most"):
        check_inputs(make_run(encoder="", trainable="top", n_blocks=99), start, 16)


def test_check_model__refuses_an_encoder_alone(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="kind 'encoder', needed is 'labels'"):
        check_model(save_encoder(tmp_path / "start"), 16)


def test_save_published__is_known_by_the_weights_and_not_by_their_place(tmp_path: Path) -> None:
    first = save_weights(tmp_path / "model.safetensors", 1)
    run = make_run(encoder="resnet18", weights=str(first))
    digest = save_published(run, 32, tmp_path / "a")
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(first, tmp_path / "elsewhere" / "other.safetensors")
    moved = make_run(encoder="resnet18", weights=str(copy), training={"seed": 7})
    assert save_published(moved, 32, tmp_path / "b") == digest
    save_weights(first, 2)
    assert save_published(run, 32, tmp_path / "c") != digest
    saved = load_encoder(tmp_path / "c").encoder.network.state_dict()
    expected = safetensors.torch.load_file(first)
    assert all(torch.equal(saved[name], weight) for name, weight in expected.items())
    check_inputs(without_weights(run), tmp_path / "c", 32)


def test_save_published__normalises_as_the_run_says(tmp_path: Path) -> None:
    path = str(save_weights(tmp_path / "model.safetensors", 1))
    scale = {"weights_mean": [0.0, 0.0, 0.0], "weights_std": [1.0, 1.0, 1.0]}
    save_published(make_run(encoder="resnet18", weights=path, **scale), 32, tmp_path / "own")
    save_published(make_run(encoder="resnet18", weights=path), 32, tmp_path / "published")
    own, published = (
        load_checkpoint_config(tmp_path / name)["normalisation"] for name in ("own", "published")
    )
    assert own == {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    assert published["mean"] == [0.485, 0.456, 0.406]
    with pytest.raises(ConfigError, match="go together"):
        make_run(encoder="resnet18", weights=path, weights_mean=[0.0, 0.0, 0.0])
    with pytest.raises(ConfigError, match="none are named"):
        make_run(**scale)


def test_join_label_predictions__takes_positions_from_the_survey(tmp_path: Path) -> None:
    shard = pd.DataFrame({"id_str": ["b", "a"], "image_digest": ["2", "1"], "prediction": [1.0, 2]})
    shard.assign(ra_deg=np.nan, dec_deg=np.nan).to_parquet(tmp_path / "shard.parquet")
    positions = pd.DataFrame(
        {"ra_deg": [10.0, 20.0, 30.0], "dec_deg": [-1.0, -2.0, -3.0]},
        index=pd.Index(["a", "b", "c"], name="id_str"),
    )
    path = tmp_path / "labels.parquet"
    alive = {"a": "1", "b": "2"}
    files = [tmp_path / "shard.parquet"]
    assert join_label_predictions(files, alive, positions, {"model_name": "rings"}, path) == 2
    table = pd.read_parquet(path)
    assert table["ra_deg"].tolist() == [10.0, 20.0]
    assert table["dec_deg"].tolist() == [-1.0, -2.0]
    assert read_label_provenance(path) == {"kind": "labels", "model_name": "rings"}
    assert read_label_provenance(files[0]) is None
