"""Checkpoints load back equal, appear whole, and a damaged or hostile one is refused."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from galaxyloop.checkpoint import (
    CheckpointRecords,
    checkpoint_digest,
    load_checkpoint,
    load_checkpoint_config,
    load_encoder,
    save_checkpoint,
)
from galaxyloop.config import ConfigError
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import CheckpointError
from galaxyloop.feature_reference import fit_reference
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from tests.library.training_data import TREE


def make_model(seed: int = 0) -> GalaxyModel:
    with seeded(seed):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(TREE.columns), 0.25)
    return GalaxyModel(encoder, head, TREE, 32, Normalisation([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(make_model(), tmp_path / "saved", CheckpointRecords(run={"a": 1}))


def test_load_checkpoint__gives_the_same_concentrations(saved: Path) -> None:
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    loaded = load_checkpoint(saved)
    assert not loaded.training
    assert loaded.tree == TREE
    assert (loaded.image_size_px, loaded.head.dropout_rate) == (32, 0.25)
    assert torch.equal(loaded(images), make_model().eval()(images))


def test_galaxy_model__takes_bytes_and_unit_floats_alike() -> None:
    model = make_model().eval()
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(model(images), model(images.float() / 255))
    mean = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(2, 3, 32, 32)
    torch.testing.assert_close(model.features(mean), model.encoder(torch.zeros(2, 3, 32, 32)))


def test_checkpoint_digest__is_of_weights_and_config_and_of_nothing_else(
    saved: Path, tmp_path: Path
) -> None:
    records = CheckpointRecords(run={"a": 1}, environment={"python": "other"})
    again = save_checkpoint(make_model(), tmp_path / "again", records)
    assert checkpoint_digest(again) == checkpoint_digest(saved)
    other = save_checkpoint(make_model(1), tmp_path / "other", CheckpointRecords(run={"a": 1}))
    assert checkpoint_digest(other) != checkpoint_digest(saved)
    config = save_checkpoint(make_model(), tmp_path / "config", CheckpointRecords(run={"a": 2}))
    assert checkpoint_digest(config) != checkpoint_digest(saved)


def test_save_checkpoint__leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    records = CheckpointRecords(run={"unwritable": {1, 2}})
    with pytest.raises(TypeError, match="set"):
        save_checkpoint(make_model(), tmp_path / "saved", records)
    assert list(tmp_path.iterdir()) == []


def test_save_checkpoint__refuses_a_directory_in_use(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="saved is not empty"):
        save_checkpoint(make_model(), saved, CheckpointRecords())


def test_load_checkpoint__refuses_a_missing_file(saved: Path, tmp_path: Path) -> None:
    (saved / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors"):
        load_checkpoint(saved)
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is missing"):
        checkpoint_digest(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must have the format"),
        ('{"format": "zip"}', "got 'zip'"),
        (" " * 5_000_000, "5000000 bytes"),
    ],
)
def test_load_checkpoint_config__refuses_what_is_no_config(
    saved: Path, text: str, message: str
) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint_config(saved)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder", "no_such_encoder"),
        ("encoder", "hf-hub:somebody/something"),
        ("encoder", "local-dir:/etc"),
        ("encoder", 7),
        ("image_size_px", 10**9),
        ("image_size_px", "64"),
        ("image_size_px", True),
        ("dropout_rate", 1.5),
        ("dropout_rate", "a"),
        ("dropout_rate", None),
        ("normalisation", {"mean": [0, 0], "std": [1, 1, 1]}),
        ("normalisation", {"mean": [0, 0, 0], "std": [1, 0, 1]}),
        ("tree", {"name": "t", "questions": [{"name": "q", "answers": ["a"]}]}),
        ("tree", []),
        ("tree", None),
        ("reference_axes", 10**9),
        ("reference_axes", 0),
        ("reference_axes", True),
        ("reference_axes", "2"),
    ],
)
def test_load_checkpoint__refuses_a_config_that_describes_no_model(
    saved: Path, key: str, value: object
) -> None:
    config = load_checkpoint_config(saved)
    config[key] = value
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not describe a model"):
        load_checkpoint(saved)


def test_load_checkpoint__refuses_weights_that_do_not_fit(saved: Path) -> None:
    path = saved / "weights.safetensors"
    weights = safetensors.torch.load_file(path)
    bias = weights["head.linear.bias"]
    changes: list[tuple[dict[str, torch.Tensor], str]] = [
        ({"head.linear.bias": torch.zeros(4)}, r"must be torch.float32 \(5,\), got .*\(4,\)"),
        ({"head.linear.bias": bias.double()}, "got torch.float64"),
        ({"head.linear.bias": bias * float("nan")}, "not finite"),
        ({"extra": bias.clone()}, r"first \['extra'\]"),
    ]
    for change, message in changes:
        safetensors.torch.save_file({**weights, **change}, path)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(saved)
    path.write_bytes(b"\x80\x04not safetensors")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_checkpoint(saved)


@pytest.fixture
def referenced(tmp_path: Path) -> Path:
    """A checkpoint with a reference of random features."""
    model = make_model()
    features = torch.randn(2, 200, 256, generator=torch.Generator().manual_seed(0))
    model.reference = fit_reference(features[0], features[1])
    return save_checkpoint(model, tmp_path / "referenced", CheckpointRecords(run={"a": 1}))


def test_load_checkpoint__gives_the_same_distances(referenced: Path, saved: Path) -> None:
    features = torch.randn(2, 200, 256, generator=torch.Generator().manual_seed(0))
    loaded = load_checkpoint(referenced)
    assert loaded.reference.n_axes == 25
    expected = fit_reference(features[0], features[1]).distance(features[1])
    assert torch.equal(loaded.reference.distance(features[1]), expected)
    assert checkpoint_digest(referenced) != checkpoint_digest(saved)
    weights = load_encoder(referenced).state_dict()
    assert not [name for name in weights if "reference" in name]


def test_load_checkpoint__of_a_model_without_a_reference_knows_no_distance(saved: Path) -> None:
    # A model that was never fitted is written as it was before there were references.
    assert "reference_axes" not in load_checkpoint_config(saved)
    weights = safetensors.torch.load_file(saved / "weights.safetensors")
    assert {name.split(".")[0] for name in weights} == {"encoder", "head"}
    loaded = load_checkpoint(saved)
    assert not loaded.reference.is_fitted
    assert bool(loaded.reference.distance(torch.zeros(2, 256)).isnan().all())


def test_load_checkpoint__refuses_a_reference_that_does_not_fit(referenced: Path) -> None:
    path = referenced / "weights.safetensors"
    weights = safetensors.torch.load_file(path)
    unit = weights["reference.unit"]
    changes: list[tuple[dict[str, torch.Tensor], str]] = [
        ({"reference.axes": torch.zeros(256, 24)}, r"must be torch.float32 \(256, 25\)"),
        ({"reference.unit": unit.double()}, "got torch.float64"),
        ({"reference.unit": unit * float("inf")}, "not finite"),
        ({"reference.unit": -unit}, "variances and unit must be above 0"),
        ({"reference.variances": torch.zeros(25)}, "variances and unit must be above 0"),
    ]
    for change, message in changes:
        safetensors.torch.save_file({**weights, **change}, path)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(referenced)
    cut = {name: weight for name, weight in weights.items() if not name.startswith("reference.")}
    for left in (cut, {**cut, "reference.unit": unit}):
        safetensors.torch.save_file(left, path)
        with pytest.raises(CheckpointError, match="weights are missing or too many"):
            load_checkpoint(referenced)
    config = load_checkpoint_config(referenced)
    del config["reference_axes"]
    (referenced / "config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(weights, path)
    with pytest.raises(CheckpointError, match="6 weights are missing or too many"):
        load_checkpoint(referenced)


def test_normalisation__refuses_division_by_zero() -> None:
    with pytest.raises(ConfigError, match=r"std must be >= 1e-6 .* got \[1\.0, 0\.0, 1\.0\]"):
        Normalisation([0.0, 0.0, 0.0], [1.0, 0.0, 1.0])
