"""One cell of a study: an arm with a seed, played round by round."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from galaxyloop.acquisition import (
    ACQUISITIONS,
    AcquisitionConfig,
    BatchConfig,
    expected_information,
    select_batch,
)
from galaxyloop.acquisition.baselines import disagreement
from galaxyloop.active_learning.config import ActiveLearningConfig
from galaxyloop.active_learning.data import LoopData
from galaxyloop.active_learning.heads import sample_concentrations, train_heads
from galaxyloop.active_learning.judging import counted_questions, measure_errors
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import repeatable
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.errors import LabelError
from galaxyloop.posterior import asked_probability
from galaxyloop.random_streams import derive_seed, number_names, uniforms

_START, _HEAD, _SCORE = 0xA17E, 0xA17F, 0xA180
_LARGEST_SEED = 2**31
CELL_CODE = 2
"""Raised when the code makes other rows from the same settings and galaxies."""


@dataclass(frozen=True)
class Cell:
    """One arm, played once."""

    arm: str
    """Name of the arm."""
    seed: int
    """Number of the seed; it decides the start, which all arms share."""


def list_cells(config: ActiveLearningConfig) -> list[Cell]:
    """All cells of a study, seed by seed."""
    return [Cell(arm.name, seed) for seed in range(config.n_seeds) for arm in config.arms]


def cell_digest(cell: Cell, config: ActiveLearningConfig, data_digest: str) -> str:
    """A digest of all that decides a cell beside the machine.

    Other arms, the number of seeds and the measure of savings do not count, so that arms and seeds
    can be added later.

    Args:
        cell: the cell.
        config: the study.
        data_digest: by ``LoopData.digest``.
    """
    settings = config.to_dict()
    for name in ("arms", "n_seeds", "measure"):
        settings.pop(name)
    arm = config.arm(cell.arm)
    content = [CELL_CODE, data_digest, cell.seed, arm.acquisition, arm.diversity, settings]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def play_cell(cell: Cell, config: ActiveLearningConfig, data: LoopData) -> list[dict[str, Any]]:
    """Train, judge, ask the next galaxies, and again.

    The start is the same for all arms of a seed, and so are a round's first weights. Features are
    standardised by all galaxies of the pool, whose votes that does not take.

    Args:
        cell: which arm, which seed.
        config: the study.
        data: features and votes.

    Returns:
        A row for the start and for each round: ``arm, seed, round, n_labels``, each of
        ``MEASURES``, and ``cpu_seconds``.

    Raises:
        LabelError: the pool is smaller than all rounds need.
    """
    pool = np.flatnonzero(~data.is_test)
    n_needed = config.n_labels[-1]
    if len(pool) < n_needed:
        raise LabelError(
            f"the pool has {len(pool)} galaxies, {config.n_rounds} rounds need {n_needed}; lower "
            "n_rounds, n_asked or n_start, or take more galaxies",
            len(pool),
            n_needed,
        )
    with repeatable(config.n_threads):
        return _play(cell, config, data, pool)


def _play(
    cell: Cell, config: ActiveLearningConfig, data: LoopData, pool: Int64[np.ndarray, " pooled"]
) -> list[dict[str, Any]]:
    """All rounds."""
    features = _standardised(data.features, pool)
    questions = counted_questions(data.tree, config.questions)
    asked, rows = _draw_start(cell, config, data, pool), []
    for number in range(config.n_rounds + 1):
        started = time.process_time()
        seed = derive_seed(_HEAD, config.seed, cell.seed, number)
        heads = train_heads(features[asked], data.votes[asked], data.tree, config.head, seed)
        tested = sample_concentrations(heads, features[data.is_test])
        errors = measure_errors(tested, data.votes[data.is_test], data.tree, questions)
        n_labels = len(asked)
        if number < config.n_rounds:
            left = np.setdiff1d(pool, asked)
            samples = sample_concentrations(heads, features[left])
            batch = _choose(cell, config, data, features, left, samples)
            asked = np.concatenate([asked, batch])
        row = {"arm": cell.arm, "seed": cell.seed, "round": number, "n_labels": n_labels}
        rows.append({**row, **errors, "cpu_seconds": time.process_time() - started})
    return rows


def _draw_start(
    cell: Cell, config: ActiveLearningConfig, data: LoopData, pool: Int64[np.ndarray, " pooled"]
) -> Int64[np.ndarray, " start"]:
    """The galaxies labelled first, by hash of seed and id."""
    numbers = number_names(str(name) for name in data.id_strs[pool])
    places = uniforms((_START, config.seed, cell.seed), numbers, 1)[:, 0]
    return pool[np.argsort(places, kind="stable")[: config.n_start]]


def _choose(
    cell: Cell,
    config: ActiveLearningConfig,
    data: LoopData,
    features: Float32[np.ndarray, "galaxy feature"],
    left: Int64[np.ndarray, " candidate"],
    samples: Float[Tensor, "sample candidate answer"],
) -> Int64[np.ndarray, " asked"]:
    """The next galaxies, by the scores and batches that a real round has."""
    arm = config.arm(cell.arm)
    predictions = _predictions(arm.acquisition, config, data, left, samples)
    seed = derive_seed(_SCORE, config.seed, cell.seed) % _LARGEST_SEED
    settings = AcquisitionConfig(arm.acquisition, config.questions, seed)
    scores = ACQUISITIONS[arm.acquisition](predictions, data.tree, settings)
    order = np.lexsort((predictions["id_str"].to_numpy(dtype=str), -scores))
    ranked = predictions.iloc[order][["id_str", "ra_deg", "dec_deg"]].assign(place=left[order])
    batch = BatchConfig(
        n_galaxies=config.n_asked,
        diversity=arm.diversity,
        candidates_per_galaxy=config.candidates_per_galaxy,
    )
    chosen = select_batch(ranked.reset_index(drop=True), features[left[order]], batch)
    return chosen["place"].to_numpy(dtype=np.int64)


def _predictions(
    acquisition: str,
    config: ActiveLearningConfig,
    data: LoopData,
    left: Int64[np.ndarray, " candidate"],
    samples: Float[Tensor, "sample candidate answer"],
) -> pd.DataFrame:
    """The columns of a prediction table that an acquisition scores; no galaxy has a place."""
    tree = data.tree
    fractions = vote_fractions(samples, tree)
    asked = asked_probability(fractions, tree).mean(dim=0)
    parts: dict[str, Tensor] = {}
    if acquisition == "mutual_information":
        nats = expected_information(samples, asked, tree, config.information)
        parts = {f"{name}_information_nats": nats[:, i] for i, name in _numbered(tree)}
    if acquisition == "disagreement":
        nats = disagreement(samples, tree) * asked
        parts = {f"{name}_disagreement_nats": nats[:, i] for i, name in _numbered(tree)}
    if acquisition == "entropy":
        mean = fractions.mean(dim=0)
        parts = {f"{column}_fraction": mean[:, i] for i, column in enumerate(tree.columns)}
        parts |= {f"{name}_asked": asked[:, i] for i, name in _numbered(tree)}
    columns = {name: values.numpy() for name, values in parts.items()}
    table = {"id_str": data.id_strs[left].astype(str), "ra_deg": np.nan, "dec_deg": np.nan}
    return pd.DataFrame({**table, **columns})


def _numbered(tree: DecisionTree) -> list[tuple[int, str]]:
    """Questions' names with their places."""
    return list(enumerate(tree.question_names))


def _standardised(
    features: Float32[np.ndarray, "galaxy feature"], pool: Int64[np.ndarray, " pooled"]
) -> Float32[np.ndarray, "galaxy feature"]:
    """Mean 0 and standard deviation 1 over the pool; features that never change become 0."""
    mean, std = features[pool].mean(axis=0), features[pool].std(axis=0)
    return np.asarray((features - mean) / np.where(std > 0, std, np.inf), dtype=np.float32)
