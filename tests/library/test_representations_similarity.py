"""Who is like whom: equal to brute force, exact, and never the galaxy itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from galaxyloop.errors import ConfigError, RepresentationError, UnknownNameError
from galaxyloop.representations import similarity
from galaxyloop.representations.preparation import Preparation
from galaxyloop.representations.similarity import find_similar
from galaxyloop.representations.table import Representations
from tests.library.representation_tables import random_representations, random_vectors


@pytest.mark.parametrize("preparation", ["plain", "centred"])
def test_find_similar__equals_brute_force_with_scipy(preparation: str) -> None:
    representations = random_representations(300)
    vectors = representations.vectors.astype(np.float64)
    if preparation == "centred":
        vectors = vectors - vectors.mean(axis=0)
    distances = cdist(vectors, vectors, "cosine")
    np.fill_diagonal(distances, np.inf)
    for row in (0, 17, 299):
        query = representations.galaxies["id_str"][row]
        found = find_similar(representations, query, 8, preparation)
        nearest = np.argsort(distances[row])[:8]
        assert found["id_str"].tolist() == representations.galaxies["id_str"][nearest].tolist()
        expected = 1 - distances[row, nearest]
        np.testing.assert_allclose(found["similarity"], expected, atol=1e-6)
        assert found["rank"].tolist() == list(range(1, 9))


def test_find_similar__whitened_equals_the_mahalanobis_angle() -> None:
    # Axes of very different weight, so that whitening changes the answer.
    vectors = random_vectors(200) * np.geomspace(1, 20, 12, dtype=np.float32)
    representations = replace(random_representations(200), vectors=vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    inverse = np.linalg.inv(centred.T @ centred / 200)
    products = centred @ inverse @ centred.T
    lengths = np.sqrt(np.diag(products))
    similarities = products / np.outer(lengths, lengths)
    np.fill_diagonal(similarities, -np.inf)
    found = find_similar(representations, "J00003", 5, "whitened")
    nearest = np.argsort(-similarities[3])[:5]
    assert found["id_str"].tolist() == representations.galaxies["id_str"][nearest].tolist()
    np.testing.assert_allclose(found["similarity"], similarities[3, nearest], atol=1e-4)


def test_find_similar__does_not_depend_on_blocks_or_order(monkeypatch: pytest.MonkeyPatch) -> None:
    representations = random_representations(100)
    expected = find_similar(representations, "J00042", 20)
    order = np.random.default_rng(3).permutation(100)
    turned = Representations(
        representations.galaxies.iloc[order].reset_index(drop=True),
        representations.vectors[order],
        {},
    )
    monkeypatch.setattr(similarity, "ROWS_AT_ONCE", 7)
    pd.testing.assert_frame_equal(find_similar(turned, "J00042", 20), expected, atol=1e-6)


def test_find_similar__does_not_depend_on_the_lengths_of_vectors() -> None:
    vectors = random_vectors(50)
    vectors -= vectors.mean(axis=0)
    lengths = np.random.default_rng(1).uniform(0.5, 9, (50, 1)).astype(np.float32)
    galaxies = random_representations(50).galaxies
    found = [
        find_similar(Representations(galaxies, given, {}), "J00001", 10, "plain")
        for given in (vectors, vectors * lengths)
    ]
    pd.testing.assert_frame_equal(*found, atol=1e-6)


def test_find_similar__finds_a_copy_first_and_never_the_same_galaxy() -> None:
    representations = random_representations(40)
    representations.vectors[7] = representations.vectors[3]
    representations.vectors[9] = representations.vectors[3]
    found = find_similar(representations, "J00003", 3)
    assert found["id_str"].tolist()[:2] == ["J00007", "J00009"]
    np.testing.assert_allclose(found["similarity"][:2], 1, atol=1e-6)
    # Known to be the same galaxy, they are no neighbours of it, and count once for others.
    representations.galaxies.loc[[3, 7, 9], "group_id"] = "one galaxy"
    found = find_similar(representations, "J00003", 39)
    assert len(found) == 37
    assert not set(found["id_str"]) & {"J00003", "J00007", "J00009"}
    found = find_similar(representations, representations.vectors[3], 2)
    assert found["id_str"].tolist()[0] == "J00003"
    assert found["similarity"][1] < 0.999


def test_find_similar__knows_kinds_of_galaxies_apart() -> None:
    # Three kinds, each with features of its own over a large common direction.
    rng = np.random.default_rng(4)
    kinds = np.arange(90) % 3
    vectors = 20 + np.eye(3)[kinds] @ rng.uniform(1, 2, (3, 12)) + 0.1 * rng.normal(size=(90, 12))
    representations = replace(random_representations(90), vectors=vectors.astype(np.float32))
    found = find_similar(representations, "J00004", 29)
    assert {int(id_str[1:]) % 3 for id_str in found["id_str"]} == {1}
    # Without taking off what all have in common, everybody is similar to everybody.
    assert find_similar(representations, "J00004", 89, "plain")["similarity"].min() > 0.99
    assert find_similar(representations, "J00004", 89)["similarity"].min() < 0


def test_find_similar__names_ids_that_are_nearly_right() -> None:
    representations = random_representations(2000)
    with pytest.raises(
        UnknownNameError, match="there is no galaxy 'J0123x'; choose one of: J01230, J01231"
    ):
        find_similar(representations, "J0123x")
    with pytest.raises(UnknownNameError, match="'M 31'; choose one of: J00000"):
        find_similar(representations, "M 31")


def test_find_similar__refuses_vectors_of_another_encoder() -> None:
    representations = random_representations(20)
    with pytest.raises(RepresentationError, match="must be 12 finite numbers, .* got 5"):
        find_similar(representations, np.ones(5, np.float32))
    with pytest.raises(RepresentationError, match="not all of them finite"):
        find_similar(representations, np.full(12, np.nan, np.float32))


def test_find_similar__refuses_wrong_settings() -> None:
    representations = random_representations(20)
    with pytest.raises(ConfigError, match="n must be >= 1, got 0"):
        find_similar(representations, "J00001", 0)
    with pytest.raises(ConfigError, match="plain, centred, whitened, got 'white'"):
        find_similar(representations, "J00001", 1, "white")


def test_preparation__refuses_an_encoder_that_has_collapsed() -> None:
    vectors = np.tile(random_vectors(1), (50, 1))
    with pytest.raises(RepresentationError, match="all 50 galaxies are equal"):
        Preparation.of(vectors, "centred")
    with pytest.raises(RepresentationError, match="at least 2 galaxies are needed .* got 1"):
        Preparation.of(vectors[:1], "centred")


def test_preparation__gives_a_galaxy_like_the_mean_no_direction() -> None:
    vectors = random_vectors(6)
    vectors[5] = vectors[:5].mean(axis=0)
    directions = Preparation.of(vectors, "centred").directions(vectors)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), [1, 1, 1, 1, 1, 0], atol=1e-6)
