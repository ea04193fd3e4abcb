"""One cell of a scaling study: an encoder, a fraction of the galaxies, a seed; one row."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import pandas as pd

from galaxyloop.checkpoint import LOG, load_checkpoint
from galaxyloop.config import StrictConfig
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.random_streams import number_names, uniforms
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.scaling.held_out import judge_held_out
from galaxyloop.training.config import SupervisedRun
from galaxyloop.training.data import Cutouts, select_split
from galaxyloop.training.pretraining import pretrain_supervised
from galaxyloop.training.running import RunHooks

_FRACTIONS_STREAM = 0x5CA1


@dataclass(frozen=True)
class ScalingCell(StrictConfig):
    """All that decides a cell's row beside the galaxies and the machine."""

    fraction: float
    """Share of the training galaxies, in (0, 1]."""
    seed: int
    """Draws the galaxies; the training's own seed is the same."""
    run: SupervisedRun
    """Encoder and training."""
    posterior: PosteriorConfig
    """Dropout samples behind the held-out predictions."""
    min_votes: int
    """Fewest votes on a question for a galaxy to count in the RMSE."""


def list_cells(config: ScalingConfig) -> list[ScalingCell]:
    """All cells of a study, encoder by encoder, from the smallest fraction.

    A cell holds nothing of the others, so more encoders, fractions or seeds leave it as it was.
    """
    return [
        ScalingCell(
            fraction=fraction,
            seed=seed,
            run=_run(config, encoder, fraction, seed),
            posterior=replace(config.posterior, n_threads=config.n_threads),
            min_votes=config.min_votes,
        )
        for encoder in config.encoders
        for fraction in config.fractions
        for seed in range(config.n_seeds)
    ]


def thin_splits(splits: pd.DataFrame, fraction: float, seed: int) -> pd.DataFrame:
    """The splits with a fraction of the groups of ``train``; validation and test stay whole.

    By hash of seed and group: a seed's larger fractions hold its smaller ones, and galaxies that
    join the survey move nobody.

    Args:
        splits: ``id_str``, ``split``, and ``group_id`` if galaxies have several images.
        fraction: in (0, 1]; 1 keeps everybody.
        seed: another one draws others.
    """
    groups = splits["group_id" if "group_id" in splits else "id_str"].astype(str)
    place = uniforms((_FRACTIONS_STREAM, seed), number_names(groups), 1)[:, 0]
    is_kept = (splits["split"] != "train").to_numpy() | (place < fraction)
    return splits[is_kept].reset_index(drop=True)


def run_cell(
    cell: ScalingCell,
    cutouts: Cutouts,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
    tree: DecisionTree,
    **hooks: Unpack[RunHooks],
) -> dict[str, Any]:
    """Train on the cell's galaxies and judge by the split ``test``, the same for all cells.

    Args:
        cell: the cell.
        cutouts: uint8 images of one size.
        votes: ``id_str`` and the tree's answers.
        splits: of all galaxies; see ``thin_splits``.
        tree: the questions.
        **hooks: see ``RunHooks``.

    Returns:
        ``n_galaxies`` and ``n_votes`` (on all questions) trained on, ``n_parameters`` of the
        encoder, ``n_steps``, ``nll`` (held-out negative log-likelihood of the votes [nats a
        galaxy]), ``rmse`` of the vote fractions over questions and galaxies, ``n_test`` and
        ``cpu_seconds``.

    Raises:
        NoTrainingDataError: a split has no galaxies, or the fraction holds none.
        TrainingDivergedError: a loss is not finite.
        ConfigError: the encoder does not take images of this size.
    """
    started = time.process_time()
    thinned = thin_splits(splits, cell.fraction, cell.seed)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "checkpoint"
        pretrain_supervised(cutouts, votes, thinned, tree, cell.run, place, **hooks)
        model = load_checkpoint(place)
        n_epochs = len(pd.read_parquet(place / LOG))
    given, test = (select_split(cutouts, votes, thinned, tree, one) for one in ("train", "test"))
    return {
        "n_galaxies": len(given),
        "n_votes": int(given.labels.sum()),
        "n_parameters": sum(weights.numel() for weights in model.encoder.parameters()),
        "n_steps": n_epochs * given.n_batches(cell.run.training.batch_size),
        **judge_held_out(model, test, cell.posterior, cell.min_votes),
        "n_test": len(test),
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def _run(config: ScalingConfig, encoder: str, fraction: float, seed: int) -> SupervisedRun:
    """A cell's training: smaller fractions for more epochs, so that steps go as ``steps_power``."""
    epochs = config.run.training.epochs * fraction ** (config.steps_power - 1)
    training = replace(
        config.run.training, epochs=round(epochs), seed=seed, n_threads=config.n_threads
    )
    return replace(config.run, encoder=encoder, training=training)
