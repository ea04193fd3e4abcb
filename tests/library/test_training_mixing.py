"""Mixed batches: a set share is labelled, everything is seen, and nothing depends on the past."""

import numpy as np
import pytest

from galaxyloop.augment import AugmentConfig, ViewSeed, random_views
from galaxyloop.config import ConfigError
from galaxyloop.errors import NoTrainingDataError
from galaxyloop.training.data import EpochBatches, LabelledCutouts
from galaxyloop.training.mixing import MixedCutouts
from tests.library.training_data import ArrayCutouts


def make_galaxies(n_labelled: int, n_unlabelled: int, share: float = 0.25) -> MixedCutouts:
    n_galaxies = n_labelled + n_unlabelled
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (n_galaxies, 8, 8, 3), dtype=np.uint8)
    ids = np.array([f"g{i}" for i in range(n_galaxies)])
    labels = np.zeros((n_galaxies, 3), np.float32)
    labels[rng.permutation(n_galaxies)[:n_labelled], rng.integers(0, 3, n_labelled)] = 2
    cutouts = ArrayCutouts(images, ids)
    return MixedCutouts(LabelledCutouts(cutouts, np.arange(n_galaxies), labels), share)


@pytest.mark.parametrize(
    ("n_labelled", "n_unlabelled", "share", "n_labelled_of_8"),
    [
        (10, 90, 0.25, 2),
        (90, 10, 0.25, 2),
        (50, 50, 0.5, 4),
        (1, 40, 0.5, 4),
        (40, 1, 0.5, 4),
        (20, 20, 0.001, 1),
        (20, 20, 0.999, 7),
    ],
)
def test_mixed_cutouts__every_batch_has_the_set_share_of_labelled_galaxies(
    n_labelled: int, n_unlabelled: int, share: float, n_labelled_of_8: int
) -> None:
    galaxies = make_galaxies(n_labelled, n_unlabelled, share)
    rows = galaxies.epoch_rows(1, 0, batch_size=8)
    assert len(rows) == galaxies.n_batches(8)
    for batch in EpochBatches(galaxies, rows):
        assert len(batch.labels) == 8
        assert int(batch.labels.any(dim=1).sum()) == n_labelled_of_8


@pytest.mark.parametrize(("n_labelled", "n_unlabelled"), [(10, 90), (90, 10), (3, 3), (30, 0)])
@pytest.mark.parametrize("share", [0.25, 0.75])
def test_mixed_cutouts__every_galaxy_is_seen_in_an_epoch_of_no_more_steps_than_that_takes(
    n_labelled: int, n_unlabelled: int, share: float
) -> None:
    galaxies = make_galaxies(n_labelled, n_unlabelled, share)
    rows = galaxies.epoch_rows(1, 3, batch_size=8)
    seen = np.concatenate(rows) % len(galaxies)
    counts = np.bincount(seen, minlength=len(galaxies))
    assert counts.min() >= 1
    # Of the kind that decides, fewer than a batch's worth come twice; none is favoured.
    for kind in galaxies.kinds:
        assert len(kind) == 0 or np.ptp(counts[kind]) <= 1
    fewest = [counts[kind].sum() - len(kind) for kind in galaxies.kinds if len(kind)]
    assert min(fewest) < 8


def test_mixed_cutouts__later_passes_have_other_orders_and_other_views() -> None:
    galaxies = make_galaxies(4, 60, share=0.5)
    rows = np.concatenate(galaxies.epoch_rows(1, 0, batch_size=8))
    labelled = np.flatnonzero(galaxies.labels.any(axis=1))
    of_labelled = rows[np.isin(rows % len(galaxies), labelled)]
    passes = of_labelled.reshape(-1, 4)
    assert len(passes) == 15
    assert len({tuple(one % len(galaxies)) for one in passes}) > 5
    batch = galaxies.read(of_labelled)
    assert len(set(batch.galaxies.tolist())) == len(of_labelled)
    assert batch.galaxies.min() >= 0
    # The same image each time, seen otherwise.
    again = np.flatnonzero(of_labelled % len(galaxies) == labelled[0])
    images = batch.images[again]
    assert (images == images[0]).all()
    views = random_views(images, batch.galaxies[again], AugmentConfig(), ViewSeed(0, 0))
    assert all(not np.array_equal(views[i], views[0]) for i in range(1, len(views)))


def test_mixed_cutouts__first_passes_are_drawn_as_without_mixing() -> None:
    galaxies = make_galaxies(5, 5)
    rows = np.arange(10)
    assert np.array_equal(galaxies.read(rows).galaxies, galaxies.galaxies.read(rows).galaxies)


def test_mixed_cutouts__order_is_a_pure_function_of_seed_and_epoch() -> None:
    galaxies = make_galaxies(20, 70)
    first = galaxies.epoch_rows(1, 2, 8)
    for other in ((0, 2), (1, 3)):
        assert not np.array_equal(first, galaxies.epoch_rows(*other, 8))
    # A fresh object that was never asked for other epochs, as after an interruption.
    assert np.array_equal(first, make_galaxies(20, 70).epoch_rows(1, 2, 8))
    rest = list(EpochBatches(galaxies, first[5:]))
    for batch, rows in zip(rest, first[5:], strict=True):
        assert np.array_equal(batch.rows, rows)
        expected = galaxies.read(rows)
        assert np.array_equal(batch.galaxies, expected.galaxies)
        assert np.array_equal(batch.images, expected.images)


def test_mixed_cutouts__counts_and_names_each_galaxy_once() -> None:
    galaxies = make_galaxies(4, 60)
    assert len(galaxies) == 64
    assert [len(kind) for kind in galaxies.kinds] == [4, 60]
    rows = galaxies.epoch_rows(0, 0, 8)[-1]
    assert galaxies.names(rows) == [f"g{row % 64}" for row in rows]
    assert galaxies.digest() == galaxies.galaxies.digest()


def test_mixed_cutouts__a_share_of_1_leaves_the_unlabelled_out() -> None:
    galaxies = make_galaxies(20, 30, share=1.0)
    rows = np.concatenate(galaxies.epoch_rows(0, 0, 8))
    assert len(rows) == 24
    assert set(rows % 50) == set(galaxies.kinds[0])


def test_mixed_cutouts__fewer_galaxies_than_a_batch_make_one_batch() -> None:
    assert [len(rows) for rows in make_galaxies(3, 0).epoch_rows(0, 0, 8)] == [3]
    assert [len(rows) for rows in make_galaxies(2, 2).epoch_rows(0, 0, 8)] == [8]


def test_mixed_cutouts__refuses_batches_of_one_and_no_votes_at_all() -> None:
    with pytest.raises(ConfigError, match="batch_size must be >= 2 .* got 1"):
        make_galaxies(3, 3).epoch_rows(0, 0, 1)
    with pytest.raises(NoTrainingDataError, match="no galaxy that trains has votes.*9 galaxies"):
        make_galaxies(0, 9).n_batches(8)
