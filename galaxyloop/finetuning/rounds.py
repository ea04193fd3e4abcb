"""Rounds of a finetuning: who trains, and who is predicted by a model that did not see them."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import LabelError
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.label_checks import check_trainable
from galaxyloop.finetuning.targets import Target

ROUND_COLUMNS = ("round", "repeat", "id_str", "split")
_N_BINS = 5
_MOST_PARTS = 20
_MIN_TRAINING = 2


@dataclass(frozen=True)
class RoundsConfig(StrictConfig):
    """How a finetuned model is judged."""

    cross_validate_below: int = 1000
    """With fewer labelled galaxies than this, each of them is predicted once by a model that did
    not train on it, and the final model trains on all; with more, one part is held out."""
    n_folds: int = 5
    """Parts of a cross-validation, at least 2; fewer if a class has not as many galaxies."""
    n_repeats: int = 1
    """Times the cross-validation is done, each with other parts and another training seed."""
    test_share: float = 0.2
    """Without cross-validation: share of galaxies that are only predicted, from 0.05 to 0.5."""
    validation_share: float = 0.1
    """Without cross-validation: share of the others that choose when training stops, from 0.05 to
    0.5."""
    seed: int = 0
    """Another seed gives other parts."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low in (
            ("cross_validate_below", 0),
            ("n_folds", 2),
            ("n_repeats", 1),
            ("seed", 0),
        ):
            require(getattr(self, name) >= low, f"{name} must be >= {low}, got {self._of(name)}")
        for name in ("test_share", "validation_share"):
            require(
                0.05 <= self._of(name) <= 0.5,
                f"{name} must be from 0.05 to 0.5, got {self._of(name)}",
            )

    def _of(self, name: str) -> float:
        """A setting by name."""
        return float(getattr(self, name))


def plan_rounds(
    galaxies: pd.DataFrame, target: Target, config: RoundsConfig | None = None
) -> pd.DataFrame:
    """Who trains, validates and is predicted in each round.

    Galaxies of one group stay together, and classes (or a value's fifths) are spread evenly over
    the parts. The last round's model is the final one.

    Args:
        galaxies: ``id_str``, ``group_id`` and ``y``.
        target: what ``y`` means.
        config: parts and shares.

    Returns:
        ``round``, ``repeat``, ``id_str`` and ``split`` (train, validation or test). With
        cross-validation all galaxies of the last round train.

    Raises:
        LabelError: a class has fewer than two training galaxies in a round, or there are too few
            galaxies to leave any out.
    """
    config = config or RoundsConfig()
    galaxies = galaxies.sort_values("id_str", ignore_index=True)
    y = galaxies["y"].to_numpy(np.float64)
    groups = pd.factorize(galaxies["group_id"])[0].astype(np.int64)
    if len(galaxies) < config.cross_validate_below:
        rounds = _cross_validation(y, groups, target, config)
    else:
        rounds = [(0, _hold_out(y, groups, target, config))]
    for number, (_, split) in enumerate(rounds):
        training = y[split == "train"]
        name = f"training galaxies of round {number + 1} of {len(rounds)}"
        check_trainable({name: training}, target, {name: _MIN_TRAINING})
    parts = [
        pd.DataFrame({"round": number, "repeat": repeat, "split": split}).assign(
            id_str=galaxies["id_str"]
        )
        for number, (repeat, split) in enumerate(rounds)
    ]
    return pd.concat(parts, ignore_index=True)[list(ROUND_COLUMNS)]


def run_of_round(run: FinetuneRun, rounds: pd.DataFrame, number: int) -> FinetuneRun:
    """The run of a round: repeats differ in the training's seed."""
    repeat = int(rounds.loc[rounds["round"] == number, "repeat"].iloc[0])
    return replace(run, training=replace(run.training, seed=run.training.seed + repeat))


def _strata(
    y: Float[np.ndarray, " galaxy"], target: Target, n_parts: int
) -> Int64[np.ndarray, " galaxy"]:
    """What is spread evenly: classes, or bins of the values with one for each part at least."""
    if target.is_classification:
        return y.astype(np.int64)
    ranks = np.argsort(np.argsort(y, kind="stable"), kind="stable")
    n_bins = max(1, min(_N_BINS, len(y) // n_parts))
    return (ranks * n_bins // len(y)).astype(np.int64)


def _cross_validation(
    y: Float[np.ndarray, " galaxy"],
    groups: Int64[np.ndarray, " galaxy"],
    target: Target,
    config: RoundsConfig,
) -> list[tuple[int, np.ndarray]]:
    """Repeat and splits of each round, last the round in which all galaxies train."""
    n_folds = min(config.n_folds, len(np.unique(groups)))
    if target.is_classification:
        counts = np.bincount(y.astype(np.int64))
        n_folds = min(n_folds, int(counts[counts > 0].min()))
    rounds = []
    for repeat in range(config.n_repeats):
        part = _parts(y, groups, target, max(n_folds, 2), config.seed + repeat)
        for fold in np.unique(part):
            rounds.append((repeat, np.where(part == fold, "test", "train")))
    return [*rounds, (0, np.full(len(y), "train"))]


def _hold_out(
    y: Float[np.ndarray, " galaxy"],
    groups: Int64[np.ndarray, " galaxy"],
    target: Target,
    config: RoundsConfig,
) -> np.ndarray:
    """Splits with one part to test and one to validate."""
    split = np.full(len(y), "train", dtype="<U10")
    for name, share, seed in (
        ("test", config.test_share, config.seed),
        ("validation", config.validation_share, config.seed + 1),
    ):
        left = np.flatnonzero(split == "train")
        parts = Fraction(share).limit_denominator(_MOST_PARTS)
        part = _parts(y[left], groups[left], target, parts.denominator, seed)
        split[left[part < parts.numerator]] = name
    return split


def _parts(
    y: Float[np.ndarray, " galaxy"],
    groups: Int64[np.ndarray, " galaxy"],
    target: Target,
    n_parts: int,
    seed: int,
) -> Int64[np.ndarray, " galaxy"]:
    """The part of each galaxy: groups stay together, strata are spread evenly.

    Raises:
        LabelError: there are fewer galaxies or groups than parts.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    strata = _strata(y, target, n_parts)
    n_most = min(len(np.unique(groups)), int(np.bincount(strata).max()))
    if n_most < n_parts:
        raise LabelError(
            f"{len(y)} labelled galaxies in {len(np.unique(groups))} groups, of which "
            f"{int(np.bincount(strata).max())} are alike in label, cannot be cut into {n_parts} "
            "parts to leave some out; label more galaxies, or without cross-validation set "
            "cross_validate_below higher or the shares larger",
            len(y),
            len(y),
        )
    folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
    part = np.zeros(len(y), dtype=np.int64)
    with warnings.catch_warnings():
        # A class with fewer galaxies than parts is refused by its numbers in ``plan_rounds``.
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, chosen) in enumerate(folds.split(strata, strata, groups)):
            part[chosen] = number
    return part
