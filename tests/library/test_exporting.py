"""What other programs read of a checkpoint computes what the model itself computes."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from galaxyloop.checkpoint import CheckpointRecords, load_encoder, save_checkpoint
from galaxyloop.encoders import build_encoder
from galaxyloop.exporting import TIMM_WEIGHTS, export_encoder, export_program
from galaxyloop.finetuning.published import save_published
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.serving import load_any_model
from tests.library.finetuning_data import make_label_model, make_run
from tests.library.test_inference import make_model

SCALE = Normalisation([0.4, 0.5, 0.6], [0.2, 0.3, 0.25])


def random_bytes(n_galaxies: int, side_px: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (n_galaxies, 3, side_px, side_px), np.uint8))


def save_timm_encoder(directory: Path) -> Path:
    with seeded(1):
        encoder = build_encoder("resnet10t")
    return save_checkpoint(GalaxyEncoder(encoder, 32, SCALE), directory, CheckpointRecords())


@pytest.mark.parametrize("kind", ["votes", "labels", "encoder"])
def test_export_program__is_the_model(kind: str, tmp_path: Path) -> None:
    made = {"votes": make_model, "labels": make_label_model}
    if kind == "encoder":
        checkpoint = save_timm_encoder(tmp_path / "checkpoint")
    else:
        checkpoint = save_checkpoint(made[kind](), tmp_path / "checkpoint", CheckpointRecords())
    model = load_any_model(checkpoint)
    path = export_program(checkpoint, tmp_path / "model.pt2")
    program = torch.export.load(path).module()
    images = random_bytes(7, model.image_size_px)
    with torch.no_grad():
        torch.testing.assert_close(program(images), model(images))
        torch.testing.assert_close(program(images[:1]), model(images[:1]))


def test_export_program__of_a_calibrated_model_has_its_temperatures(tmp_path: Path) -> None:
    model = make_model().eval()
    images = random_bytes(3, model.image_size_px)
    plain = model(images)
    model.set_temperatures({"bright-toy": 0.5})
    checkpoint = save_checkpoint(model, tmp_path / "checkpoint", CheckpointRecords())
    path = export_program(checkpoint, tmp_path / "model.pt2")
    with torch.no_grad():
        found = torch.export.load(path).module()(images)
    scale = torch.tensor([0.5, 0.5, 1.0, 1.0, 1.0])
    torch.testing.assert_close(found, plain / scale)


def test_export_encoder__is_read_by_timm(tmp_path: Path) -> None:
    checkpoint = save_timm_encoder(tmp_path / "checkpoint")
    folder = export_encoder(checkpoint, tmp_path / "timm")
    network = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    assert network.pretrained_cfg["mean"] == SCALE.mean
    model, images = load_encoder(checkpoint), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(model.normalise(images)), model(images))


def test_export_encoder__comes_back_through_the_published_format(tmp_path: Path) -> None:
    checkpoint = save_timm_encoder(tmp_path / "checkpoint")
    weights = export_encoder(checkpoint, tmp_path / "timm") / TIMM_WEIGHTS
    named = {"weights_mean": SCALE.mean, "weights_std": SCALE.std, "weights": str(weights)}
    save_published(make_run(encoder="resnet10t", **named), 32, tmp_path / "back")
    images = random_bytes(3, 32)
    with torch.no_grad():
        found = load_encoder(tmp_path / "back")(images)
        torch.testing.assert_close(found, load_encoder(checkpoint)(images))


def test_save_published__takes_a_file_made_by_timm_and_leaves_its_classifier(
    tmp_path: Path,
) -> None:
    with seeded(2):
        network = timm.create_model("resnet10t", num_classes=34).eval()
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    save_published(make_run(encoder="resnet10t", weights=str(path)), 32, tmp_path / "own")
    model, images = load_encoder(tmp_path / "own"), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = network.forward_head(
            network.forward_features(model.normalise(images)), pre_logits=True
        )
        torch.testing.assert_close(model(images), features)


def test_export_encoder__of_our_own_loads_into_the_same_encoder(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(make_model(), tmp_path / "checkpoint", CheckpointRecords())
    weights = export_encoder(checkpoint, tmp_path / "timm") / TIMM_WEIGHTS
    encoder = build_encoder("resnet_mini").eval()
    encoder.network.load_state_dict(safetensors.torch.load_file(weights))
    model, images = load_encoder(checkpoint), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(encoder(model.normalise(images)), model(images))
