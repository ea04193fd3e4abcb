"""Images, networks and the job that the catalogue's benchmarks share."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from benchmarks.cutouts import write_images
from galaxyloop.acquisition import InformationConfig
from galaxyloop.campaigns import campaign_tree
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.inference import predict_shard
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.random_streams import seeded
from galaxyloop.shard_streams import open_shard
from galaxyloop.shards import CutoutWriter
from galaxyloop.storage import whole_directory

CAMPAIGN = "gz_decals_dr5"
"""34 answers to 10 questions, as real ones: most are asked of some volunteers only."""
SIDE_PX = 424
"""Side of the JPEGs [px]."""
MOST_IMAGES = 1024
"""JPEGs that are written."""
GALAXIES_DIFFER_BY, SAMPLES_DIFFER_BY = 1.5, 0.4
"""Standard deviations of the logits of answers, as those of trained networks."""
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
N_READERS = 16 if DEVICE.type == "cuda" else 8
"""Images read and decoded at the same time."""


@dataclass(frozen=True)
class Case:
    """One network on one size of cutout."""

    encoder: str
    image_size_px: int
    batch_size: int

    @property
    def name(self) -> str:
        """For the names of figures."""
        return f"{self.encoder}_{self.image_size_px}_px"


LARGE = Case("efficientnet_b0", 224, 256 if DEVICE.type == "cuda" else 32)
SMALL = Case("efficientnet_b0", 64, 1024 if DEVICE.type == "cuda" else 128)


def case_model(case: Case, images: np.ndarray, tree: DecisionTree | None = None) -> GalaxyModel:
    """An untrained network whose answers differ between galaxies and samples as a trained one's.

    Args:
        case: encoder and size.
        images: some cutouts, by which the head is scaled.
        tree: the questions; None takes those of ``CAMPAIGN``.
    """
    tree = tree or campaign_tree([CAMPAIGN])
    with seeded(0):
        encoder = build_encoder(case.encoder)
        head = VoteHead(encoder.n_features, len(tree.columns))
    model = GalaxyModel(encoder, head, tree, case.image_size_px, Normalisation()).eval()
    with torch.no_grad():
        features = model.features(torch.from_numpy(np.array(images)).permute(0, 3, 1, 2))
        weight = torch.randn(head.linear.weight.shape, generator=torch.Generator().manual_seed(0))
        logits = features @ weight.T
        weight *= GALAXIES_DIFFER_BY / logits.std(dim=0).mean()
        head.linear.weight.copy_(weight)
        head.linear.bias -= (features @ weight.T).mean(dim=0)
        # What dropping every other feature would change, or as much less as rarer drops do.
        change = (features.square() @ weight.T.square()).sqrt().median()
        odds = (SAMPLES_DIFFER_BY / change).square()
        head.dropout_rate = min(0.2, float(odds / (1 + odds)))
    return model


def posterior(case: Case, n_samples: int = 30, **settings: int | str) -> PosteriorConfig:
    """The settings of the job, as they are by default but for the batch and the threads."""
    settings |= {"batch_size": case.batch_size, "n_threads": torch.get_num_threads()}
    return PosteriorConfig.from_dict({"n_samples": n_samples, **settings})


def predict(model: GalaxyModel, shard: Path | str, config: PosteriorConfig, path: Path) -> int:
    """The catalogue's job on one shard, here or at an address, from opening it to the Parquet."""
    return predict_shard([model], open_shard(shard), config, InformationConfig(), path)


class Jobs:
    """Images on disk, their cutouts, and places for results that no two rounds share.

    Args:
        folder: where all of it goes.
        n_images: galaxies.
    """

    def __init__(self, folder: Path, n_images: int) -> None:
        """Write the images; beyond some, galaxies share them, but each is decoded by itself."""
        self.folder = folder
        written = write_images(folder / "images", min(n_images, MOST_IMAGES), SIDE_PX)
        repeated = written.iloc[np.arange(n_images) % len(written)]
        ids = [f"{i:06}" for i in range(n_images)]
        self.chunk = repeated.assign(id_str=ids, group_id=ids).reset_index(drop=True)
        self._n_places = 0

    def place(self, ending: str = "") -> Path:
        """A new name."""
        self._n_places += 1
        return self.folder / f"result-{self._n_places}{ending}"

    def cut_out(self, image_size_px: int, n_images: int | None = None) -> Path:
        """A new shard of the first images."""
        directory = self.place()
        config = CutoutConfig(image_size_px=image_size_px)
        cut_out_chunk(self.chunk[:n_images], config, directory, N_READERS)
        return directory

    def from_shard(self, model: GalaxyModel, shard: Path, config: PosteriorConfig) -> Path:
        """Predictions of a shard that is there."""
        path = self.place(".parquet")
        predict(model, shard, config, path)
        return path

    def from_jpegs(
        self, model: GalaxyModel, config: PosteriorConfig, n_images: int | None = None
    ) -> Path:
        """Cut out, then predict."""
        shard = self.cut_out(model.image_size_px, n_images)
        path = self.from_shard(model, shard, config)
        shutil.rmtree(shard)
        return path


@contextmanager
def one_core() -> Iterator[None]:
    """All threads of this process on one core, so that what is compared has the same machine.

    Only where the networks run on the processor: beside an accelerator, cores read and write for
    it, as they do in use. Does nothing where the system cannot bind threads.
    """
    if DEVICE.type != "cpu" or not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    try:
        _bind({min(cores)})
        yield
    finally:
        _bind(cores)


@contextmanager
def all_cores() -> Iterator[None]:
    """Networks compute on every core, whatever number of threads was asked for."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _bind(cores: set[int]) -> None:
    """Let every thread that there is run on these cores; threads begun later follow."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), cores)


@contextmanager
def jobs(n_images: int) -> Iterator[Jobs]:
    """Images in a folder that is removed at the end."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        yield Jobs(Path(folder), n_images)


def shard_of_noise(folder: Path, n_galaxies: int, image_size_px: int, first: int = 0) -> Path:
    """A shard without images to decode, written a thousand galaxies at a time.

    Args:
        folder: of the shard.
        n_galaxies: how many.
        image_size_px: side of the cutouts [px].
        first: number of the first galaxy; its name and noise follow from it.
    """
    generator = np.random.default_rng(first)
    ids = [f"galaxy-{i:09}" for i in range(first, first + n_galaxies)]
    with whole_directory(folder) as draft:
        with CutoutWriter(draft, image_size_px, {}) as writer:
            for start in range(0, n_galaxies, 1000):
                shape = (min(1000, n_galaxies - start), image_size_px, image_size_px, 3)
                pixels = generator.integers(0, 256, shape, dtype=np.uint8)
                for id_str, cutout in zip(ids[start:], pixels, strict=False):
                    writer.append(id_str, "none", id_str, cutout)
        index = pd.DataFrame({"id_str": ids, "group_id": ids, "image_uri": ids})
        index = index.assign(ra_deg=10.0, dec_deg=5.0, survey="s", image_digest="none")
        columns = ["row", "id_str", "image_digest", "column", "value", "reason"]
        writer.finish(index, pd.DataFrame({name: [] for name in columns}).astype({"row": int}))
    return folder
