"""The head starts where the votes of all galaxies together are most likely."""

import numpy as np
import pytest
import torch

from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.dirichlet import votes_loss
from galaxyloop.heads import VoteHead
from galaxyloop.training.prior import fit_prior, start_at
from tests.library.training_data import TREE


def simulated_votes(n_galaxies: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    first = rng.dirichlet([3.0, 6.0], n_galaxies)
    second = rng.dirichlet([2.0, 10.0, 4.0], n_galaxies)
    counts = [rng.multinomial(30, fractions) for fractions in first]
    colours = [rng.multinomial(30, fractions) for fractions in second]
    return np.column_stack([counts, colours]).astype(np.float32)


def test_fit_prior__recovers_the_concentrations_that_made_the_votes() -> None:
    prior = fit_prior(simulated_votes(2000), TREE)
    np.testing.assert_allclose(prior, [3.0, 6.0, 2.0, 10.0, 4.0], rtol=0.12)


def test_fit_prior__no_other_constant_is_more_likely() -> None:
    votes = simulated_votes(500)
    prior, counts = fit_prior(votes, TREE), torch.from_numpy(votes)
    best = votes_loss(prior.expand_as(counts), counts, TREE)
    for factor in (0.95, 1.05):
        for answer in range(5):
            other = prior.clone()
            other[answer] *= factor
            assert votes_loss(other.expand_as(counts), counts, TREE) > best


def test_start_at__sets_what_the_head_gives_for_no_features() -> None:
    head = VoteHead(4, 5).eval()
    start_at(head, torch.tensor([3.0, 6.0, 1.0, 10.0, 90.0]))
    expected = torch.tensor([[3.0, 6.0, 1.66929, 10.0, 50.0]])
    torch.testing.assert_close(head(torch.zeros(1, 4)), expected, rtol=1e-4, atol=1e-4)


def test_fit_prior__a_question_without_votes_stays_finite() -> None:
    votes = simulated_votes(50)
    votes[:, 2:] = 0
    assert fit_prior(votes, TREE).isfinite().all()
    assert fit_prior(votes, TREE)[2:].tolist() == pytest.approx([4.0] * 3, abs=0.1)


def test_fit_prior__of_a_small_campaign_is_the_same_beside_a_large_one() -> None:
    small = DecisionTree("small", (Question("ring-small", ("yes", "no")),))
    rng = np.random.default_rng(3)
    few = rng.multinomial(20, [0.1, 0.9], 4).astype(np.float32)
    many = simulated_votes(5000)
    votes = np.zeros((5004, 7), dtype=np.float32)
    # Where every second or third galaxy is looked at, none of the few would be.
    votes[1:5001, :5], votes[[0, 5001, 5002, 5003], 5:] = many, few
    prior = fit_prior(votes, combine_trees([TREE, small]))
    torch.testing.assert_close(prior[:5], fit_prior(many, TREE))
    torch.testing.assert_close(prior[5:], fit_prior(few, small))
