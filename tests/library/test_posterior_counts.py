"""Predicted counts: exact intervals, ensembles, and the binomial network as a special case."""

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor, nn

from galaxyloop.acquisition.information import mutual_information
from galaxyloop.encoders import Encoder
from galaxyloop.posterior import (
    PosteriorConfig,
    answer_against_rest,
    binomial_concentrations,
    mixture_interval,
    predict_concentrations,
    summarise,
    vote_count_interval,
    vote_count_probability,
)
from tests.reference.trees import flat_tree, spiral_tree

N_VOTES = 40


class Constant(nn.Module):
    """A network that says the same of every galaxy."""

    def __init__(self, *concentrations: float) -> None:
        super().__init__()
        self.encoder = Encoder("none", nn.Identity(), 3)
        self.head = ConstantHead(torch.tensor(concentrations))

    def features(self, images: Tensor) -> Tensor:
        return images.float().mean(dim=(2, 3))


class ConstantHead(nn.Module):
    """Its head."""

    dropout_rate = 0.2

    def __init__(self, concentrations: Tensor) -> None:
        super().__init__()
        self.concentrations = nn.Parameter(concentrations)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        return self.concentrations.expand(len(masks), len(features), -1)


def test_vote_count_interval__holds_at_least_its_level_and_no_count_too_many() -> None:
    pairs = torch.tensor([[[3.0, 7.0], [40.0, 1.0]], [[20.0, 4.0], [1.0, 1.0]]])
    low, high = vote_count_interval(pairs, N_VOTES)
    probability = vote_count_probability(pairs.double(), N_VOTES).mean(dim=0).numpy()
    for galaxy in range(2):
        first, last = int(low[galaxy]), int(high[galaxy])
        assert probability[galaxy, first : last + 1].sum() >= 0.9
        assert probability[galaxy, : first + 1].sum() >= 0.05
        assert probability[galaxy, :first].sum() < 0.05
        assert probability[galaxy, :last].sum() < 0.95


def test_vote_count_interval__is_the_binomials_by_scipy() -> None:
    rho = torch.tensor([0.03, 0.4, 0.9])
    low, high = vote_count_interval(binomial_concentrations(rho)[None], N_VOTES)
    assert low.tolist() == binom.ppf(0.05, N_VOTES, rho.double().numpy()).tolist()
    assert high.tolist() == binom.ppf(0.95, N_VOTES, rho.double().numpy()).tolist()


def test_vote_count_interval__of_two_samples_that_contradict_each_other_is_wide() -> None:
    pairs = torch.tensor([[[2.0, 98.0]], [[98.0, 2.0]]])
    low, high = vote_count_interval(pairs, N_VOTES)
    assert low.item() <= 1
    assert high.item() >= 39


def test_vote_count_interval__refuses_levels_that_fall() -> None:
    with pytest.raises(ValueError, match=r"levels must rise .* got \(0.9, 0.1\)"):
        vote_count_interval(torch.ones(1, 2), 3, (0.9, 0.1))


def test_answer_against_rest__adds_up_the_questions_others() -> None:
    concentrations = torch.arange(1.0, 12.0)
    pairs = answer_against_rest(concentrations, spiral_tree())
    assert pairs[1].tolist() == [2.0, 4.0]
    assert pairs[7].tolist() == [8.0, 22.0]


def test_binomial_concentrations__give_the_mixture_of_binomials() -> None:
    rho = torch.tensor([[0.02], [0.3], [0.98]], dtype=torch.float64)
    found = vote_count_probability(binomial_concentrations(rho), N_VOTES).mean(dim=0)[0]
    expected = binom.pmf(np.arange(N_VOTES + 1), N_VOTES, rho.numpy()).mean(axis=0)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-7)


def test_binomial_concentrations__give_binomial_bald() -> None:
    tree, rng = flat_tree([2]), np.random.default_rng(0)
    rho = rng.uniform(0.02, 0.98, (15, 8))
    n_votes = torch.full((8, 1), N_VOTES)
    found = mutual_information(binomial_concentrations(torch.as_tensor(rho)), tree, n_votes)
    # H[mean_s Bin(k | rho_s, N)] - mean_s H[Bin(k | rho_s, N)], Walmsley et al. 2020.
    p = binom.pmf(np.arange(N_VOTES + 1)[:, None, None], N_VOTES, rho)
    mixture = p.mean(axis=1)
    entropy = -(mixture * np.log(mixture)).sum(axis=0)
    own = -np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0).sum(axis=0).mean(axis=0)
    np.testing.assert_allclose(found[:, 0].numpy(), entropy - own, atol=1e-6)


def test_binomial_concentrations__refuse_a_certain_fraction() -> None:
    with pytest.raises(ValueError, match=r"must be in \(0, 1\), got values from 0.5 to 1"):
        binomial_concentrations(torch.tensor([0.5, 1.0]))


def test_predict_concentrations__of_identical_members_is_one_members_posterior() -> None:
    tree = flat_tree([2])
    images = np.zeros((3, 8, 8, 3), np.uint8)
    config = PosteriorConfig(n_samples=5, precision="float32")
    one = predict_concentrations(Constant(4.0, 11.0), images, config)
    many = predict_concentrations([Constant(4.0, 11.0) for _ in range(3)], images, config)
    assert len(many) == 3 * len(one)
    alone, together = (summarise(each, tree, config) for each in (one, many))
    for name in ("fraction", "p05", "p95", "asked"):
        torch.testing.assert_close(getattr(together, name), getattr(alone, name))
    pairs = answer_against_rest(one, tree), answer_against_rest(many, tree)
    counts = [vote_count_probability(each.double(), N_VOTES).mean(dim=0) for each in pairs]
    torch.testing.assert_close(*counts)
    n_votes = torch.full((3, 1), 5)
    assert mutual_information(many, tree, n_votes).abs().max() < 1e-6


def test_predict_concentrations__of_members_that_disagree_has_the_wide_interval() -> None:
    tree = flat_tree([2])
    images = np.zeros((1, 8, 8, 3), np.uint8)
    members = [Constant(2.0, 98.0), Constant(98.0, 2.0)]
    samples = predict_concentrations(members, images, PosteriorConfig(n_samples=2))
    low, high = mixture_interval(samples, tree)
    assert low[0, 0] < 0.03
    assert high[0, 0] > 0.97


def test_vote_count_probability__of_all_outcomes_adds_up_to_one() -> None:
    pairs = torch.tensor([[0.5, 2020.0], [101.0, 600.0], [3.0, 3.0]], dtype=torch.float64)
    total = vote_count_probability(pairs, N_VOTES).sum(dim=-1)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64))
