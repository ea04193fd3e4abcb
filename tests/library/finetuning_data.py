"""Labels on the toy survey: bright galaxies are the positive class."""

from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.checkpoint import CheckpointRecords, save_checkpoint
from galaxyloop.encoders import build_encoder
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.model import LabelHead, LabelModel
from galaxyloop.finetuning.targets import Target
from galaxyloop.finetuning.training import FinetuneData
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from tests.library.training_data import toy_survey

BRIGHT = Target("binary", "bright", ["faint", "bright"])
SHADES = Target("multiclass", "shade", ["dark", "middle", "light"])
VALUE = Target("regression", "brightness")


def make_run(**changes: object) -> FinetuneRun:
    """Two short epochs from scratch on one thread; ``training`` is merged."""
    training = {
        "epochs": 2,
        "batch_size": 16,
        "n_threads": 1,
        "precision": "float32",
        "learning_rate": 1e-3,
        **changes.pop("training", {}),  # type: ignore[arg-type]
    }
    return FinetuneRun.from_dict({"encoder": "resnet_mini", **changes, "training": training})


def make_data(target: Target = BRIGHT, n_galaxies: int = 48, n_validation: int = 0) -> FinetuneData:
    """Toy galaxies with what the target asks for."""
    cutouts, votes, _ = toy_survey(n_galaxies)
    share = votes["bright-toy_yes"].to_numpy(np.float64) / 20
    y = share if target.kind == "regression" else np.floor(share * len(target.classes) * 0.999)
    split = np.where(np.arange(n_galaxies) < n_validation, "validation", "train")
    ids = cutouts.id_strs
    labels = pd.DataFrame({"id_str": ids, "y": y})
    return FinetuneData(cutouts, labels, pd.DataFrame({"id_str": ids, "split": split}), target)


def make_label_model(target: Target = BRIGHT, encoder: str = "resnet_mini") -> LabelModel:
    """Random weights, also in the head."""
    with seeded(0):
        built = build_encoder(encoder)
        head = LabelHead(built.n_features, target.n_outputs)
        head.linear.reset_parameters()
    return LabelModel(built, head, target, 16, Normalisation())


def save_encoder(directory: Path, name: str = "resnet_mini", image_size_px: int = 16) -> Path:
    """A checkpoint of an encoder alone."""
    with seeded(3):
        model = GalaxyEncoder(build_encoder(name), image_size_px, Normalisation())
    return save_checkpoint(model, directory, CheckpointRecords())
