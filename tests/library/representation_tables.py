"""Representations made by hand, in memory and as the files of shards."""

from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.representations.table import (
    SHARD_COLUMNS,
    Representations,
    make_rows,
    table_schema,
    write_rows,
)


def random_galaxies(n_galaxies: int) -> pd.DataFrame:
    """Galaxies with ids, positions, groups and images of their own."""
    ids = [f"J{i:05}" for i in range(n_galaxies)]
    return pd.DataFrame(
        {
            "id_str": ids,
            "ra_deg": np.linspace(0, 359, n_galaxies),
            "dec_deg": np.full(n_galaxies, np.nan),
            "group_id": [f"group of {id_str}" for id_str in ids],
            "image_digest": [f"image of {id_str}" for id_str in ids],
        }
    )


def random_vectors(n_galaxies: int, n_features: int = 12, seed: int = 0) -> np.ndarray:
    """Vectors as a rectifier leaves them: >= 0, all in one corner."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(0.6, 0.4, (n_galaxies, n_features)), 0).astype(np.float32)


def random_representations(n_galaxies: int, n_features: int = 12) -> Representations:
    """Both together."""
    return Representations(random_galaxies(n_galaxies), random_vectors(n_galaxies, n_features), {})


def write_shard_file(
    path: Path, galaxies: pd.DataFrame, vectors: np.ndarray, checkpoint_digest: str = "abc"
) -> Path:
    """A shard's file of representations."""
    schema = table_schema(SHARD_COLUMNS, vectors.shape[1])
    footer = {"checkpoint_digest": checkpoint_digest, "encoder": "toy", "settings": "{}"}
    write_rows(iter([make_rows(galaxies, vectors, schema)]), schema, footer, path)
    return path
