"""Calibration after training: one temperature a question, fitted on votes kept from training."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float64, Integer
from torch import Tensor

from galaxyloop.checkpoint import (
    ENVIRONMENT,
    LOG,
    CheckpointRecords,
    check_size,
    load_checkpoint,
    load_checkpoint_config,
    save_checkpoint,
)
from galaxyloop.config import StrictConfig, require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import predicting
from galaxyloop.evaluation import read_images
from galaxyloop.heads import MAX_TEMPERATURE, MIN_TEMPERATURE
from galaxyloop.metrics import mixture_log_likelihood
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.shards import CutoutCollection
from galaxyloop.training.data import LabelledCutouts, select_split

TEMPERATURE_COLUMNS = (
    *("question", "temperature", "n_galaxies"),
    *("log_likelihood_before", "log_likelihood_after"),
)
_N_COARSE = 13
_N_NARROWINGS = 10
_GOLDEN = (5**0.5 - 1) / 2

LogTemperatures = Float64[np.ndarray, " question"]


@dataclass(frozen=True)
class CalibrationConfig(StrictConfig):
    """Post-hoc temperatures (Guo et al. 2017, arXiv:1706.04599), here of Dirichlets."""

    min_galaxies: int = 50
    """Validation galaxies that a question needs; with fewer its temperature stays 1."""
    max_galaxies: int = 10_000
    """Validation galaxies looked at, evenly spread; a single number needs no more."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.min_galaxies >= 1, f"min_galaxies must be >= 1, got {self.min_galaxies}")
        is_room = self.max_galaxies >= self.min_galaxies
        require(is_room, f"max_galaxies must be >= min_galaxies, got {self.max_galaxies}")


def fit_temperatures(
    concentrations: Float[Tensor, "sample galaxy answer"],
    votes: Integer[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    config: CalibrationConfig | None = None,
) -> pd.DataFrame:
    """The temperature of each question that makes the votes most likely.

    Concentrations are divided by it: above 1 it widens posteriors, below 1 it narrows them; mean
    fractions stay. The likelihood is that of the mixture over samples of Dirichlet-multinomials. A
    single vote says nothing of scatter, so galaxies count from two votes on the question. The best
    of evenly spaced logarithms is found first and then closed in on by golden sections, and a
    temperature other than 1 is taken only if it is better than 1. The range keeps concentrations
    where intervals are exact (see ``heads.MIN_TEMPERATURE``).

    Args:
        concentrations: Dirichlet parameters of galaxies that training did not learn from, as the
            head gives them at temperature 1.
        votes: their votes.
        tree: the questions.
        config: how many galaxies a question needs.

    Returns:
        ``TEMPERATURE_COLUMNS``, a row a question: the temperature, the galaxies with two votes or
        more, and the log-likelihood [nats a galaxy] at 1 and at the temperature (NaN without
        galaxies).
    """
    config = config or CalibrationConfig()
    n_votes = np.stack([votes[:, part].sum(axis=1) for part in tree.slices.values()], axis=1)
    tells = n_votes >= 2
    counts = np.where(tells[:, list(tree.question_of_answer)], votes, 0)
    n_galaxies = tells.sum(axis=0)

    def likelihood(logs: LogTemperatures) -> Float64[np.ndarray, " question"]:
        """Sum over galaxies [nats]."""
        of_answer = np.exp(logs)[list(tree.question_of_answer)]
        scaled = concentrations / torch.as_tensor(of_answer, dtype=concentrations.dtype)
        total: np.ndarray = mixture_log_likelihood(scaled, counts, tree).sum(axis=0)
        return total

    at_one = likelihood(np.zeros(len(tree.questions)))
    logs = _maximise(likelihood, len(tree.questions))
    found = likelihood(logs)
    is_taken = (n_galaxies >= config.min_galaxies) & (found > at_one)
    temperature = np.where(is_taken, np.exp(logs), 1.0).clip(MIN_TEMPERATURE, MAX_TEMPERATURE)
    n_any = np.where(n_galaxies, n_galaxies, np.nan)
    table = {
        "question": list(tree.question_names),
        # As the head keeps it, so that a checkpoint that is written again is the same.
        "temperature": temperature.astype(np.float32).astype(np.float64),
        "n_galaxies": n_galaxies,
        "log_likelihood_before": at_one / n_any,
        "log_likelihood_after": np.where(is_taken, found, at_one) / n_any,
    }
    return pd.DataFrame(table, columns=list(TEMPERATURE_COLUMNS))


def calibrate_checkpoint(
    checkpoint: Path,
    cutouts: CutoutCollection,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
    configs: tuple[PosteriorConfig, CalibrationConfig],
    directory: Path,
) -> Path:
    """Give a model temperatures fitted on the split ``validation``.

    Weights and records stay as they are; the temperatures and how they were found are added to the
    checkpoint's description.

    Args:
        checkpoint: a model that answers a tree; temperatures that it has are replaced.
        cutouts: of the size the model was trained on.
        votes: ``id_str`` and the tree's answers.
        splits: ``id_str`` and ``split``.
        configs: how posteriors are sampled, and of the fit.
        directory: of the calibrated checkpoint; it appears when it is complete.

    Returns:
        The directory; or ``checkpoint``, if it had no temperatures and none but 1 was found.

    Raises:
        NoTrainingDataError: no validation galaxy has a cutout and votes.
        CheckpointError: the checkpoint is damaged, the cutouts have another size than the model's,
            or the directory is in use.
    """
    model = load_checkpoint(checkpoint)
    check_size(model, cutouts.image_size_px)
    had_some = bool(model.temperatures)
    model.set_temperatures({})
    posterior, config = configs
    galaxies = select_split(cutouts, votes, splits, model.tree, "validation")
    galaxies = _spread(galaxies, config.max_galaxies)
    with predicting(model, posterior.n_threads):
        samples = predict_concentrations(model, read_images(galaxies, posterior), posterior)
    table = fit_temperatures(samples, galaxies.labels.astype(np.int64), model.tree, config)
    if (table["temperature"] == 1).all() and not had_some:
        return checkpoint
    model.set_temperatures(dict(zip(table["question"], table["temperature"], strict=True)))
    return save_checkpoint(model, directory, _records(checkpoint, table))


def _maximise(
    likelihood: Callable[[LogTemperatures], Float64[np.ndarray, " question"]], n_questions: int
) -> LogTemperatures:
    """The logarithm at which each question's likelihood is largest; all questions at once."""
    coarse = np.linspace(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE), _N_COARSE)
    values = np.stack([likelihood(np.full(n_questions, log)) for log in coarse])
    best = values.argmax(axis=0)
    low, high = coarse[np.maximum(best - 1, 0)], coarse[np.minimum(best + 1, _N_COARSE - 1)]
    for _ in range(_N_NARROWINGS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        is_left = likelihood(left) >= likelihood(right)
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
    # Golden sections never reach the ends themselves.
    middle = (low + high) / 2
    found: np.ndarray = np.where(likelihood(middle) >= values.max(axis=0), middle, coarse[best])
    return found


def _spread(galaxies: LabelledCutouts, n_most: int) -> LabelledCutouts:
    """At most so many galaxies, evenly spread over the ids."""
    if len(galaxies) <= n_most:
        return galaxies
    rows = np.linspace(0, len(galaxies) - 1, n_most).astype(np.int64)
    return replace(galaxies, positions=galaxies.positions[rows], labels=galaxies.labels[rows])


def _records(checkpoint: Path, table: pd.DataFrame) -> CheckpointRecords:
    """How the model came to be, and how its temperatures were found."""
    config = load_checkpoint_config(checkpoint)
    told = {row.pop("question"): row for row in json.loads(table.to_json(orient="records"))}
    return CheckpointRecords(
        run=config["run"],
        data={**config["data"], "calibration": told},
        log=pd.read_parquet(checkpoint / LOG),
        environment=json.loads((checkpoint / ENVIRONMENT).read_text()),
    )
