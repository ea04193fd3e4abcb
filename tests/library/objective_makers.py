"""Each objective, small, at weights as if it had been trained for a while, with a batch for it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from galaxyloop.devices import repeatable
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyEncoder, GalaxyModel, Normalisation
from galaxyloop.objectives import (
    ByolConfig,
    ByolObjective,
    HybridConfig,
    HybridObjective,
    Objective,
    VotesObjective,
)
from galaxyloop.random_streams import seeded
from tests.library.training_data import TREE

SMALL = {"hidden_size": 24, "projection_size": 12}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small take longer on several threads than on one."""
    with repeatable(n_threads=1):
        yield


class Case(NamedTuple):
    """An objective and what it is asked about."""

    objective: Objective
    views: list[Tensor]
    labels: Tensor


def vote_model(dropout_rate: float = 0.2) -> GalaxyModel:
    """An encoder with a vote head."""
    with seeded(0):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(TREE.columns), dropout_rate)
    return GalaxyModel(encoder, head, TREE, 16, Normalisation())


def image_model() -> GalaxyEncoder:
    """An encoder alone."""
    with seeded(0):
        return GalaxyEncoder(build_encoder("resnet_mini"), 16, Normalisation())


def some_votes(n_galaxies: int) -> Tensor:
    """Counts, at least one an answer."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 9, (n_galaxies, len(TREE.columns)), generator=generator).float()


MAKERS: dict[str, Callable[[], tuple[Objective, Tensor]]] = {
    "votes": lambda: (VotesObjective(vote_model()), some_votes(6)),
    "byol": lambda: (ByolObjective(image_model(), ByolConfig(**SMALL)), torch.zeros(6, 0)),
    "hybrid": lambda: (HybridObjective(vote_model(), HybridConfig(**SMALL)), some_votes(6)),
}


def make_case(name: str) -> Case:
    """The objective of that name, six galaxies and their labels."""
    objective, labels = MAKERS[name]()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=generator))
    shape = (len(labels), 3, 16, 16)
    views = [torch.rand(shape, generator=generator) for _ in range(objective.n_views)]
    return Case(objective.train(), views, labels)


def loss_of(case: Case) -> Tensor:
    """The loss with dropout drawn from a seed, as the training loop does it."""
    with seeded(7):
        return case.objective.loss(case.views, case.labels)
