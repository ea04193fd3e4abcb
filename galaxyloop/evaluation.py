"""What a checkpoint predicts for held-out galaxies, held against their votes and kept on disk."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from galaxyloop.checkpoint import check_size
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import predicting
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.metrics import (
    METRIC_COLUMNS,
    MetricsConfig,
    add_average_ratio,
    beside_uncalibrated,
    calibration_table,
    count_pit,
    evaluate_fractions,
    evaluate_predictions,
    mean_fractions,
    mixture_log_likelihood,
    pit_values,
)
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.promotion.scores import SCORE_FILES, HeldOutScores, make_scores
from galaxyloop.shards import CutoutCollection
from galaxyloop.storage import file_digest, whole_directory
from galaxyloop.training.data import LabelledCutouts, select_split

_ARRAYS = "held_out.npz"
_CONFIG = "metrics.json"
_FILES = ("metrics.parquet", "calibration.parquet", _ARRAYS, "tree.json", _CONFIG, *SCORE_FILES)
_ARRAY_NAMES = (
    "id_strs",
    "fractions",
    "votes",
    "training_mean",
    "pit",
    "shown",
    "concentrations",
)
_N_SHOWN = 12


@dataclass(frozen=True)
class Evaluation:
    """Held-out galaxies of one checkpoint, with what was predicted and what volunteers said."""

    tree: DecisionTree
    config: MetricsConfig
    """How they were compared."""
    metrics: pd.DataFrame
    """campaign, question, metric, value, low, high, n_galaxies."""
    calibration: pd.DataFrame
    """question, nominal, observed, n_galaxies; of a calibrated model observed_uncalibrated too."""
    id_strs: np.ndarray
    fractions: Float[np.ndarray, "galaxy answer"]
    """Predicted mean vote fractions."""
    votes: Integer[np.ndarray, "galaxy answer"]
    training_mean: Float[np.ndarray, " answer"]
    """Mean fractions of the training galaxies: the baseline."""
    pit: Float[np.ndarray, " value"]
    """Randomised integral transforms of the observed counts."""
    shown: Integer[np.ndarray, " shown"]
    """Which galaxies have their concentrations kept, for figures."""
    concentrations: Float[np.ndarray, "sample shown answer"]
    scores: HeldOutScores
    """What the model is judged by beside others, galaxy by galaxy."""

    @classmethod
    def open(cls, directory: Path) -> "Evaluation":
        """Read what ``evaluate_checkpoint`` wrote."""
        with np.load(directory / _ARRAYS, allow_pickle=False) as arrays:
            return cls(
                tree=DecisionTree.from_json((directory / "tree.json").read_text()),
                config=MetricsConfig.from_json((directory / _CONFIG).read_text()),
                metrics=pd.read_parquet(directory / "metrics.parquet"),
                calibration=pd.read_parquet(directory / "calibration.parquet"),
                scores=HeldOutScores.open(directory),
                **{name: arrays[name] for name in arrays.files},
            )


def evaluate_checkpoint(
    model: GalaxyModel,
    cutouts: CutoutCollection,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
    configs: tuple[PosteriorConfig, MetricsConfig],
    directory: Path,
) -> str:
    """Predict the galaxies of the split ``test`` and compare with their votes.

    It depends on the model and the labelled galaxies alone, not on what other cutouts there are.

    Args:
        model: a trained model; it runs on an accelerator if there is one.
        cutouts: of the size the model was trained on.
        votes: ``id_str`` and the tree's answers.
        splits: ``id_str``, ``split`` and ``group_id``; without it each galaxy is its own group.
        configs: of the posterior and of the metrics.
        directory: appears complete or not at all.

    Returns:
        Digest of the evaluation's files.

    Raises:
        NoTrainingDataError: no test galaxy has a cutout and votes.
        CheckpointError: the cutouts have another size than the model's.
    """
    check_size(model, cutouts.image_size_px)
    posterior, config = configs
    held_out = select_split(cutouts, votes, splits, model.tree, "test")
    training = select_split(cutouts, votes, splits, model.tree, "train").labels
    with predicting(model, posterior.n_threads):
        samples = predict_concentrations(model, read_images(held_out, posterior), posterior)
        drawn = samples, held_out, _groups(held_out, splits)
        evaluation = _compare(drawn, training.astype(np.int64), model, configs)
    with whole_directory(directory) as draft:
        _write(evaluation, draft)
    digests = {name: file_digest(directory / name) for name in _FILES}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def pool_folds(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """Errors of the fractions over the held-out galaxies of all folds of a cross-validation.

    Each galaxy is compared with the mean of the galaxies its own fold was trained on.

    Returns:
        campaign, question, metric (rmse, rmse_of_mean, rmse_ratio, mae), value, low, high,
        n_galaxies; last the mean ratio over questions with at least 30 galaxies, as the question
        ``all``, and of several campaigns ``all-<campaign>`` before.
    """
    pooled = evaluate_fractions(
        np.concatenate([each.fractions for each in evaluations]),
        np.concatenate([each.votes for each in evaluations]),
        np.concatenate(
            [np.broadcast_to(each.training_mean, each.votes.shape) for each in evaluations]
        ),
        evaluations[0].tree,
        evaluations[0].config,
    )
    return add_average_ratio(pooled, evaluations[0].tree)


def write_metrics(held_out: Evaluation, folds: Sequence[Evaluation], path: Path) -> Path:
    """Metrics as csv: of the galaxies of the split ``test``, then of all folds together.

    Args:
        held_out: the evaluation of the split ``test``.
        folds: those of a cross-validation; none leaves them out.
        path: the file to write; also what is returned.

    Returns:
        The path; its first column ``galaxies`` says ``test`` or ``folds``.
    """
    tables = {"test": held_out.metrics, **({"folds": pool_folds(folds)} if folds else {})}
    named = [table.assign(galaxies=name) for name, table in tables.items()]
    columns = ["galaxies", *METRIC_COLUMNS]
    pd.concat(named)[columns].to_csv(path, index=False)
    return path


def _compare(
    drawn: tuple[Float[Tensor, "sample galaxy answer"], LabelledCutouts, np.ndarray],
    training: Integer[np.ndarray, "training_galaxy answer"],
    model: GalaxyModel,
    configs: tuple[PosteriorConfig, MetricsConfig],
) -> Evaluation:
    """Predictions of the held-out galaxies, which come with their groups, against their votes."""
    samples, held_out, groups = drawn
    tree, config = model.tree, configs[1]
    counts = held_out.labels.astype(np.int64)
    pit = count_pit(samples, counts, tree, config)
    shown = _best_known(counts, tree)
    id_strs = held_out.cutouts.id_strs[held_out.positions]
    likelihood = mixture_log_likelihood(samples, counts, tree)
    metrics = evaluate_predictions(samples, counts, training, tree, config, pit)
    calibration = calibration_table(pit, tree, config.levels)
    if model.temperatures:
        before = samples * model.head.temperatures.to(samples)
        metrics, calibration = beside_uncalibrated(
            (metrics, calibration), before, (counts, training), tree, config
        )
    return Evaluation(
        tree=tree,
        config=config,
        metrics=add_average_ratio(metrics, tree),
        calibration=calibration,
        id_strs=id_strs,
        fractions=vote_fractions(samples, tree).mean(dim=0).numpy(),
        votes=counts,
        training_mean=mean_fractions(training, tree, config.min_votes),
        pit=pit_values(pit, tree),
        shown=shown,
        concentrations=samples[:, shown].numpy(),
        scores=HeldOutScores(
            table=make_scores((id_strs, groups), likelihood, pit, counts, tree),
            tree=tree,
            digest=_digest(held_out, groups, configs),
            image_size_px=model.image_size_px,
        ),
    )


def _groups(held_out: LabelledCutouts, splits: pd.DataFrame) -> np.ndarray:
    """The group of each held-out galaxy."""
    names = held_out.names(np.arange(len(held_out)))
    if "group_id" not in splits:
        return np.array(names)
    found = splits.astype({"id_str": str}).set_index("id_str")["group_id"]
    return found.loc[names].astype(str).to_numpy()


def _digest(
    held_out: LabelledCutouts, groups: np.ndarray, configs: tuple[PosteriorConfig, MetricsConfig]
) -> str:
    """What two models' scores must have in common to be compared.

    Galaxies with votes, pixels and groups, and how posteriors are sampled; not what only changes
    the speed.
    """
    posterior, config = configs
    settings = (posterior.n_samples, posterior.seed, posterior.n_augmentations)
    content = [held_out.digest(), groups.tolist(), *settings, config.min_votes, config.seed]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _write(evaluation: Evaluation, directory: Path) -> None:
    """The files of an evaluation."""
    evaluation.metrics.to_parquet(directory / "metrics.parquet", index=False)
    evaluation.calibration.to_parquet(directory / "calibration.parquet", index=False)
    (directory / "tree.json").write_text(evaluation.tree.to_json())
    (directory / _CONFIG).write_text(evaluation.config.to_json())
    evaluation.scores.write(directory)
    arrays = {name: getattr(evaluation, name) for name in _ARRAY_NAMES}
    np.savez(directory / _ARRAYS, **arrays)


def read_images(
    galaxies: LabelledCutouts, config: PosteriorConfig
) -> Iterator[UInt8[np.ndarray, "galaxy y x band"]]:
    """Batches of images in order."""
    for start in range(0, len(galaxies), config.batch_size):
        yield galaxies.cutouts.read(galaxies.positions[start : start + config.batch_size])


def _best_known(
    votes: Integer[np.ndarray, "galaxy answer"], tree: DecisionTree
) -> Integer[np.ndarray, " shown"]:
    """Galaxies to draw: as many of each campaign, in turns, so that all are among the first few."""
    n_each = -(-_N_SHOWN // len(tree.parts))
    picks = []
    for part in tree.parts:
        own = votes[:, tree.places_of(part)]
        rows = np.flatnonzero(own.any(axis=1))
        picks.append(rows[_best_known_of(own[rows], part, n_each)].tolist())
    turns = itertools.chain.from_iterable(itertools.zip_longest(*picks))
    shown = list(dict.fromkeys(pick for pick in turns if pick is not None))
    return np.array(shown[:_N_SHOWN], dtype=np.int64)


def _best_known_of(
    votes: Integer[np.ndarray, "galaxy answer"], tree: DecisionTree, n_shown: int
) -> Integer[np.ndarray, " shown"]:
    """Of one campaign: spread over the first question's leading fraction, with most votes."""
    first = tree.slices[tree.question_names[0]]
    n_votes = votes[:, first].sum(axis=1)
    order = np.argsort(-n_votes, kind="stable")[: max(n_shown * 4, len(votes) // 2)]
    fraction = votes[order, first.start] / np.maximum(n_votes[order], 1)
    ranked = order[np.argsort(fraction, kind="stable")]
    picks = np.linspace(0, len(ranked) - 1, min(n_shown, len(ranked))).round().astype(np.int64)
    return ranked[picks]
