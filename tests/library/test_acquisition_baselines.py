import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import entropy

from galaxyloop.acquisition import (
    AcquisitionConfig,
    InformationConfig,
    mutual_information,
    rank_galaxies,
)
from galaxyloop.acquisition.baselines import disagreement, vote_entropy
from galaxyloop.config import ConfigError
from galaxyloop.dirichlet import vote_fractions
from tests.reference.trees import flat_tree, spiral_tree
from tests.reference.vote_models import mutual_information_nats


def random_concentrations(n_samples: int, n_galaxies: int, n_answers: int) -> torch.Tensor:
    rng = np.random.default_rng(n_answers)
    return torch.as_tensor(1 + 100 * rng.beta(0.6, 2.0, (n_samples, n_galaxies, n_answers)))


def test_disagreement__is_the_mutual_information_of_one_vote_by_brute_force() -> None:
    tree = flat_tree([2, 3, 5])
    concentrations = random_concentrations(6, 40, 10)
    result = disagreement(concentrations, tree)
    for place, part in enumerate(tree.slices.values()):
        one = concentrations[:, :, part].numpy().swapaxes(0, 1)
        expected = [mutual_information_nats(galaxy, 1) for galaxy in one]
        np.testing.assert_allclose(result[:, place].numpy(), expected, atol=1e-10)
    shipped = disagreement(concentrations.float(), tree)
    np.testing.assert_allclose(shipped.numpy(), result.numpy(), atol=1e-5)
    n_votes = torch.ones(40, 3, dtype=torch.long)
    exact = mutual_information(concentrations, tree, n_votes, InformationConfig())
    torch.testing.assert_close(result, exact, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("n_answers", "n_votes"), [(2, 40), (3, 20), (4, 6), (7, 3)])
def test_mutual_information__of_whole_questions_equals_brute_force_in_both_precisions(
    n_answers: int, n_votes: int
) -> None:
    concentrations = random_concentrations(8, 10, n_answers)
    config = InformationConfig(max_outcomes=10**6)
    counts, tree = torch.full((10, 1), n_votes), flat_tree([n_answers])
    samples = concentrations.numpy().swapaxes(0, 1)
    expected = [mutual_information_nats(galaxy, n_votes) for galaxy in samples]
    exact = mutual_information(concentrations, tree, counts, config)[:, 0]
    np.testing.assert_allclose(exact.numpy(), expected, atol=1e-6)
    shipped = mutual_information(concentrations.float(), tree, counts, config)[:, 0]
    np.testing.assert_allclose(shipped.numpy(), expected, atol=1e-5)


def test_disagreement__is_at_most_the_information_of_many_votes() -> None:
    tree, concentrations = flat_tree([3]), random_concentrations(6, 50, 3)
    many = mutual_information(concentrations, tree, torch.full((50, 1), 20))
    assert (disagreement(concentrations, tree) < many).all()


def test_disagreement__is_zero_where_samples_agree_and_one_bit_where_they_are_sure() -> None:
    same = random_concentrations(1, 20, 3).expand(5, -1, -1)
    np.testing.assert_allclose(disagreement(same, flat_tree([3])).numpy(), 0, atol=1e-12)
    sure = torch.tensor([[[1e9, 1e-9]], [[1e-9, 1e9]]], dtype=torch.float64)
    assert disagreement(sure, flat_tree([2])).item() == pytest.approx(math.log(2))


def test_vote_entropy__equals_scipy_and_has_its_bounds() -> None:
    tree = spiral_tree()
    fractions = vote_fractions(random_concentrations(1, 30, len(tree.columns))[0], tree)
    result = vote_entropy(fractions, tree)
    for place, part in enumerate(tree.slices.values()):
        expected = entropy(fractions[:, part].numpy(), axis=1)
        np.testing.assert_allclose(result[:, place].numpy(), expected, rtol=1e-12)
    sure = torch.tensor([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(
        vote_entropy(sure, flat_tree([3])),
        torch.tensor([[0.0], [math.log(3)]], dtype=torch.float64),
    )


def table_of(rows: dict[str, list[float]]) -> pd.DataFrame:
    n_galaxies = len(next(iter(rows.values())))
    ids = [f"g{i}" for i in range(n_galaxies)]
    places = {"id_str": ids, "ra_deg": np.nan, "dec_deg": np.nan}
    return pd.DataFrame({**places, "question-0_information_nats": 0.1, **rows})


def test_rank_galaxies__by_entropy_as_worked_by_hand() -> None:
    # Entropy times the share asked: ln 2 x 0.5 = 0.347, 0.325 x 1, ln 2 x 1 = 0.693.
    table = table_of(
        {
            "question-0_answer-0_fraction": [0.5, 0.9, 0.5],
            "question-0_answer-1_fraction": [0.5, 0.1, 0.5],
            "question-0_asked": [0.5, 1.0, 1.0],
        }
    )
    ranked = rank_galaxies(table, flat_tree([2]), AcquisitionConfig("entropy"))
    assert ranked["id_str"].tolist() == ["g2", "g0", "g1"]


def test_rank_galaxies__by_disagreement_and_only_where_it_is_known() -> None:
    table = table_of({"question-0_disagreement_nats": [0.1, 0.3, 0.2]})
    ranked = rank_galaxies(table, flat_tree([2]), AcquisitionConfig("disagreement"))
    assert ranked["id_str"].tolist() == ["g1", "g2", "g0"]
    bare = table.drop(columns="question-0_disagreement_nats")
    with pytest.raises(ConfigError, match=r"question-0_disagreement_nats.*expected_votes=1"):
        rank_galaxies(bare, flat_tree([2]), AcquisitionConfig("disagreement"))
