"""How fast training goes: views, whole step, and what of the step is not the encoder.

The naive baseline draws each galaxy's view by itself with torchvision (the same family of
changes: rotation, zoom, shift, flip, brightness, contrast), then stacks. Run on a machine with
an accelerator, everything but the naive views is on it.
"""

import numpy as np
import torch
from torchvision.transforms import v2

from benchmarks.harness import at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.augment import AugmentConfig, ViewSeed, random_views
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.objectives import VotesObjective
from galaxyloop.random_streams import seeded
from galaxyloop.training.data import EpochBatches, LabelledCutouts

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZE_PX, BATCH = 64, 128
TREE = DecisionTree("bench", tuple(Question(f"q{i}-bench", ("a", "b", "c")) for i in range(11)))


class ArrayCutouts:
    """Cutouts in memory, so that the disk is not what is measured."""

    def __init__(self, n_galaxies: int) -> None:
        """Noise serves, because no step's time depends on the pixels."""
        rng = np.random.default_rng(0)
        shape = (n_galaxies, SIZE_PX, SIZE_PX, 3)
        self.images = rng.integers(0, 256, shape, dtype=np.uint8)
        self.id_strs = np.arange(n_galaxies).astype(str)

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Some of them."""
        return self.images[positions]


class Training:
    """One model, its optimiser, and an epoch of galaxies."""

    def __init__(self, n_galaxies: int) -> None:
        """The smallest encoder, for which the rest of the step weighs most."""
        votes = np.random.default_rng(1).integers(0, 9, (n_galaxies, len(TREE.columns)))
        self.galaxies = LabelledCutouts(
            ArrayCutouts(n_galaxies), np.arange(n_galaxies), votes.astype(np.float32)
        )
        with seeded(0):
            encoder = build_encoder("resnet_mini")
            head = VoteHead(encoder.n_features, len(TREE.columns))
        model = GalaxyModel(encoder, head, TREE, SIZE_PX, Normalisation())
        self.objective = VotesObjective(model).to(DEVICE, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.objective.parameters(), lr=1e-3)
        self.naive = v2.Compose(
            [
                v2.ToImage(),
                v2.RandomAffine(
                    180, (0.04, 0.04), (0.95, 1.33), interpolation=v2.InterpolationMode.BILINEAR
                ),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(0.1, 0.1),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def batches(self) -> EpochBatches:
        """An epoch in order."""
        return EpochBatches(
            self.galaxies,
            np.array_split(np.arange(len(self.galaxies)), self.galaxies.n_batches(BATCH)),
        )

    def views_of_loop(self) -> None:
        """Read and draw an epoch's views the way the training loop does."""
        for batch in self.batches():
            random_views(batch.images.to(DEVICE), batch.galaxies, AugmentConfig(), ViewSeed(0, 0))
        wait()

    def views_one_by_one(self) -> None:
        """Read and draw an epoch's views one galaxy at a time."""
        for rows in np.array_split(np.arange(len(self.galaxies)), len(self.batches())):
            images = [self.naive(self.galaxies.cutouts.read(row)) for row in rows]
            torch.stack(images).to(DEVICE)
        wait()

    def epoch(self, precision: str, is_naive: bool = False) -> None:
        """An epoch of steps."""
        for batch in self.batches():
            images = batch.images.to(DEVICE)
            if is_naive:
                views = torch.stack([self.naive(image.numpy()) for image in batch.images])
                views = views.to(DEVICE)
            else:
                views = random_views(images, batch.galaxies, AugmentConfig(), ViewSeed(0, 0))
            views = views.contiguous(memory_format=torch.channels_last)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = self.objective.loss([views], batch.labels.to(DEVICE))
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.objective.parameters(), 5.0)
            self.optimizer.step()
        wait()


def wait() -> None:
    """Until the accelerator has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure and gate."""
    arguments = parse_arguments(__doc__ or "")
    n_galaxies = BATCH * (2 if arguments.quick else 6) * (10 if DEVICE.type == "cuda" else 1)
    n_rounds = 3 if arguments.quick else 5
    training = Training(n_galaxies)
    views = time_pairs(training.views_one_by_one, training.views_of_loop, n_rounds)
    steps = time_pairs(
        lambda: training.epoch("bfloat16", is_naive=True),
        lambda: training.epoch("bfloat16"),
        n_rounds,
    )
    precision = time_pairs(
        lambda: training.epoch("float32"), lambda: training.epoch("bfloat16"), n_rounds
    )
    share = time_pairs(training.views_of_loop, lambda: training.epoch("bfloat16"), n_rounds)
    figures: dict[str, object] = {
        "encoder": "resnet_mini",
        "image_size_px": SIZE_PX,
        "batch_size": BATCH,
        "n_galaxies": n_galaxies,
        "views_against_one_by_one": views,
        "step_against_one_by_one": steps,
        "bfloat16_against_float32": precision,
        "images_per_s_bfloat16": n_galaxies / precision.candidate_s,
        "images_per_s_float32": n_galaxies / precision.baseline_s,
        "views_share_of_step": share.median,
    }
    gates = [
        at_least("views_against_one_by_one", views.median, 4),
        at_most("views_share_of_step", share.median, 0.25),
    ]
    finish("training_step", figures, gates, arguments)


if __name__ == "__main__":
    main()
