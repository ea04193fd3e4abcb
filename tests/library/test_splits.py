"""Splits by hash."""

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import ConfigError
from galaxyloop.splits import SplitConfig, fold_split, split_galaxies


def galaxies_of(n_groups: int, per_group: int = 1) -> pd.DataFrame:
    groups = [f"galaxy-{i}" for i in range(n_groups) for _ in range(per_group)]
    return pd.DataFrame({"id_str": [f"image-{i}" for i in range(len(groups))], "group_id": groups})


def test_split_galaxies__shares_are_right_on_ten_thousand_groups() -> None:
    splits = split_galaxies(galaxies_of(10_000), SplitConfig())
    shares = splits["split"].value_counts(normalize=True)
    # Four standard deviations of a share of 0.2 among 10,000 are 0.016.
    assert shares["test"] == pytest.approx(0.2, abs=0.016)
    assert shares["validation"] == pytest.approx(0.1, abs=0.012)
    folds = splits["fold"].value_counts(normalize=True)
    assert folds.to_numpy() == pytest.approx(np.full(5, 0.2), abs=0.016)


def test_split_galaxies__fold_tells_nothing_about_split() -> None:
    splits = split_galaxies(galaxies_of(10_000), SplitConfig())
    share_of_test = (splits["split"] == "test").groupby(splits["fold"]).mean()
    assert share_of_test.to_numpy() == pytest.approx(np.full(5, 0.2), abs=0.036)


def test_split_galaxies__keeps_a_group_together() -> None:
    splits = split_galaxies(galaxies_of(300, per_group=3), SplitConfig())
    assert (splits.groupby("group_id")[["split", "fold"]].nunique() == 1).all(axis=None)


def test_split_galaxies__added_shuffled_galaxies_move_none() -> None:
    small, large = galaxies_of(100), galaxies_of(500).sample(frac=1, random_state=3)
    before = split_galaxies(small, SplitConfig()).set_index("id_str")
    after = split_galaxies(large, SplitConfig()).set_index("id_str")
    pd.testing.assert_frame_equal(before, after.loc[before.index])
    assert after.index.tolist() == large["id_str"].tolist()


def test_split_galaxies__larger_test_share_contains_the_smaller() -> None:
    few = split_galaxies(galaxies_of(1000), SplitConfig(test_share=0.1, validation_share=0.05))
    many = split_galaxies(galaxies_of(1000), SplitConfig(test_share=0.3, validation_share=0.05))
    assert (many["split"][few["split"] == "test"] == "test").all()


def test_split_galaxies__another_seed_gives_another_split() -> None:
    one, other = (split_galaxies(galaxies_of(1000), SplitConfig(seed=s)) for s in (0, 1))
    # Independent splits of shares 0.7, 0.1, 0.2 agree on 0.49 + 0.01 + 0.04 of the galaxies.
    assert (one["split"] == other["split"]).mean() == pytest.approx(0.54, abs=0.07)


def test_split_galaxies__splits_do_not_change_between_releases() -> None:
    splits = split_galaxies(galaxies_of(8), SplitConfig())
    assert splits["split"].tolist() == [
        "train",
        "train",
        "train",
        "test",
        "train",
        "train",
        "train",
        "validation",
    ]
    assert splits["fold"].tolist() == [0, 0, 0, 1, 4, 3, 3, 2]


def test_split_galaxies__takes_no_galaxies() -> None:
    splits = split_galaxies(galaxies_of(0), SplitConfig())
    assert splits.columns.tolist() == ["id_str", "group_id", "split", "fold"]
    assert len(splits) == 0


def test_fold_split__each_galaxy_is_tested_once() -> None:
    splits = split_galaxies(galaxies_of(200), SplitConfig())
    rounds = [fold_split(splits, fold) for fold in range(5)]
    n_tested = sum((r["split"] == "test").astype(int) for r in rounds)
    assert (n_tested == 1).all()
    for fold, each in enumerate(rounds):
        assert (each["split"] == "test").equals(splits["fold"] == fold)
        assert {"train", "validation"} <= set(each["split"])


def test_fold_split__refuses_a_fold_that_is_none() -> None:
    splits = split_galaxies(galaxies_of(100), SplitConfig())
    with pytest.raises(
        ConfigError, match=r"one of \[0, 1, 2, 3, 4\], got 5; .* raise n_folds of the split"
    ):
        fold_split(splits, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_share": 1.0}, r"test_share must be in \(0, 1\), got 1.0"),
        ({"test_share": 0.0}, r"got 0.0; evaluation needs galaxies"),
        ({"validation_share": 0.0}, r"got 0.0; training needs galaxies"),
        ({"test_share": 0.6, "validation_share": 0.5}, "must be < 1, got 1.1"),
        ({"n_folds": 1}, "n_folds must be >= 2, got 1"),
    ],
)
def test_split_config__refuses_shares_out_of_range(
    settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        SplitConfig(**settings)
