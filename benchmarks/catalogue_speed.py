"""The catalogue's job against the bare encoder, and many posterior samples against one."""

import copy
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.catalogue_survey import (
    DEVICE,
    LARGE,
    SMALL,
    Case,
    Jobs,
    case_model,
    one_core,
    posterior,
)
from benchmarks.harness import Gate, Ratio, at_least, at_most, time_pairs
from galaxyloop.devices import choose_precision
from galaxyloop.layout import bands_innermost
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import predict_concentrations
from galaxyloop.shards import CutoutShard

SHARE_FROM_SHARD = 0.8
SHARE_FROM_JPEGS = 0.6
COST_OF_30_SAMPLES = 1.15
N_AUGMENTATIONS = 4


class BareEncoder:
    """The forward pass alone: normalised images that lie on the device already, nothing kept.

    Args:
        model: whose encoder.
        images: the cutouts.
        precision: arithmetic, "float32" or "bfloat16".
        batch_size: as of the job.
    """

    def __init__(
        self, model: GalaxyModel, images: np.ndarray, precision: str, batch_size: int
    ) -> None:
        """Put the batches where they are needed, bands innermost in memory."""
        self.encoder = copy.deepcopy(model).to(DEVICE).encoder
        self.precision = precision
        self.batches: list[Tensor] = []
        for start in range(0, len(images), batch_size):
            pixels = torch.from_numpy(np.array(images[start : start + batch_size]))
            batch = model.normalise(pixels.permute(0, 3, 1, 2)).to(DEVICE)
            self.batches.append(batch.contiguous(memory_format=torch.channels_last))

    def __call__(self) -> None:
        """Every batch once."""
        is_low = self.precision == "bfloat16"
        autocast = torch.autocast(DEVICE.type, torch.bfloat16) if is_low else nullcontext()
        layout = bands_innermost(self.encoder, DEVICE, self.precision)
        with torch.inference_mode(), autocast, layout:
            for batch in self.batches:
                self.encoder(batch)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()


class CountCalls:
    """How often a network's encoder runs while the context lasts."""

    def __init__(self, model: GalaxyModel) -> None:
        """Watch the encoder."""
        self.n_calls = 0
        self._encoder = model.encoder

    def __enter__(self) -> "CountCalls":
        """Begin at none."""
        self._hook = self._encoder.register_forward_hook(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        """Look away."""
        self._hook.remove()

    def _count(self, *_: object) -> None:
        self.n_calls += 1


def measure_shares(
    work: Jobs, n_rounds: int, n_images: dict[str, int]
) -> tuple[dict[str, object], list[Gate]]:
    """Rate of the whole job over that of the bare encoder; gated at 224 pixels.

    A share is the time of the bare encoder over that of the job, round by round. On a processor
    both have the same one core: there, reading and decoding take their time from the encoder.
    """
    figures: dict[str, object] = {"encoder_device": str(DEVICE)}
    gates = []
    for case in (LARGE, SMALL):
        shard = work.cut_out(case.image_size_px, n_images[case.name])
        images = CutoutShard.open(shard).images
        model, config = case_model(case, images[:16]), posterior(case)
        precision = choose_precision(config.precision, DEVICE)
        bare = BareEncoder(model, images, precision, case.batch_size)
        jobs_by_way = {
            "shard": partial(work.from_shard, model, shard, config),
            "jpegs": partial(work.from_jpegs, model, config, len(images)),
        }
        with one_core():
            ways = {way: time_pairs(bare, job, n_rounds) for way, job in jobs_by_way.items()}
        figures[f"precision_{case.name}"] = precision
        figures[f"bare_encoder_images_per_s_{case.name}"] = len(images) / ways["shard"].baseline_s
        for way, ratio in ways.items():
            figures[f"share_of_bare_encoder_from_{way}_{case.name}"] = ratio
            figures[f"images_per_s_from_{way}_{case.name}"] = len(images) / ratio.candidate_s
            if case is LARGE:
                bound = SHARE_FROM_SHARD if way == "shard" else SHARE_FROM_JPEGS
                name = f"share_of_bare_encoder_from_{way}_{case.name}"
                gates.append(at_least(name, ratio.median, bound))
    return figures, gates


def measure_samples(
    work: Jobs, n_rounds: int, n_images: dict[str, int]
) -> tuple[dict[str, object], list[Gate]]:
    """Time of 30 samples over that of one, of the job and of the network alone; encoder calls."""
    figures: dict[str, object] = {}
    gates = []
    for case in (LARGE, SMALL):
        shard = work.cut_out(case.image_size_px, n_images[case.name])
        images = np.array(CutoutShard.open(shard).images)
        model = case_model(case, images[:16])
        job, network = _times_of_samples(work, model, shard, case, n_rounds)
        figures[f"time_of_30_samples_over_1_{case.name}"] = job
        figures[f"time_of_30_samples_over_1_network_alone_{case.name}"] = network
        if case is LARGE:
            name = f"time_of_30_samples_over_1_{case.name}"
            gates.append(at_most(name, job.median, COST_OF_30_SAMPLES))
    n_batches = -(-len(images) // SMALL.batch_size)
    for n_augmentations in (1, N_AUGMENTATIONS):
        config = posterior(SMALL, n_augmentations=n_augmentations)
        with CountCalls(model) as count:
            work.from_shard(model, shard, config)
        extra = count.n_calls - n_batches * n_augmentations
        name = f"encoder_calls_beyond_batches_x_{n_augmentations}_augmentations"
        gates.append(at_most(name, abs(extra), 0))
        figures[f"encoder_calls_with_{n_augmentations}_augmentations"] = count.n_calls
    return {**figures, "n_batches_of_counted_calls": n_batches}, gates


def _times_of_samples(
    work: Jobs, model: GalaxyModel, shard: Path, case: Case, n_rounds: int
) -> tuple[Ratio, Ratio]:
    """Thirty samples over one: the whole job, and the network without summaries and files."""
    one, thirty = (posterior(case, n_samples) for n_samples in (1, 30))
    images = np.array(CutoutShard.open(shard).images)
    # The first of the pair is what the ratio's numerator is: thirty samples.
    job = time_pairs(
        lambda: work.from_shard(model, shard, thirty),
        lambda: work.from_shard(model, shard, one),
        n_rounds,
    )
    model.to(DEVICE)
    network = time_pairs(
        lambda: predict_concentrations(model, images, thirty),
        lambda: predict_concentrations(model, images, one),
        n_rounds,
    )
    return job, network
