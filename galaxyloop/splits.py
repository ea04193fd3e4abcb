"""Train, validation and test galaxies, chosen by hash so that they never change sides."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxyloop.config import StrictConfig, require

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class SplitConfig(StrictConfig):
    """Shares of the splits."""

    validation_share: float = 0.1
    """Share of groups that choose when training stops, above 0 and below 1."""
    test_share: float = 0.2
    """Share of groups that are only looked at in the end, above 0 and below 1."""
    n_folds: int = 5
    """Parts for cross-validation, independent of the split."""
    seed: int = 0
    """Another seed gives other splits."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        needs = {
            "validation_share": "training needs galaxies to know when to stop",
            "test_share": "evaluation needs galaxies that the training never saw",
        }
        for name, reason in needs.items():
            value = getattr(self, name)
            require(0 < value < 1, f"{name} must be in (0, 1), got {value}; {reason}")
        total = self.validation_share + self.test_share
        require(total < 1, f"validation_share + test_share must be < 1, got {total}")
        require(self.n_folds >= 2, f"n_folds must be >= 2, got {self.n_folds}")


def split_galaxies(galaxies: pd.DataFrame, config: SplitConfig) -> pd.DataFrame:
    """Split galaxies by a hash of seed and group.

    Galaxies of one group stay together, and a galaxy's split depends on nothing but its group
    and the config: adding or removing others moves none.

    Args:
        galaxies: ``id_str`` and ``group_id``.
        config: shares and seed.

    Returns:
        ``id_str``, ``group_id``, ``split`` (train, validation or test) and ``fold``.
    """
    groups = pd.unique(galaxies["group_id"])
    position = np.array([_uniform(config.seed, "split", group) for group in groups])
    split = np.select(
        [position < config.test_share, position < config.test_share + config.validation_share],
        ["test", "validation"],
        "train",
    )
    fold = [int(_uniform(config.seed, "fold", group) * config.n_folds) for group in groups]
    splits = galaxies[["id_str", "group_id"]].reset_index(drop=True)
    splits["split"] = splits["group_id"].map(dict(zip(groups, split.tolist(), strict=True)))
    splits["fold"] = splits["group_id"].map(dict(zip(groups, fold, strict=True)))
    return splits.astype({"split": str, "fold": np.int64})


def fold_split(splits: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The splits of one round of cross-validation: that fold is the test.

    Of the other folds the validation galaxies stay validation; the former test galaxies train.

    Raises:
        ConfigError: there is no such fold.
    """
    folds = sorted(set(splits["fold"]))
    require(
        fold in folds,
        f"fold must be one of {folds}, got {fold}; ask for fewer rounds of cross-validation or "
        "raise n_folds of the split",
    )
    split = splits["split"].replace("test", "train").mask(splits["fold"] == fold, "test")
    return splits.assign(split=split)


def _uniform(seed: int, purpose: str, group: str) -> float:
    """A number in [0, 1) that only these three decide."""
    text = f"{seed} {purpose} {group}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") / 2**48
