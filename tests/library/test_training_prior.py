"""The head starts where the votes of all galaxies together are most likely."""

import numpy as np
import pytest
import torch

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
    expected = torch.tensor([[3.0, 6.0, 1.5, 10.0, 50.0]])
    torch.testing.assert_close(head(torch.zeros(1, 4)), expected, rtol=1e-4, atol=1e-4)


def test_fit_prior__a_question_without_votes_stays_finite() -> None:
    votes = simulated_votes(50)
    votes[:, 2:] = 0
    assert fit_prior(votes, TREE).isfinite().all()
    assert fit_prior(votes, TREE)[2:].tolist() == pytest.approx([4.0] * 3, abs=0.1)
