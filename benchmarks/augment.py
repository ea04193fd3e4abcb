"""Views from JPEG files of 424 pixels, against galaxy-datasets' default views.

galaxy-datasets is under the GPL: it stays in a virtual environment of its own, and its Python runs
as another process, which is handed file names and tells when it is done::

    python -m venv ../galaxy_datasets_env
    ../galaxy_datasets_env/bin/pip install galaxy-datasets==0.0.25
    python -m benchmarks.augment --peer-python ../galaxy_datasets_env/bin/python

Both read files and give batches of float views, with one thread each. Its default: rotation, shift,
zoom and shear in one warp, a resampling to the size, flips, five small erasures. Ours: rotation,
flip, zoom and shift in one warp of the cutout, brightness, contrast, noise (``AugmentConfig()``).

Figures, by side of the views; all are how many times faster ours is:

- ``one_view``: decode, cut out and draw one view, nothing kept;
- ``two_views``: the same with two views of each decoded image, as contrastive learning takes them;
- ``later_epochs``: one view from the shards that training reads, since it cuts out only once;
- ``cutting_out``: their one view against ours of making the shards, index and digests included;
- ``ten_epochs``: a training of ten, with the cutting out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from benchmarks.cutouts import write_images
from benchmarks.harness import Gate, Ratio, at_least, finish, parse_arguments, time_pairs
from galaxyloop.augment import AugmentConfig, ViewSeed, random_views
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk, cut_out_image
from galaxyloop.image_files import ImagePart
from galaxyloop.shards import CutoutCollection, CutoutShard

JPEG_PX, BATCH, N_EPOCHS = 424, 32, 10
GATES = {224: 5.0, 128: 7.0, 64: 8.0}
"""Least speed-up from JPEG to views of these sides [px]."""

PEER_PROGRAM = """
import sys
answers, sys.stdout = sys.stdout, sys.stderr
import importlib.metadata, os
import pandas, torch
from galaxy_datasets.pytorch.galaxy_dataset import CatalogDataset
from galaxy_datasets.transforms import default_view_config, get_galaxy_transform

folder, n_threads, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(n_threads)
files = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
catalog = pandas.DataFrame({"id_str": files, "file_loc": files})
print(importlib.metadata.version("galaxy-datasets"), file=answers, flush=True)
for line in sys.stdin:
    config = default_view_config()
    config.output_size, n_views = map(int, line.split())
    transform = get_galaxy_transform(config)
    several = lambda image: [transform(image) for _ in range(n_views)]
    galaxies = CatalogDataset(catalog, transform=several)
    for start in range(0, len(files), batch):
        drawn = [galaxies[row]["image"] for row in range(start, min(start + batch, len(files)))]
        views = [torch.stack(of_all) for of_all in zip(*drawn)]
    print(len(views), *views[0].shape[1:], views[0].dtype, file=answers, flush=True)
"""


class Peer:
    """galaxy-datasets in its own process."""

    def __init__(self, python: str, folder: Path, n_threads: int) -> None:
        """Start it and wait until it has imported everything."""
        arguments = [python, "-c", PEER_PROGRAM, str(folder), str(n_threads), str(BATCH)]
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(n_threads), "PYTHONPATH": ""},
        )
        self.version = self._answer()

    def epoch(self, size_px: int, n_views: int) -> None:
        """Views of all files at a size."""
        if self.process.stdin:
            self.process.stdin.write(f"{size_px} {n_views}\n")
            self.process.stdin.flush()
        given, asked = self._answer(), f"{n_views} 3 {size_px} {size_px} torch.float32"
        if given != asked:
            raise RuntimeError(f"galaxy-datasets gave '{given}', asked for was '{asked}'")

    def close(self) -> None:
        """Let it end."""
        self.process.communicate()

    def _answer(self) -> str:
        """The next line it says."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError("the process of galaxy-datasets ended; its errors are above")
        return line.strip()


class Ours:
    """One size: JPEG files, and the shard that a training reads."""

    def __init__(self, chunk: pd.DataFrame, size_px: int, folder: Path) -> None:
        """Cut out once, for ``later_epoch``."""
        self.chunk, self.size_px, self.folder = chunk, size_px, folder
        self.config = CutoutConfig(image_size_px=size_px)
        self.numbers = np.arange(len(chunk))
        self.n_shards = 0
        self.cut_out_all()
        self.shard = CutoutCollection([CutoutShard.open(folder / "1")])

    def from_jpeg(self, n_views: int) -> None:
        """Read, decode, cut out and draw, a batch at a time, nothing kept."""
        uris = self.chunk["image_uri"].tolist()
        for start in range(0, len(uris), BATCH):
            parts = [ImagePart("", Path(uri).read_bytes()) for uri in uris[start : start + BATCH]]
            images = [cut_out_image([part], self.config) for part in parts]
            self._draw(np.stack(images), self.numbers[start : start + BATCH], n_views)

    def later_epoch(self) -> None:
        """Read cutouts and draw, as training does."""
        for start in range(0, len(self.chunk), BATCH):
            rows = self.numbers[start : start + BATCH]
            self._draw(self.shard.read(rows), rows, 1)

    def cut_out_all(self) -> None:
        """The whole of cutting out: shard, index and digests on disk, by one reader."""
        self.n_shards += 1
        cut_out_chunk(self.chunk, self.config, self.folder / str(self.n_shards), n_readers=1)

    def _draw(self, images: np.ndarray, rows: np.ndarray, n_views: int) -> None:
        """Views of a batch."""
        for view in range(n_views):
            when = ViewSeed(0, 0, view)
            drawn = random_views(torch.from_numpy(images), rows, AugmentConfig(), when)
            if drawn.shape != (len(rows), 3, self.size_px, self.size_px):
                raise RuntimeError(f"views have shape {tuple(drawn.shape)}")


def compare(ours: Ours, peer: Peer, n_rounds: int) -> tuple[dict[str, object], list[Gate]]:
    """Figures and gates of one size."""
    size = ours.size_px

    def speed_up(ours_does: Callable[[], None], n_views: int = 1) -> Ratio:
        return time_pairs(lambda: peer.epoch(size, n_views), ours_does, n_rounds)

    one = speed_up(lambda: ours.from_jpeg(1))
    two = speed_up(lambda: ours.from_jpeg(2), n_views=2)
    later, cutting = speed_up(ours.later_epoch), speed_up(ours.cut_out_all)
    n_images = len(ours.chunk)
    figures: dict[str, object] = {
        f"one_view_{size}_px": one,
        f"two_views_{size}_px": two,
        f"later_epochs_{size}_px": later,
        f"cutting_out_{size}_px": cutting,
        f"ten_epochs_{size}_px": N_EPOCHS / (1 / cutting.median + N_EPOCHS / later.median),
        f"views_per_second_from_jpeg_{size}_px": n_images / one.candidate_s,
        f"views_per_second_later_{size}_px": n_images / later.candidate_s,
    }
    gates = [
        at_least(f"one_view_{size}_px", one.median, GATES[size]),
        at_least(f"two_views_{size}_px", two.median, GATES[size]),
        at_least(f"later_epochs_{size}_px", later.median, GATES[size]),
    ]
    return figures, gates


def read_arguments() -> tuple[str, argparse.Namespace]:
    """The other environment's Python, and what every benchmark is told."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--peer-python", default="")
    options, rest = own.parse_known_args()
    sys.argv[1:] = rest
    arguments = parse_arguments(
        "Views from JPEG files against galaxy-datasets' default. Needs also --peer-python PATH: "
        "the python of an environment of its own that galaxy-datasets is installed in."
    )
    if not Path(options.peer_python).is_file():
        sys.exit(
            "galaxy-datasets is absent, nothing is measured: give --peer-python, the python of an "
            f"environment that it is installed in, got '{options.peer_python}'; the first lines "
            f"of {__file__} tell how to make one"
        )
    return options.peer_python, arguments


def main() -> None:
    """Time, compare, judge."""
    python, arguments = read_arguments()
    cv2.setNumThreads(arguments.threads)
    n_images, n_rounds = (32, 3) if arguments.quick else (128, 7)
    figures: dict[str, object] = {"n_images": n_images, "jpeg_px": JPEG_PX, "batch_size": BATCH}
    gates: list[Gate] = []
    folder = Path(tempfile.mkdtemp())
    try:
        chunk = write_images(folder / "jpegs", n_images, JPEG_PX)
        peer = Peer(python, folder / "jpegs", arguments.threads)
        figures["galaxy_datasets"] = peer.version
        for size_px in GATES:
            ours = Ours(chunk, size_px, folder / f"shards{size_px}")
            of_size, gates_of_size = compare(ours, peer, n_rounds)
            figures |= of_size
            gates += gates_of_size
        peer.close()
    finally:
        shutil.rmtree(folder)
    finish("augment", figures, gates, arguments)


if __name__ == "__main__":
    main()
