"""A shard's predictions: batches go through the encoders, summaries to the file as they come."""

import contextlib
import itertools
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from tqdm import tqdm

from galaxyloop.acquisition import InformationConfig
from galaxyloop.checkpoint import check_size
from galaxyloop.devices import choose_precision, predicting
from galaxyloop.errors import CheckpointError
from galaxyloop.inference.looking import ImageLooker
from galaxyloop.inference.rows import PlaceReader, RowMaker
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.posterior.sampling import encode_views
from galaxyloop.predictions import (
    PRECISION_KEY,
    prediction_columns,
    table_schema,
    write_row_groups,
)
from galaxyloop.shard_streams import StreamedShard
from galaxyloop.shards import CutoutShard

_GALAXIES_AT_ONCE = {"cpu": 1024}
_GALAXIES_AT_ONCE_ON_ACCELERATOR = 4096
_CONCENTRATIONS_AT_ONCE = 2**24
_LOOKERS = 2


def predict_shard(
    models: GalaxyModel | Sequence[GalaxyModel],
    shard: CutoutShard | StreamedShard,
    posterior: PosteriorConfig,
    information: InformationConfig,
    path: Path,
) -> int:
    """Write the predictions of one shard; an encoder runs once on each view of a batch.

    The members of an ensemble enter one mixture, each with the same weight. Batches are read
    ahead of the encoders, and summaries are computed where the features are, then written, so
    that memory does not grow with the shard. A galaxy's row depends on its pixels, the models
    and the configs alone.

    Args:
        models: from ``load_checkpoint``, one or several of one tree; they run on an accelerator
            if there is one.
        shard: cutouts of the size the models were trained on, on disk or elsewhere.
        posterior: dropout samples, views, grid of the intervals, batches and precision.
        information: volunteers expected.
        path: the parquet file; it appears when it is complete. Its footer has the precision that
            was taken.

    Returns:
        Number of galaxies.

    Raises:
        CheckpointError: there is no model, one was trained on cutouts of another size, or they
            are of different trees.
        ShardError: the shard is damaged.
        StorageError: the shard cannot be read because the network failed.
    """
    members = [models] if isinstance(models, GalaxyModel) else list(models)
    _check_members(members, shard.summary.image_size_px)
    with contextlib.ExitStack() as stack:
        for member in members:
            stack.enter_context(predicting(member, posterior.n_threads))
        device = next(members[0].parameters()).device
        precision = choose_precision(posterior.precision, device)
        schema = table_schema(prediction_columns(members[0].tree))
        schema = schema.with_metadata({PRECISION_KEY: precision})
        rows = RowMaker(members, posterior, information)
        tables = stack.enter_context(contextlib.closing(_tables(members, shard, posterior, rows)))
        return write_row_groups(tables, schema, path)


def _tables(
    members: Sequence[GalaxyModel],
    shard: CutoutShard | StreamedShard,
    posterior: PosteriorConfig,
    rows: RowMaker,
) -> Generator[pa.Table, None, None]:
    """Some thousand rows at a time, in order."""
    n_galaxies = shard.summary.n_galaxies
    n_batches = _batches_at_once(members, posterior)
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(
            tqdm(total=n_galaxies, desc="predict", unit=" galaxies", leave=False)
        )
        index = stack.enter_context(shard.open_index())
        places = PlaceReader(index, n_batches * posterior.batch_size)
        looker = ImageLooker(stack.enter_context(ThreadPoolExecutor(_LOOKERS)))
        batches = looker.looked_at(shard.batches(posterior.batch_size))
        encoded = encode_views(members, batches, posterior)
        stack.enter_context(contextlib.closing(encoded))
        while group := list(itertools.islice(encoded, n_batches)):
            flags = looker.flags(len(group))
            yield rows.make(group, flags, places.take(len(flags)))
            progress.update(len(flags))


def _batches_at_once(members: Sequence[GalaxyModel], posterior: PosteriorConfig) -> int:
    """How many batches are summarised together, within bounds on the memory."""
    n_components = len(members) * posterior.n_augmentations * posterior.n_samples
    fitting = _CONCENTRATIONS_AT_ONCE // (n_components * len(members[0].tree.columns))
    device = next(members[0].parameters()).device.type
    n_galaxies = min(fitting, _GALAXIES_AT_ONCE.get(device, _GALAXIES_AT_ONCE_ON_ACCELERATOR))
    return max(1, n_galaxies // posterior.batch_size)


def _check_members(members: Sequence[GalaxyModel], image_size_px: int) -> None:
    """Refuse models that cannot describe these galaxies together."""
    if not members:
        raise CheckpointError("predictions need at least one model, got none")
    for member in members:
        check_size(member, image_size_px)
    trees = sorted({member.tree.name for member in members})
    if any(member.tree != members[0].tree for member in members):
        raise CheckpointError(
            f"the models of an ensemble must answer one tree, got different ones named {trees}; "
            "give models of one campaign"
        )
