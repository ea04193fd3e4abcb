"""Cutting out and reading back, against loops over image files with Pillow and with OpenCV.

Ours averages over area exactly, as the loops do (``reduced_decode=False``), so that the pixels are
the same; ``cut_out_by_default_over_opencv`` is what cutting out takes by default.
"""

import shutil
import tempfile
import uuid
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.harness import Ratio, at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import IngestConfig, version_survey

SIZE_PX = 64
SIDES_PX = (200, 424)
DEFAULT = CutoutConfig(image_size_px=SIZE_PX)
EXACT = CutoutConfig(image_size_px=SIZE_PX, reduced_decode=False)
SPEED_GATES = {
    "cut_out_over_pillow": 1.0,
    "cut_out_over_opencv": 0.7,
    "read_back_over_opencv": 30,
}
"""Set to hold on two shared cores; the first two rise with the number of free cores."""


def write_images(folder: Path, n_images: int, side_px: int) -> pd.DataFrame:
    """A chunk of smooth blobs over noise, as JPEG of quality 90."""
    generator = np.random.default_rng(side_px)
    grid = np.linspace(-1, 1, side_px)
    folder.mkdir()
    for i in range(n_images):
        width, tilt = generator.uniform(0.05, 0.4), generator.uniform(0.3, 1)
        radius = np.hypot(grid[:, None], grid[None, :] / tilt)
        galaxy = 200 * np.exp(-radius / width)[:, :, None] * generator.uniform(0.5, 1, 3)
        pixels = np.clip(galaxy + generator.normal(15, 5, (side_px, side_px, 3)), 0, 255)
        options = [cv2.IMWRITE_JPEG_QUALITY, 90]
        cv2.imwrite(str(folder / f"{i:06}.jpg"), pixels.astype(np.uint8), options)
    uris = [str(path) for path in sorted(folder.iterdir())]
    ids = [Path(uri).stem for uri in uris]
    rows = pd.DataFrame({"id_str": ids, "image_uri": uris, "group_id": ids, "survey": "s"})
    return rows.assign(ra_deg=10.0, dec_deg=5.0, image_digest=[f"uri:{uri}" for uri in uris])


def with_pillow(uris: list[str]) -> np.ndarray:
    """The plain loop: open, average over area, stack."""
    size = (SIZE_PX, SIZE_PX)
    return np.stack(
        [
            np.asarray(Image.open(uri).convert("RGB").resize(size, Image.Resampling.BOX))
            for uri in uris
        ]
    )


def with_opencv(uris: list[str]) -> np.ndarray:
    """The least work that gives the same pixels, in one thread and without any check."""
    size = (SIZE_PX, SIZE_PX)
    cutouts = [cv2.resize(cv2.imread(uri), size, interpolation=cv2.INTER_AREA) for uri in uris]
    return np.stack(cutouts)[:, :, :, ::-1]


def cut_out_anew(
    chunk: pd.DataFrame, folder: Path, n_readers: int, config: CutoutConfig = EXACT
) -> CutoutShard:
    """A shard in a new place, so that rounds do not meet."""
    directory = folder / uuid.uuid4().hex
    cut_out_chunk(chunk, config, directory, n_readers)
    return CutoutShard.open(directory)


def compare(chunk: pd.DataFrame, folder: Path, n_rounds: int) -> tuple[dict[str, Ratio], int]:
    """Speed-ups over the loops, and the largest difference of a pixel from OpenCV's loop."""
    uris = chunk["image_uri"].tolist()
    collection = CutoutCollection([cut_out_anew(chunk, folder, 8)])
    positions = np.random.default_rng(0).permutation(len(chunk))
    shuffled = [uris[i] for i in positions]
    difference = collection.read(positions).astype(int) - with_opencv(shuffled)
    ratios = {
        "cut_out_over_pillow": time_pairs(
            lambda: with_pillow(uris), lambda: cut_out_anew(chunk, folder, 8), n_rounds
        ),
        "cut_out_over_opencv": time_pairs(
            lambda: with_opencv(uris), lambda: cut_out_anew(chunk, folder, 8), n_rounds
        ),
        "cut_out_by_default_over_opencv": time_pairs(
            lambda: with_opencv(uris), lambda: cut_out_anew(chunk, folder, 8, DEFAULT), n_rounds
        ),
        "cut_out_by_one_reader_over_opencv": time_pairs(
            lambda: with_opencv(uris), lambda: cut_out_anew(chunk, folder, 1), n_rounds
        ),
        "read_back_over_opencv": time_pairs(
            lambda: with_opencv(shuffled), lambda: collection.read(positions), n_rounds
        ),
    }
    return ratios, int(np.abs(difference).max())


def recut_share(folder: Path, n_galaxies: int) -> float:
    """Galaxies to cut out again, as a share, after a survey grew by one in a hundred."""
    ids = [f"{i:08}" for i in np.random.default_rng(0).permutation(n_galaxies)]
    generator = np.random.default_rng(1)
    galaxies = pd.DataFrame({"id_str": ids, "image_uri": ids, "group_id": ids, "survey": "s"})
    galaxies["ra_deg"] = generator.uniform(0, 360, n_galaxies)
    galaxies["dec_deg"] = generator.uniform(-90, 90, n_galaxies)
    config = IngestConfig(fingerprint="uri", chunk_size=500)
    first = version_survey(galaxies[n_galaxies // 100 :], config, None, folder / "v1")
    second = version_survey(galaxies, config, first, folder / "v2")
    new = [digest for digest in second.chunks if digest not in first.chunks]
    return sum(len(second.read_chunk(digest)) for digest in new) / n_galaxies


def main() -> None:
    """Time, compare, judge."""
    arguments = parse_arguments(__doc__)
    n_images, n_rounds = (150, 5) if arguments.quick else (400, 7)
    figures: dict[str, object] = {"n_images": n_images, "image_size_px": SIZE_PX}
    gates = []
    folder = Path(tempfile.mkdtemp())
    try:
        for side in SIDES_PX:
            chunk = write_images(folder / f"from{side}", n_images, side)
            ratios, difference = compare(chunk, folder, n_rounds)
            n_bytes = sum(Path(uri).stat().st_size for uri in chunk["image_uri"])
            seconds = ratios["cut_out_over_opencv"].candidate_s
            figures |= {f"{name}_from_{side}_px": ratio for name, ratio in ratios.items()}
            figures |= {
                f"images_per_second_from_{side}_px": n_images / seconds,
                f"bytes_per_jpeg_{side}_px": n_bytes / n_images,
            }
            gates += [
                at_least(f"{name}_from_{side}_px", ratios[name].median, bound)
                for name, bound in SPEED_GATES.items()
            ]
            gates.append(at_most(f"largest_difference_from_opencv_{side}_px", difference, 0))
        share = recut_share(folder, 2_000 if arguments.quick else 20_000)
    finally:
        shutil.rmtree(folder)
    figures |= {"bytes_per_cutout": SIZE_PX**2 * 3, "recut_share_after_1_percent_growth": share}
    gates.append(at_most("recut_share_after_1_percent_growth", share, 0.01))
    finish("cutouts", figures, gates, arguments)


if __name__ == "__main__":
    main()
