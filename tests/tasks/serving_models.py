"""Registered models and the surveys they answer for, for tests of serving."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.encoders import build_encoder
from galaxyloop.finetuning.model import LabelHead, LabelModel
from galaxyloop.finetuning.targets import Target
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyEncoder, GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from schemas.artefacts import CheckpointDirectory
from schemas.model_version import ModelVersion
from tasks import registry
from tests.library.training_data import TREE

CUTOUTS = CutoutConfig(image_size_px=32, centre_fraction=0.7)
"""Not the defaults: a served model has to know them."""


def make_vote_model(seed: int = 0) -> GalaxyModel:
    """Random weights whose answers differ between images."""
    with seeded(seed):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(TREE.columns))
    return GalaxyModel(encoder, head, TREE, 32, Normalisation())


def make_label_model(target: Target, seed: int = 0) -> LabelModel:
    """Random weights, also in the head."""
    with seeded(seed):
        encoder = build_encoder("resnet_mini")
        head = LabelHead(encoder.n_features, target.n_outputs)
        head.linear.reset_parameters()
    return LabelModel(encoder, head, target, 32, Normalisation())


def write_checkpoint(directory: Path, model: GalaxyEncoder) -> CheckpointDirectory:
    """A checkpoint that says how its cutouts were made."""
    data = {"n_train": 3, "train_digest": "9" * 64, "cutouts": CUTOUTS.to_dict()}
    log = {"epoch": 0, "seconds": 1.5, "train_loss": 2.0}
    records = CheckpointRecords({"training": {"epochs": 1}}, data, pd.DataFrame([log]))
    digest = checkpoint_digest(save_checkpoint(model, directory / "new", records))
    (directory / "new").rename(directory / digest)
    return CheckpointDirectory(uri=str(directory / digest), digest=digest)


def register(directory: Path, model: GalaxyEncoder, name: str) -> ModelVersion:
    """A registered model without a training or an evaluation behind it."""
    from schemas.artefacts import SurveyVersionDirectory

    survey = SurveyVersionDirectory(uri="/" + "5" * 64, digest="5" * 64)
    checkpoint = write_checkpoint(directory, model)
    run_id = registry.log_pretraining(
        checkpoint=checkpoint, survey=survey, shards=[], purpose="test"
    )
    version: ModelVersion = registry.register_model(run_id=run_id, name=name, alias="challenger")
    return version


def write_images(directory: Path, n_galaxies: int = 6) -> pd.DataFrame:
    """A chunk of galaxies whose images are JPEG and PNG files of several sizes."""
    directory.mkdir(parents=True)
    rng = np.random.default_rng(3)
    names = []
    for i in range(n_galaxies):
        pixels = rng.integers(0, 60, (70 + 9 * i, 64 + 16 * i, 3)).astype(np.uint8)
        centre = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        cv2.ellipse(pixels, centre, (20, 6 + 2 * i), 20.0 * i, 0, 360, (210, 170, 140), -1)
        names.append(f"{i}.{'jpg' if i % 2 else 'png'}")
        cv2.imwrite(str(directory / names[-1]), pixels)
    ids = [f"J{i:04}" for i in range(n_galaxies)]
    return pd.DataFrame(
        {
            "id_str": ids,
            "group_id": ids,
            "ra_deg": np.linspace(10, 20, n_galaxies),
            "dec_deg": np.linspace(-5, 5, n_galaxies),
            "survey": "s",
            "image_uri": [str(directory / name) for name in names],
            "image_digest": [f"uri:{one}" for one in ids],
        }
    )


def request(chunk: pd.DataFrame) -> pd.DataFrame:
    """What a served model is asked about a chunk's galaxies."""
    images = [Path(uri).read_bytes() for uri in chunk["image_uri"]]
    return chunk[["id_str", "ra_deg", "dec_deg"]].assign(image=images)


def write_shard(chunk: pd.DataFrame, directory: Path) -> Path:
    """The chunk's cutouts, as the catalogue's job makes them."""
    cut_out_chunk(chunk, CUTOUTS, directory)
    assert json.loads((directory / "shard.json").read_text())["n_rejected"] == 0
    return directory
