import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from galaxyloop.acquisition import (
    ACQUISITIONS,
    AcquisitionConfig,
    InformationConfig,
    expected_information,
    mutual_information,
    rank_galaxies,
)
from galaxyloop.config import ConfigError
from galaxyloop.errors import UnknownNameError
from tests.reference.trees import flat_tree, spiral_tree
from tests.reference.vote_models import mutual_information_nats

ALWAYS_ENUMERATE = InformationConfig(max_outcomes=10**6)
ALWAYS_SIMULATE = InformationConfig(max_outcomes=1)


def random_concentrations(n_samples: int, n_galaxies: int, n_answers: int) -> Tensor:
    rng = np.random.default_rng(n_answers)
    unit = rng.beta(0.6, 2.0, (n_samples, n_galaxies, n_answers))
    return torch.as_tensor(1 + 100 * unit, dtype=torch.float32)


def reference(concentrations: Tensor, n_votes: int) -> np.ndarray:
    samples = concentrations.double().numpy()
    return np.array([mutual_information_nats(one, n_votes) for one in samples.swapaxes(0, 1)])


def votes(n_galaxies: int, n_votes: int, n_questions: int = 1) -> Tensor:
    return torch.full((n_galaxies, n_questions), n_votes)


@pytest.mark.parametrize(("n_answers", "n_votes"), [(2, 40), (2, 1), (3, 12), (4, 10), (5, 6)])
def test_mutual_information__equals_brute_force_over_every_outcome(
    n_answers: int, n_votes: int
) -> None:
    concentrations = random_concentrations(6, 12, n_answers)
    tree = flat_tree([n_answers])
    result = mutual_information(concentrations, tree, votes(12, n_votes), ALWAYS_ENUMERATE)
    expected = reference(concentrations, n_votes)
    np.testing.assert_allclose(result[:, 0].numpy(), expected, atol=1e-5)
    exact = mutual_information(concentrations.double(), tree, votes(12, n_votes), ALWAYS_ENUMERATE)
    np.testing.assert_allclose(exact[:, 0].numpy(), expected, atol=1e-10)


@pytest.mark.parametrize(("n_answers", "n_votes"), [(2, 40), (4, 10), (5, 6)])
def test_mutual_information__simulated_is_unbiased_and_close_to_brute_force(
    n_answers: int, n_votes: int
) -> None:
    concentrations = random_concentrations(6, 12, n_answers)
    simulated = torch.stack(
        [
            mutual_information(
                concentrations,
                flat_tree([n_answers]),
                votes(12, n_votes),
                InformationConfig(max_outcomes=1, seed=seed),
            )[:, 0]
            for seed in range(20)
        ]
    )
    error = simulated.numpy() - reference(concentrations, n_votes)
    assert error.std() < 0.015
    assert abs(error.mean()) < 3 * 0.015 / math.sqrt(20)


def test_mutual_information__of_one_vote_and_two_sure_samples_is_one_bit_by_hand() -> None:
    concentrations = torch.tensor([[[1e6, 1e-6]], [[1e-6, 1e6]]], dtype=torch.float64)
    result = mutual_information(concentrations, flat_tree([2]), votes(1, 1))
    assert result.item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("config", [ALWAYS_ENUMERATE, ALWAYS_SIMULATE])
@pytest.mark.parametrize("n_answers", [2, 3, 4])
def test_mutual_information__is_within_zero_and_the_log_of_the_samples(
    n_answers: int, config: InformationConfig
) -> None:
    concentrations = random_concentrations(5, 50, n_answers)
    result = mutual_information(concentrations, flat_tree([n_answers]), votes(50, 10), config)
    assert (result > 0).all()
    assert (result < math.log(5)).all()


@pytest.mark.parametrize("config", [ALWAYS_ENUMERATE, ALWAYS_SIMULATE])
def test_mutual_information__is_zero_when_all_samples_agree(config: InformationConfig) -> None:
    concentrations = random_concentrations(1, 20, 3).expand(6, -1, -1)
    result = mutual_information(concentrations, flat_tree([3]), votes(20, 15), config)
    np.testing.assert_allclose(result.numpy(), 0, atol=2e-6)


def test_mutual_information__is_exactly_zero_without_votes() -> None:
    concentrations = random_concentrations(5, 20, 5)
    result = mutual_information(concentrations, flat_tree([2, 3]), votes(20, 0, 2))
    assert (result == 0).all()


def test_mutual_information__grows_with_the_number_of_votes() -> None:
    concentrations = random_concentrations(5, 30, 3)
    by_votes = torch.stack(
        [
            mutual_information(concentrations, flat_tree([3]), votes(30, n), ALWAYS_ENUMERATE)
            for n in (1, 2, 5, 20)
        ]
    )
    assert (by_votes.diff(dim=0) > 0).all()


@pytest.mark.parametrize("config", [ALWAYS_ENUMERATE, ALWAYS_SIMULATE])
def test_mutual_information__of_a_galaxy_does_not_depend_on_batch_or_order(
    config: InformationConfig,
) -> None:
    tree = flat_tree([2, 4])
    concentrations = random_concentrations(5, 40, 6)
    n_votes = torch.as_tensor(np.random.default_rng(0).integers(0, 8, (40, 2)))
    together = mutual_information(concentrations, tree, n_votes, config)
    order = torch.as_tensor(np.random.default_rng(1).permutation(40))
    shuffled = mutual_information(concentrations[:, order], tree, n_votes[order], config)
    torch.testing.assert_close(shuffled, together[order], atol=1e-5, rtol=0)
    alone = mutual_information(concentrations[:, 7:8], tree, n_votes[7:8], config)
    torch.testing.assert_close(alone, together[7:8], atol=1e-5, rtol=0)


def test_mutual_information__refuses_negative_votes() -> None:
    with pytest.raises(ValueError, match="n_votes must be >= 0, got -1"):
        mutual_information(torch.ones(2, 1, 2), flat_tree([2]), votes(1, -1))


def test_expected_information__asks_each_question_of_its_share_of_volunteers() -> None:
    tree = flat_tree([2, 3])
    concentrations = random_concentrations(5, 2, 5)
    asked = torch.tensor([[1.0, 0.26], [1.0, 0.01]])
    result = expected_information(concentrations, asked, tree, InformationConfig(expected_votes=10))
    n_votes = torch.tensor([[10, 3], [10, 0]])
    torch.testing.assert_close(result, mutual_information(concentrations, tree, n_votes))


def predictions(n_galaxies: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id_str": [f"g{i:04d}" for i in range(n_galaxies)],
            "ra_deg": rng.uniform(0, 360, n_galaxies),
            "dec_deg": rng.uniform(-90, 90, n_galaxies),
        }
    )
    for name in spiral_tree().question_names:
        column = rng.uniform(0, 1, n_galaxies).round(1).astype(np.float32)
        table[f"{name}_information_nats"] = column
        table[f"{name}_disagreement_nats"] = rng.uniform(0, 0.5, n_galaxies)
        table[f"{name}_asked"] = rng.uniform(0, 1, n_galaxies)
    for question in spiral_tree().questions:
        shares = rng.dirichlet(np.ones(len(question.answers)), n_galaxies)
        table[[f"{column}_fraction" for column in question.columns]] = shares
    return table


def test_rank_galaxies__puts_the_greatest_sum_first() -> None:
    table = predictions(50)
    ranked = rank_galaxies(table, spiral_tree(), AcquisitionConfig())
    columns = [f"{name}_information_nats" for name in spiral_tree().question_names]
    assert list(ranked.columns) == [
        *("rank", "id_str", "ra_deg", "dec_deg", "information_nats"),
        *columns,
        "most_informative_question",
    ]
    assert ranked["rank"].tolist() == list(range(1, 51))
    assert ranked["information_nats"].is_monotonic_decreasing
    by_id = table.set_index("id_str")[columns]
    assert ranked["information_nats"].iloc[0] == pytest.approx(by_id.sum(axis=1).max())
    most = by_id.loc[ranked["id_str"]].idxmax(axis=1).str.removesuffix("_information_nats")
    assert ranked["most_informative_question"].tolist() == most.tolist()


@pytest.mark.parametrize("name", sorted(ACQUISITIONS))
def test_rank_galaxies__does_not_depend_on_the_order_of_rows(name: str) -> None:
    table = predictions(200)
    config = AcquisitionConfig(name=name)
    ranked = rank_galaxies(table, spiral_tree(), config)
    shuffled = table.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(rank_galaxies(shuffled, spiral_tree(), config), ranked)


def test_rank_galaxies__counts_only_the_chosen_questions() -> None:
    config = AcquisitionConfig(questions=["arms-small"])
    ranked = rank_galaxies(predictions(50), spiral_tree(), config)
    assert (ranked["information_nats"] == ranked["arms-small_information_nats"]).all()
    assert (ranked["most_informative_question"] == "arms-small").all()


def test_rank_galaxies__leaves_out_what_volunteers_have_seen() -> None:
    ranked = rank_galaxies(predictions(5), spiral_tree(), AcquisitionConfig(), {"g0001", "other"})
    assert sorted(ranked["id_str"]) == ["g0000", "g0002", "g0003", "g0004"]
    everything = [f"g{i:04d}" for i in range(5)]
    assert rank_galaxies(predictions(5), spiral_tree(), AcquisitionConfig(), everything).empty


def test_rank_galaxies__at_random_changes_with_the_seed_and_ignores_information() -> None:
    table = predictions(100)
    orders = [
        rank_galaxies(table, spiral_tree(), AcquisitionConfig(name="random", seed=seed))
        for seed in (0, 1)
    ]
    assert orders[0]["id_str"].tolist() != orders[1]["id_str"].tolist()
    assert abs(orders[0]["rank"].corr(orders[0]["information_nats"])) < 0.3


def test_rank_galaxies__refuses_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="no acquisition 'bald'; choose one of: dis"):
        rank_galaxies(predictions(3), spiral_tree(), AcquisitionConfig(name="bald"))
    with pytest.raises(UnknownNameError, match="no question 'bars'"):
        rank_galaxies(predictions(3), spiral_tree(), AcquisitionConfig(questions=["bars"]))


def test_rank_galaxies__refuses_information_that_is_not_finite() -> None:
    table = predictions(3)
    table.loc[1, "arms-small_information_nats"] = np.nan
    with pytest.raises(ValueError, match=r"not for 1 galaxies such as \['g0001'\]"):
        rank_galaxies(table, spiral_tree(), AcquisitionConfig())


@pytest.mark.parametrize(
    ("setting", "value"),
    [("expected_votes", 0), ("n_monte_carlo", 0), ("max_outcomes", -3), ("seed", -1)],
)
def test_information_config__refuses_values_out_of_range(setting: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"{setting} must be .*{value}"):
        InformationConfig.from_dict({setting: value})
