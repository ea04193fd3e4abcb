"""From cutouts to representations: the encoder once over every galaxy."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, UInt8
from tqdm import tqdm

from galaxyloop.checkpoint import check_size
from galaxyloop.devices import predicting
from galaxyloop.encoding import encode_batches
from galaxyloop.feeding import slices
from galaxyloop.models import GalaxyEncoder
from galaxyloop.representations.config import RepresentationConfig
from galaxyloop.representations.table import SHARD_COLUMNS, make_rows, table_schema, write_rows
from galaxyloop.shards import CutoutShard

_GALAXIES_AT_ONCE = 4096


def represent(
    model: GalaxyEncoder, images: UInt8[np.ndarray, "galaxy y x band"], config: RepresentationConfig
) -> Float32[np.ndarray, "galaxy feature"]:
    """The encoder's features of each galaxy: its representation.

    The encoder runs in evaluation mode, so a galaxy's representation depends on nothing but its
    own pixels, the weights and the precision; batches change no more than the last digits.

    Args:
        model: from ``load_encoder``; it runs on an accelerator if there is one, and goes back to
            the mode and device it had.
        images: cutouts of the size the model was trained on.
        config: batches, precision, threads.
    """
    parts = [np.empty((0, model.encoder.n_features), np.float32)]
    with predicting(model, config.n_threads):
        batches = slices(images, config.batch_size)
        for features in encode_batches(model, batches, config.precision):
            parts.append(features.cpu().numpy())
    return np.concatenate(parts)


def write_representations(
    model: GalaxyEncoder,
    shard: CutoutShard,
    config: RepresentationConfig,
    path: Path,
    checkpoint_digest: str,
) -> int:
    """Write the representations of one shard's galaxies; a few thousand are in memory at a time.

    Args:
        model: from ``load_encoder``.
        shard: cutouts of the size the model was trained on.
        config: batches, precision, threads.
        path: the parquet file.
        checkpoint_digest: of the checkpoint that the model is from, for the footer.

    Returns:
        Number of galaxies.

    Raises:
        CheckpointError: the model was trained on cutouts of another size.
        RepresentationError: a representation has values that are not finite.
    """
    check_size(model, shard.summary.image_size_px)
    footer = {
        "checkpoint_digest": checkpoint_digest,
        "encoder": model.encoder.name,
        "shard_digest": shard.digest,
        "settings": config.to_json(),
    }

    schema = table_schema(SHARD_COLUMNS, model.encoder.n_features)

    def tables() -> Iterator[pa.Table]:
        starts = range(0, len(shard.index), _GALAXIES_AT_ONCE)
        for first in tqdm(starts, "represent", unit="4k galaxies", leave=False):
            here = slice(first, first + _GALAXIES_AT_ONCE)
            vectors = represent(model, shard.images[here], config)
            yield make_rows(shard.index.iloc[here], vectors, schema)

    return write_rows(tables(), schema, footer, path)
