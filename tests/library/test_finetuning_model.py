"""Finetuned models load back equal, and are not taken for models of votes."""

import json
from pathlib import Path

import pytest
import torch

from galaxyloop.checkpoint import (
    CheckpointRecords,
    load_checkpoint,
    load_checkpoint_tree,
    load_encoder,
    save_checkpoint,
)
from galaxyloop.config import ConfigError
from galaxyloop.errors import CheckpointError
from galaxyloop.finetuning.model import LabelHead, load_label_model
from tests.library.finetuning_data import BRIGHT, SHADES, VALUE, make_label_model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(make_label_model(SHADES), tmp_path / "saved", CheckpointRecords())


def test_load_label_model__gives_the_same_outputs(saved: Path) -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    loaded = load_label_model(saved)
    assert not loaded.training
    assert loaded.target == SHADES
    assert torch.equal(loaded(images), make_label_model(SHADES).eval()(images))


@pytest.mark.parametrize("load", [load_checkpoint, load_checkpoint_tree])
def test_load_checkpoint__refuses_a_finetuned_model_by_name(load, saved: Path) -> None:  # noqa: ANN001
    with pytest.raises(CheckpointError, match=r"saved holds a model of kind 'labels'"):
        load(saved)


def test_load_encoder__takes_a_finetuned_model(saved: Path) -> None:
    images = torch.rand(2, 3, 16, 16)
    own = make_label_model(SHADES).eval()
    assert torch.equal(load_encoder(saved).features(images), own.features(images))


def test_load_label_model__refuses_a_target_that_does_not_fit_the_weights(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["target"]["classes"] = ["dark", "light"]
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"'head.linear.bias' must be .*\(2,\), got .*\(3,\)"):
        load_label_model(saved)


@pytest.mark.parametrize(("target", "n_outputs"), [(BRIGHT, 1), (SHADES, 3), (VALUE, 1)])
def test_label_head__starts_at_zero_in_float32(target, n_outputs: int) -> None:  # noqa: ANN001
    head = LabelHead(8, target.n_outputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = head(torch.rand(5, 8, dtype=torch.bfloat16))
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, torch.zeros(5, n_outputs))


def test_label_head__drops_features_in_training_only() -> None:
    head = LabelHead(64, 1, dropout_rate=0.5)
    head.linear.reset_parameters()
    features = torch.rand(3, 64)
    assert torch.equal(head.eval()(features), head.eval()(features))
    assert not torch.equal(head.train()(features), head.train()(features))


def test_label_head__refuses_dropping_everything() -> None:
    with pytest.raises(ConfigError, match=r"dropout_rate must be in \[0, 1\), got 1\.0"):
        LabelHead(8, 1, dropout_rate=1.0)
