"""The way in which five posterior draws are made elsewhere, against ours, from JPEGs to a table.

There, dropout stays on in the head and everything runs once a draw: every image is decoded with
Pillow, turned and resized at random, and goes through the whole network in float32; the draws are
stacked in memory and written as CSV at the end, each cell a list of numbers. It was written here
from that description, and is given what it would not have to have: the erasing of patches, a fifth
of its transform's time, is left out; as many processes decode as there are cores; and it computes
neither intervals nor information. Both ways have all cores for their network.
"""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.catalogue_survey import (
    DEVICE,
    LARGE,
    SMALL,
    Case,
    Jobs,
    all_cores,
    case_model,
    posterior,
)
from benchmarks.harness import Gate, at_least, time_pairs
from galaxyloop.models import GalaxyModel
from galaxyloop.shards import CutoutShard

N_DRAWS = 5
Transform = Callable[[Image.Image], Tensor]
GATES = {LARGE.name: 8.0, SMALL.name: 20.0}


def random_views(image_size_px: int) -> Transform:
    """The transforms of that pipeline, less erasing."""
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomAffine(degrees=180, translate=(0.1, 0.1), scale=(0.9, 1.3)),
            v2.Resize((image_size_px, image_size_px), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


class DecodedImages(Dataset[Tensor]):
    """Images decoded and transformed one at a time."""

    def __init__(self, uris: list[str], transform: Transform) -> None:
        """Open nothing yet."""
        self.uris = uris
        self.transform = transform

    def __len__(self) -> int:
        """How many images."""
        return len(self.uris)

    def __getitem__(self, i: int) -> Tensor:
        """One image."""
        with Image.open(self.uris[i]) as image:
            return self.transform(image.convert("RGB"))


class FiveDraws:
    """That way: the whole of it once a draw, the table at the end.

    Args:
        model: whose weights both ways use.
        batch_size: as of ours.
    """

    def __init__(self, model: GalaxyModel, batch_size: int) -> None:
        """Dropout stays on; weights lie in memory as torch puts them."""
        self.model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
        self.batch_size = batch_size
        self.transform = random_views(model.image_size_px)
        self.n_workers = os.cpu_count() or 1

    def __call__(self, uris: list[str], path: Path) -> Path:
        """Draw, stack, write."""
        self.model.to(DEVICE).eval()
        draws = [self._draw(uris) for _ in range(N_DRAWS)]
        stacked = torch.stack(draws, dim=-1).numpy()
        columns: dict[str, list[str]] = {"file": [Path(uri).stem for uri in uris]}
        for i, column in enumerate(self.model.tree.columns):
            columns[f"{column}_pred"] = [json.dumps(cell.tolist()) for cell in stacked[:, i]]
        pd.DataFrame(columns).to_csv(path, index=False)
        return path

    def _draw(self, uris: list[str]) -> Tensor:
        """One pass over all images."""
        dataset = DecodedImages(uris, self.transform)
        loader = DataLoader(dataset, self.batch_size, num_workers=self.n_workers)
        rate, head = self.model.head.dropout_rate, self.model.head
        parts = []
        with torch.no_grad():
            for images in loader:
                features = self.model.features(images.to(DEVICE))
                dropped = nn.functional.dropout(features, rate, training=True)
                parts.append(head(dropped).cpu())
        return torch.cat(parts)


def measure_peer(
    work: Jobs, n_rounds: int, n_images: dict[str, int]
) -> tuple[dict[str, object], list[Gate]]:
    """End to end, five draws on both sides, gated at both sizes.

    Args:
        work: where the images are.
        n_rounds: pairs of runs.
        n_images: of the work's images, how many for each case.
    """
    figures: dict[str, object] = {"n_draws_of_peer_and_ours": N_DRAWS}
    gates = []
    for case in (LARGE, SMALL):
        uris = work.chunk["image_uri"].tolist()[: n_images[case.name]]
        with all_cores():
            ratio = time_pairs(*_both_ways(work, case, uris), n_rounds)
        name = f"speed_up_over_five_draws_{case.name}"
        figures[name] = ratio
        figures[f"peer_images_per_s_{case.name}"] = len(uris) / ratio.baseline_s
        figures[f"our_images_per_s_{case.name}"] = len(uris) / ratio.candidate_s
        gates.append(at_least(name, ratio.median, GATES[case.name]))
    return figures, gates


def _both_ways(
    work: Jobs, case: Case, uris: list[str]
) -> tuple[Callable[[], Path], Callable[[], Path]]:
    """Theirs and ours on the same images with the same weights."""
    shard = CutoutShard.open(work.cut_out(case.image_size_px, 16))
    model = case_model(case, np.array(shard.images))
    theirs, config = FiveDraws(model, case.batch_size), posterior(case, N_DRAWS)
    return (
        lambda: theirs(uris, work.place(".csv")),
        lambda: work.from_jpegs(model, config, len(uris)),
    )
