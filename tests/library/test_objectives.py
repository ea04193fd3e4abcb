"""The votes objective: what is not answered teaches nothing, and all questions cost one."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from galaxyloop.config import ConfigError
from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.dirichlet import votes_loss
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.objectives import OBJECTIVES, VotesObjective, VotesObjectiveConfig
from galaxyloop.random_streams import seeded
from tests.library.objective_makers import one_thread  # noqa: F401 - of every test here
from tests.library.training_data import TREE

OTHER = DecisionTree("other", (Question("ring-other", ("yes", "no")),))


def make_objective(tree: DecisionTree, dropout_rate: float = 0.2) -> VotesObjective:
    with seeded(0):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(tree.columns), dropout_rate)
    return VotesObjective(GalaxyModel(encoder, head, tree, 16, Normalisation()))


def test_votes_objective__a_campaign_without_votes_gets_exactly_no_gradient() -> None:
    tree = combine_trees([TREE, OTHER])
    objective = make_objective(tree)
    votes = torch.randint(0, 9, (8, len(tree.columns))).float()
    votes[:, tree.slices["ring-other"]] = 0
    objective.loss([torch.rand(8, 3, 16, 16)], votes).backward()
    linear = objective.model.head.linear
    other = tree.slices["ring-other"]
    assert torch.count_nonzero(linear.weight.grad[other]) == 0
    assert torch.count_nonzero(linear.bias.grad[other]) == 0
    asked = tree.slices["colour-toy"]
    assert torch.count_nonzero(linear.bias.grad[asked]) == 3


def test_votes_objective__a_galaxy_without_votes_changes_neither_loss_nor_gradient() -> None:
    objective = make_objective(TREE, dropout_rate=0.0).eval()
    images, votes = torch.rand(4, 3, 16, 16), torch.randint(1, 9, (4, 5)).float()
    gradients = []
    for n_empty in (0, 3):
        objective.zero_grad()
        padded = torch.cat([votes, torch.zeros(n_empty, 5)])
        loss = objective.loss([torch.cat([images, torch.rand(n_empty, 3, 16, 16)])], padded)
        loss.backward()
        gradients.append((loss.detach(), objective.model.head.linear.weight.grad.clone()))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_votes_objective__validation_sums_divide_to_the_loss() -> None:
    objective = make_objective(TREE).eval()
    images, votes = torch.rand(6, 3, 16, 16), torch.randint(0, 9, (6, 5)).float()
    nll, n_answered = objective.validation_sums(images, [], votes)
    torch.testing.assert_close(nll / n_answered, objective.loss([images], votes))


def test_votes_objective__loss_is_float32_under_autocast() -> None:
    objective = make_objective(TREE, dropout_rate=0.0).eval()
    images, votes = torch.rand(6, 3, 16, 16), torch.randint(0, 9, (6, 5)).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        concentrations = objective.model(images)
        loss = objective.loss([images], votes)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, votes_loss(concentrations, votes, TREE))


class CountOperations(TorchDispatchMode):
    """Counts what reaches the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_votes_objective__costs_as_many_operations_for_2_questions_as_for_40() -> None:
    counts = []
    for n_questions in (2, 40):
        questions = tuple(Question(f"q{i}-t", ("a", "b", "c")) for i in range(n_questions))
        tree = DecisionTree("t", questions)
        votes = torch.randint(0, 9, (8, len(tree.columns))).float()
        concentrations = torch.full_like(votes, 2.0).requires_grad_()
        votes_loss(concentrations, votes, tree)
        with CountOperations() as counter:
            votes_loss(concentrations, votes, tree).backward()
        counts.append(counter.count)
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives__are_documented_and_have_views(name: str) -> None:
    objective = OBJECTIVES[name]
    assert objective.__doc__
    assert objective.n_views >= 1


def test_votes_objective_config__refuses_dropping_everything() -> None:
    with pytest.raises(ConfigError, match=r"dropout_rate must be in \[0, 1\), got 1\.0"):
        VotesObjectiveConfig(dropout_rate=1.0)
