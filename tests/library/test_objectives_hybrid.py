"""Hybrid: votes are added to the contrastive term, and galaxies without votes teach no head."""

import pytest
import torch
from torch import Tensor

from galaxyloop.config import ConfigError
from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.objectives import (
    HybridConfig,
    HybridObjective,
    Objective,
    VotesObjective,
    VotesObjectiveConfig,
)
from galaxyloop.objectives.votes import head_loss
from galaxyloop.random_streams import seeded
from tests.library.objective_makers import (
    SMALL,
    loss_of,
    make_case,
    one_thread,  # noqa: F401 - of every test here
)
from tests.library.training_data import TREE

OTHER = DecisionTree("other", (Question("ring-other", ("yes", "no")),))
BOTH = combine_trees([TREE, OTHER])


def of_two_campaigns(name: str, saturation_penalty: float) -> Objective:
    """An objective whose head is far outside the free range for every answer."""
    with seeded(0):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(BOTH.columns), 0.2)
    torch.nn.init.constant_(head.linear.bias, -9.0)
    model = GalaxyModel(encoder, head, BOTH, 16, Normalisation())
    if name == "votes":
        return VotesObjective(model, VotesObjectiveConfig(saturation_penalty=saturation_penalty))
    return HybridObjective(model, HybridConfig(**SMALL, saturation_penalty=saturation_penalty))


def logits_gradient(objective: Objective, labels: Tensor) -> Tensor:
    """What reaches the head's outputs, each galaxy and answer by itself."""
    kept: list[Tensor] = []

    def keep(_module: object, _args: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    objective.model.head.linear.register_forward_hook(keep)
    views = [torch.rand(len(labels), 3, 16, 16) for _ in range(objective.n_views)]
    objective.loss(views, labels).backward()
    (logits,) = kept
    return logits.grad


@pytest.mark.parametrize("name", ["votes", "hybrid"])
@pytest.mark.parametrize("saturation_penalty", [0.0, 0.1])
def test_head__gets_exactly_no_gradient_from_what_is_not_answered(
    name: str, saturation_penalty: float
) -> None:
    objective = of_two_campaigns(name, saturation_penalty)
    labels = torch.zeros(6, len(BOTH.columns))
    labels[:2, BOTH.slices["bright-toy"]] = 3
    labels[2, BOTH.slices["ring-other"]] = torch.tensor([4.0, 0.0])
    gradient = logits_gradient(objective, labels)
    is_asked = torch.zeros_like(labels, dtype=torch.bool)
    is_asked[:2, BOTH.slices["bright-toy"]] = True
    is_asked[2, BOTH.slices["ring-other"]] = True
    assert torch.count_nonzero(gradient[~is_asked]) == 0
    assert torch.count_nonzero(gradient[is_asked]) == is_asked.sum()


@pytest.mark.parametrize("saturation_penalty", [0.0, 0.1])
def test_hybrid_objective__a_batch_without_votes_is_the_contrastive_term(
    saturation_penalty: float,
) -> None:
    objective = of_two_campaigns("hybrid", saturation_penalty)
    views = [torch.rand(6, 3, 16, 16) for _ in range(2)]
    loss = objective.loss(views, torch.zeros(6, len(BOTH.columns)))
    loss.backward()
    assert torch.equal(loss, objective.contrastive_loss(*objective.look_at(views)))
    linear = objective.model.head.linear
    assert torch.count_nonzero(linear.weight.grad) == torch.count_nonzero(linear.bias.grad) == 0
    assert torch.count_nonzero(objective.model.encoder.network.conv1.weight.grad) > 0


def test_hybrid_objective__adds_the_votes_of_the_first_view_by_their_weight() -> None:
    objective, views, labels = make_case("hybrid")
    features, normalised = objective.look_at(views)
    contrastive = objective.contrastive_loss(features, normalised)
    with seeded(7):
        votes = head_loss(objective.model, features[0], labels, 0.1)
    for weight in (0.0, 1.0, 2.5):
        case = make_case("hybrid")
        object.__setattr__(case.objective.config, "votes_weight", weight)
        case.objective.before_step(3, 10)
        torch.testing.assert_close(loss_of(case), contrastive + weight * votes)


def test_hybrid_objective__gradient_of_the_head_is_that_of_votes_alone() -> None:
    hybrid, votes = make_case("hybrid"), make_case("votes")
    votes.objective.model.load_state_dict(hybrid.objective.model.state_dict())
    loss_of(hybrid).backward()
    loss_of(votes._replace(views=hybrid.views[:1])).backward()
    for ours, expected in zip(
        hybrid.objective.model.head.parameters(),
        votes.objective.model.head.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(ours.grad, expected.grad)


def test_hybrid_config__weight_goes_in_a_straight_line() -> None:
    config = HybridConfig(votes_weight=4.0, final_votes_weight=1.0)
    weights = [config.votes_weight_at(step, 4) for step in range(4)]
    assert weights == pytest.approx([4.0, 3.0, 2.0, 1.0])
    assert config.votes_weight_at(0, 1) == 4.0
    assert HybridConfig(votes_weight=4.0).votes_weight_at(3, 4) == 4.0
    assert HybridConfig(final_votes_weight=0.0).votes_weight_at(3, 4) == 0.0


def test_hybrid_objective__validates_on_votes_and_feeds_the_monitors() -> None:
    objective, views, labels = make_case("hybrid")
    objective.eval()
    sums = objective.validation_sums(views[0], [], labels)
    expected = VotesObjective(objective.model).validation_sums(views[0], [], labels)
    assert all(torch.equal(*pair) for pair in zip(sums, expected, strict=True))
    assert set(objective.monitors()) == {"feature_std", "effective_rank"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout_rate": 1.0}, r"dropout_rate must be in \[0, 1\), got 1\.0"),
        ({"labelled_share": 0.0}, r"labelled_share must be in \(0, 1\], got 0\.0"),
        ({"labelled_share": 1.5}, r"labelled_share must be in \(0, 1\], got 1\.5"),
        ({"votes_weight": -1.0}, r"votes_weight must be >= 0, got -1\.0"),
        ({"final_votes_weight": -1.0}, r"final_votes_weight must be >= 0, got -1\.0"),
        ({"saturation_penalty": -0.1}, r"saturation_penalty must be >= 0, got -0\.1"),
        ({"base_decay": 2.0}, r"base_decay must be in \[0, 1\], got 2\.0"),
    ],
)
def test_hybrid_config__refuses_what_cannot_be(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HybridConfig(**setting)
