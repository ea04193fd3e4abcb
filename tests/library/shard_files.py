"""Shards made of arrays, for tests."""

from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.shards import CutoutShard, CutoutWriter


def write_shard(
    directory: Path,
    images: np.ndarray,
    id_strs: list[str] | None = None,
    config: dict[str, object] | None = None,
) -> CutoutShard:
    """A shard of images that are cutouts already; galaxies are named g0, g1 ... by default."""
    directory.mkdir(parents=True)
    ids = id_strs or [f"g{i}" for i in range(len(images))]
    index = pd.DataFrame(
        {
            "id_str": ids,
            "group_id": ids,
            "ra_deg": np.linspace(0, 10, len(ids)),
            "dec_deg": np.nan,
            "survey": "s",
            "image_uri": "nowhere",
            "image_digest": [f"sha256:{one}" for one in ids],
        }
    )
    with CutoutWriter(directory, images.shape[1], config or {}) as writer:
        for one, image in zip(ids, images, strict=True):
            writer.append(one, f"sha256:{one}", one, image)
    columns = ["row", "id_str", "image_digest", "column", "value", "reason"]
    writer.finish(index, pd.DataFrame({name: [] for name in columns}))
    return CutoutShard.open(directory)


def random_images(n_galaxies: int, side_px: int = 16, seed: int = 5) -> np.ndarray:
    """Noise, every galaxy of its own brightness."""
    rng = np.random.default_rng(seed)
    brightness = rng.uniform(20, 200, (n_galaxies, 1, 1, 1))
    noise = rng.uniform(0, 50, (n_galaxies, side_px, side_px, 3))
    return (brightness + noise).astype(np.uint8)
