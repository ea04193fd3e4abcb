"""A small survey, registered models that nobody trained, and catalogues of them, in one process."""

import dataclasses
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from flytekit.core.local_cache import LocalTaskCache
from mlflow import MlflowClient

from galaxyloop.acquisition import InformationConfig
from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.encoders import Encoder, build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.random_streams import seeded
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import CheckpointDirectory, SurveyVersionDirectory
from tasks import local_run
from tasks.registry import log_pretraining, promote_by_hand, register_model
from workflows.catalogue import build_catalogue

TREE = DecisionTree(
    "toy",
    (
        Question("smooth-toy", ("smooth", "featured")),
        Question("bar-toy", ("yes", "no"), asked_after=("smooth-toy_featured",)),
    ),
)
ELSEWHERE = SurveyVersionDirectory(uri="/" + "5" * 64, digest="5" * 64)
LOG = {"epoch": 0, "seconds": 1.5, "train_loss": 2.0, "validation_loss": 1.9, "learning_rate": 0.1}
SIDE_PX = 32


@dataclass
class Night:
    """Where a survey, its catalogues and the store lie."""

    root: Path
    positions: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, numbers: range, with_positions: bool = True) -> None:
        """Add galaxies, spread over the whole sky by their number."""
        (self.root / "images").mkdir(exist_ok=True)
        for number in numbers:
            name = f"g{number:05}"
            cv2.imwrite(str(self.root / "images" / f"{name}.png"), pixels(number))
            spot = np.random.default_rng([7, number]).random(2)
            ra, dec = 360 * spot[0], np.degrees(np.arcsin(2 * spot[1] - 1))
            self.positions[name] = (ra, dec) if with_positions else (np.nan, np.nan)
        self.write_manifest()

    def write_manifest(self) -> None:
        rows = [
            (name, f"images/{name}.png", *spot) for name, spot in sorted(self.positions.items())
        ]
        table = pd.DataFrame(rows, columns=["id_str", "image_uri", "ra_deg", "dec_deg"])
        table.to_csv(self.root / "manifest.csv", index=False)

    def build(self, output: str = "catalogue", **changes: object) -> str:
        inputs = {
            "manifest": str(self.root / "manifest.csv"),
            "model": "toy@champion",
            "output": str(self.root / output),
            "ingest": IngestConfig(chunk_size=20, n_readers=1),
            "cutouts": CutoutConfig(image_size_px=SIDE_PX),
            "posterior": self.posterior(),
            "information": self.information(),
            **changes,
        }
        told: str = build_catalogue(**inputs)
        return told

    @staticmethod
    def posterior(**changes: int) -> PosteriorConfig:
        return dataclasses.replace(PosteriorConfig(n_samples=3, n_threads=1), **changes)

    @staticmethod
    def information() -> InformationConfig:
        return InformationConfig(n_monte_carlo=10, max_outcomes=50)

    def read(self, output: str = "catalogue") -> pd.DataFrame:
        return pd.read_parquet(self.root / output / "catalogue.parquet")

    def record(self, output: str = "catalogue") -> dict[str, object]:
        content = json.loads((self.root / output / "catalogue.json").read_text())
        record: dict[str, object] = content["catalogue"]
        return record

    def stamps(self, output: str = "catalogue") -> dict[str, int]:
        """When each file below the output was written."""
        folder = self.root / output
        return {
            str(path.relative_to(folder)): path.stat().st_mtime_ns
            for path in folder.rglob("*")
            if path.is_file()
        }

    def kept(self, kind: str) -> set[str]:
        """Artefacts of a kind in the store."""
        folder = self.root / "store" / kind
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def register(self, seed: int, name: str = "toy") -> str:
        """Register a model as the champion; its checkpoint's digest."""
        with seeded(seed):
            encoder = build_encoder("resnet_mini")
            head = VoteHead(encoder.n_features, len(TREE.columns), dropout_rate=0.2)
        model = GalaxyModel(encoder, head, TREE, SIDE_PX, Normalisation())
        draft = self.root / f"model-{seed}"
        records = CheckpointRecords({"training": {"epochs": 1}}, {}, pd.DataFrame([LOG]))
        digest = checkpoint_digest(save_checkpoint(model, draft, records))
        draft.rename(self.root / digest)
        checkpoint = CheckpointDirectory(uri=str(self.root / digest), digest=digest)
        run_id = log_pretraining(checkpoint=checkpoint, survey=ELSEWHERE, shards=[], purpose="test")
        version = register_model(run_id=run_id, name=name, alias="challenger")
        promote_by_hand(model=f"{name}/{version.version}", reason="nobody trained it")
        return digest


def pixels(number: int) -> np.ndarray:
    """A blob on noise, different for each number."""
    rng = np.random.default_rng([11, number])
    y, x = np.mgrid[-1:1:40j, -1:1:40j]
    blob = 180 * np.exp(-((x / rng.uniform(0.1, 0.5)) ** 2 + (y / rng.uniform(0.1, 0.5)) ** 2) / 2)
    noise = rng.normal(20, 4, (40, 40, 3))
    return np.clip(blob[..., None] + noise, 0, 255).astype(np.uint8)


@contextmanager
def open_night(root: Path) -> Iterator[Night]:
    """Let tasks of this process keep their results below a folder."""
    n_threads, former = torch.get_num_threads(), dict(os.environ)
    torch.set_num_threads(1)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{root}/mlflow.db"
    os.environ["GALAXYLOOP_STORE"] = str(root / "store")
    try:
        if not (root / "mlflow.db").exists():
            shutil.copyfile(_new_registry(), root / "mlflow.db")
        local_run.install()
        LocalTaskCache.initialize()
        yield Night(root)
    finally:
        os.environ.clear()
        os.environ.update(former)
        local_run.install()
        LocalTaskCache.initialize()
        torch.set_num_threads(n_threads)


@cache
def _new_registry() -> Path:
    """A registry without a model, whose tables take MLflow seconds to make."""
    path = Path(tempfile.mkdtemp()) / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_registered_models()
    return path


@contextmanager
def counting_encoder(kill_after: int | None = None) -> Iterator[list[int]]:
    """Sizes of the encoder's batches; after some galaxies the process is killed."""
    batches: list[int] = []

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, Encoder):
            batches.append(len(inputs[0]))
            if kill_after is not None and sum(batches) > kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    handle = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        yield batches
    finally:
        handle.remove()
