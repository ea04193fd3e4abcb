"""Who is like nobody: the planted outlier, and what must not change a score."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from galaxyloop.errors import ConfigError, RepresentationError
from galaxyloop.representations import neighbours
from galaxyloop.representations.anomalies import (
    choose_reference,
    rank_percentiles,
    score_anomalies,
)
from galaxyloop.representations.config import AnomalyConfig
from tests.library.representation_tables import random_galaxies, random_vectors

CONFIG = AnomalyConfig(n_neighbours=5)


def test_score_anomalies__equals_brute_force_with_sklearn() -> None:
    vectors = random_vectors(150)
    scores = score_anomalies(random_galaxies(150), vectors, CONFIG)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    search = NearestNeighbors(n_neighbors=6, metric="cosine", algorithm="brute").fit(centred)
    distances, found = search.kneighbors(centred)
    assert (found[:, 0] == np.arange(150)).all()
    np.testing.assert_allclose(scores, distances[:, 1:].mean(axis=1), atol=1e-6)


def test_score_anomalies__puts_a_planted_outlier_first() -> None:
    rng = np.random.default_rng(2)
    kinds = rng.uniform(0, 3, (4, 30))
    vectors = kinds[np.arange(400) % 4] + 0.3 * rng.normal(size=(400, 30))
    vectors[123] = rng.uniform(0, 3, 30)
    scores = score_anomalies(random_galaxies(400), vectors.astype(np.float32), CONFIG)
    assert scores.argmax() == 123
    assert scores[123] > 2 * np.delete(scores, 123).max()
    assert rank_percentiles(scores)[123] == 100


@pytest.mark.parametrize("max_reference", [50, 1000])
def test_score_anomalies__does_not_depend_on_order_or_blocks(
    max_reference: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    galaxies, vectors = random_galaxies(120), random_vectors(120)
    config = replace(CONFIG, max_reference=max_reference)
    expected = score_anomalies(galaxies, vectors, config)
    order = np.random.default_rng(3).permutation(120)
    monkeypatch.setattr(neighbours, "_PRODUCTS_AT_ONCE", 1000)
    turned = score_anomalies(galaxies.iloc[order], vectors[order], config)
    np.testing.assert_allclose(turned, expected[order], atol=1e-6)


def test_score_anomalies__is_not_changed_by_more_images_of_a_galaxy() -> None:
    galaxies, vectors = random_galaxies(80), random_vectors(80)
    expected = score_anomalies(galaxies, vectors, CONFIG)
    # Copies whose ids come later than their galaxy's stay out of the reference.
    copies = galaxies[:30].assign(id_str=[f"K{i}" for i in range(30)])
    grown = pd.concat([galaxies, copies], ignore_index=True)
    scores = score_anomalies(grown, np.concatenate([vectors, vectors[:30]]), CONFIG)
    np.testing.assert_allclose(scores[:80], expected, atol=1e-6)
    np.testing.assert_allclose(scores[80:], expected[:30], atol=1e-6)
    # Not known to be copies, they are neighbours: nobody gets more anomalous but by the mean.
    copies["group_id"] = copies["id_str"]
    grown = pd.concat([galaxies, copies], ignore_index=True)
    lowered = score_anomalies(
        grown, np.concatenate([vectors, vectors[:30]]), replace(CONFIG, preparation="plain")
    )
    plain = score_anomalies(galaxies, vectors, replace(CONFIG, preparation="plain"))
    assert (lowered[:80] <= plain + 1e-6).all()
    # A copy is a neighbour at no distance, and takes the place of the farthest of the five.
    assert (lowered[:30] < plain[:30] * 0.85).all()


def test_score_anomalies__with_a_part_as_reference_keeps_the_order() -> None:
    rng = np.random.default_rng(5)
    spread = rng.uniform(0.1, 1, (600, 1))
    vectors = rng.uniform(0, 3, (3, 20))[np.arange(600) % 3] + spread * rng.normal(size=(600, 20))
    galaxies, vectors = random_galaxies(600), vectors.astype(np.float32)
    whole = score_anomalies(galaxies, vectors, CONFIG)
    part = score_anomalies(galaxies, vectors, replace(CONFIG, max_reference=200))
    assert pd.Series(whole).corr(pd.Series(part), method="spearman") > 0.97
    # Fewer galaxies to choose from are farther away.
    assert (part > whole - 0.02).all()
    assert part.mean() > whole.mean()


def test_choose_reference__takes_one_of_each_group_by_hash_of_id() -> None:
    galaxies = random_galaxies(100)
    galaxies.loc[10:29, "group_id"] = "one galaxy"
    rows = choose_reference(galaxies, CONFIG)
    assert rows.tolist() == [*range(11), *range(30, 100)]
    small = replace(CONFIG, max_reference=40)
    few = choose_reference(galaxies, small)
    assert len(few) == 40
    order = np.random.default_rng(0).permutation(100)
    turned = galaxies.iloc[order]
    again = turned.iloc[choose_reference(turned, small)]["id_str"]
    assert set(again) == set(galaxies["id_str"].iloc[few])
    other = choose_reference(galaxies, replace(small, seed=1))
    assert set(other) != set(few)


def test_rank_percentiles__are_shares_of_the_survey() -> None:
    scores = np.array([0.3, 0.1, 0.3, 0.9], np.float32)
    assert rank_percentiles(scores).tolist() == [75, 25, 75, 100]


def test_score_anomalies__refuses_too_few_galaxies() -> None:
    galaxies = random_galaxies(8)
    galaxies.loc[4:, "group_id"] = "one galaxy"
    with pytest.raises(RepresentationError, match="need at least 6 galaxies, got 5"):
        score_anomalies(galaxies, random_vectors(8), CONFIG)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_neighbours": 0}, "n_neighbours must be in 1 to 1000, got 0"),
        ({"max_reference": 10}, "above n_neighbours=10 .* got 10"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"preparation": "none"}, "preparation must be one of .* got 'none'"),
    ],
)
def test_anomaly_config__refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AnomalyConfig.from_dict(change)
