import numpy as np
import pytest
import torch
from scipy.stats import betabinom, binom
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import is_answered, vote_fractions, vote_log_likelihood, votes_loss
from tests.reference.trees import flat_tree, spiral_tree
from tests.reference.vote_models import all_vote_counts, log_likelihood_by_question


def random_votes(
    tree: DecisionTree, n_galaxies: int, seed: int = 0, unasked: float = 0.3
) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    concentrations = rng.uniform(1, 101, (n_galaxies, len(tree.columns)))
    votes = rng.integers(0, 25, concentrations.shape)
    is_asked = rng.random((n_galaxies, len(tree.questions))) >= unasked
    votes *= is_asked[:, list(tree.question_of_answer)]
    return torch.as_tensor(concentrations), torch.as_tensor(votes)


def test_vote_log_likelihood__equals_scipy_in_float64() -> None:
    tree = flat_tree([2, 3, 6, 4])
    concentrations, votes = random_votes(tree, 50)
    expected = log_likelihood_by_question(concentrations.numpy(), votes.numpy(), tree)
    result = vote_log_likelihood(concentrations, votes, tree)
    assert result.dtype == torch.float64
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-9, rtol=1e-6)


def test_votes_loss__equals_scipy_to_one_in_a_million_in_float32() -> None:
    tree = flat_tree([2, 3, 6, 4])
    concentrations, votes = random_votes(tree, 200)
    concentrations = concentrations.float().requires_grad_()
    by_question = log_likelihood_by_question(concentrations.detach().numpy(), votes.numpy(), tree)
    expected = -by_question.sum() / is_answered(votes, tree).sum().item()
    loss = votes_loss(concentrations, votes, tree)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    exact = concentrations.detach().double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss, concentrations)
    (exact_gradient,) = torch.autograd.grad(votes_loss(exact, votes, tree), exact)
    error = (gradient - exact_gradient).abs().max() / exact_gradient.abs().max()
    assert error < 5e-6


def test_vote_log_likelihood__is_the_beta_binomial_for_two_answers() -> None:
    tree = flat_tree([2])
    votes = torch.as_tensor(all_vote_counts(7, 2))
    concentrations = torch.tensor([[2.5, 4.0]], dtype=torch.float64).expand(8, -1)
    result = vote_log_likelihood(concentrations, votes, tree)[:, 0]
    expected = betabinom.logpmf(votes[:, 0].numpy(), 7, 2.5, 4.0)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-9)


def test_vote_log_likelihood__tends_to_the_binomial_as_concentrations_grow() -> None:
    votes = torch.as_tensor(all_vote_counts(7, 2))
    concentrations = torch.tensor([[3e6, 7e6]], dtype=torch.float64).expand(8, -1)
    result = vote_log_likelihood(concentrations, votes, flat_tree([2]))[:, 0]
    np.testing.assert_allclose(result.numpy(), binom.logpmf(votes[:, 0].numpy(), 7, 0.3), atol=1e-5)


def test_vote_log_likelihood__of_one_vote_is_the_mean_fraction_by_hand() -> None:
    concentrations = torch.tensor([[1.0, 3.0, 4.0]])
    result = vote_log_likelihood(concentrations, torch.tensor([[0, 1, 0]]), flat_tree([3]))
    assert result.exp().item() == pytest.approx(3 / 8, rel=1e-6)


@pytest.mark.parametrize("n_answers", [2, 3, 4])
def test_vote_log_likelihood__sums_to_one_over_all_outcomes(n_answers: int) -> None:
    outcomes = torch.as_tensor(all_vote_counts(6, n_answers))
    concentrations = torch.tensor([[2.0, 30.0, 1.0, 0.4]])[:, :n_answers]
    expanded = concentrations.expand(len(outcomes), -1)
    total = vote_log_likelihood(expanded, outcomes, flat_tree([n_answers])).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vote_log_likelihood__of_no_votes_is_exactly_zero_without_gradient(
    dtype: torch.dtype,
) -> None:
    tree = flat_tree([3, 2, 6])
    concentrations, votes = random_votes(tree, 1000, unasked=0.5)
    concentrations = concentrations.to(dtype).requires_grad_()
    result = vote_log_likelihood(concentrations, votes, tree)
    (gradient,) = torch.autograd.grad(result.sum(), concentrations)
    is_unanswered = ~is_answered(votes, tree)
    assert (result[is_unanswered] == 0).all()
    assert (gradient[is_unanswered[:, list(tree.question_of_answer)]] == 0).all()
    assert (gradient != 0).any()


def test_votes_loss__of_a_batch_without_votes_is_zero_with_zero_gradient() -> None:
    tree = flat_tree([3, 2])
    concentrations = torch.full((4, 5), 7.0, requires_grad=True)
    loss = votes_loss(concentrations, torch.zeros(4, 5), tree)
    loss.backward()
    assert loss.item() == 0
    assert concentrations.grad is not None
    assert (concentrations.grad == 0).all()


def test_votes_loss__does_not_change_when_unlabelled_galaxies_are_added() -> None:
    tree = flat_tree([3, 2])
    concentrations, votes = random_votes(tree, 20)
    padded = torch.cat([votes, torch.zeros_like(votes)])
    loss = votes_loss(torch.cat([concentrations, concentrations]), padded, tree)
    torch.testing.assert_close(loss, votes_loss(concentrations, votes, tree))


def test_vote_log_likelihood__does_not_depend_on_the_order_of_answers_or_questions() -> None:
    concentrations, votes = random_votes(flat_tree([3, 4]), 20)
    order = [6, 4, 5, 3, 2, 0, 1]
    result = vote_log_likelihood(concentrations, votes, flat_tree([3, 4]))
    swapped = vote_log_likelihood(concentrations[:, order], votes[:, order], flat_tree([4, 3]))
    torch.testing.assert_close(swapped, result.flip(-1))


def test_vote_log_likelihood__treats_each_sample_as_alone() -> None:
    tree = flat_tree([3, 4])
    samples = torch.stack([random_votes(tree, 10, seed)[0] for seed in range(3)])
    votes = random_votes(tree, 10)[1]
    together = vote_log_likelihood(samples, votes, tree)
    alone = torch.stack([vote_log_likelihood(one, votes, tree) for one in samples])
    torch.testing.assert_close(together, alone)


def test_vote_log_likelihood__keeps_float32_under_autocast() -> None:
    tree = flat_tree([3, 4])
    concentrations, votes = random_votes(tree, 10)
    expected = vote_log_likelihood(concentrations.float(), votes, tree)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = vote_log_likelihood(concentrations.float(), votes, tree)
        half = vote_log_likelihood(concentrations.bfloat16(), votes, tree)
    assert half.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_votes_loss__can_follow_a_first_call_in_inference_mode() -> None:
    tree = flat_tree([2, 2, 2, 5])
    with torch.inference_mode():
        votes_loss(torch.ones(1, 11), torch.ones(1, 11), tree)
    concentrations = torch.full((1, 11), 2.0, requires_grad=True)
    votes_loss(concentrations, torch.ones(1, 11), tree).backward()
    assert concentrations.grad is not None


class CountOperations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.n_operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        self.n_operations += 1
        return func(*args, **(kwargs or {}))


def test_votes_loss__takes_as_many_operations_for_fifty_questions_as_for_two() -> None:
    counts = []
    for n_questions in (2, 50):
        tree = flat_tree([3] * n_questions)
        concentrations, votes = random_votes(tree, 4)
        votes_loss(concentrations.requires_grad_(), votes, tree)
        with CountOperations() as counter:
            votes_loss(concentrations, votes, tree).backward()
        counts.append(counter.n_operations)
    assert counts[0] == counts[1] > 0


def test_vote_fractions__sum_to_one_on_each_question() -> None:
    tree = spiral_tree()
    fractions = vote_fractions(random_votes(tree, 5)[0], tree)
    for part in tree.slices.values():
        torch.testing.assert_close(fractions[:, part].sum(-1), torch.ones(5).double())


@pytest.mark.parametrize("bad", [0.0, -1.5, float("nan"), float("inf")])
def test_vote_log_likelihood__refuses_bad_concentrations(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"concentrations must be finite and > 0, got .*{bad:g}"):
        vote_log_likelihood(torch.tensor([[bad, 2.0]]), torch.ones(1, 2), flat_tree([2]))


@pytest.mark.parametrize("bad", [-3.0, float("nan")])
def test_votes_loss__refuses_bad_votes_when_asked_to_check(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"votes must be finite and >= 0, got .*{bad:g}"):
        votes_loss(torch.ones(1, 2), torch.tensor([[bad, 2.0]]), flat_tree([2]), check=True)
