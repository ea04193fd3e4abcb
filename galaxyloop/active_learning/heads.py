"""Small heads on frozen features, trained side by side in seconds."""

import math
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from galaxyloop.active_learning.config import HeadConfig
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import is_answered, vote_log_likelihood
from galaxyloop.heads import (
    CONCENTRATION_RANGE,
    LARGEST_FREE_LOGIT,
    MIN_CONCENTRATION,
    concentrations_of,
)
from galaxyloop.posterior import dropout_masks
from galaxyloop.random_streams import derive_seed
from galaxyloop.training.prior import fit_prior

_WEIGHTS, _BATCHES, _DROPOUT, _MASKS = range(4)
_HIGHEST_START = 50.0
_LAST_SCALE = 0.1
_GALAXIES_AT_ONCE = 2048


class HeadEnsemble(nn.Module):
    """Heads of one shape, whose weights lie in one tensor with the members in front."""

    def __init__(self, n_features: int, n_answers: int, config: HeadConfig, seed: int) -> None:
        """Draw the first weights.

        Args:
            n_features: width of the features.
            n_answers: answers of the whole decision tree.
            config: members and shape.
            seed: of the weights and of the masks that samples are drawn with.
        """
        super().__init__()
        self.config, self.seed = config, seed
        generator = torch.Generator().manual_seed(derive_seed(seed, _WEIGHTS))
        sizes = [n_features, config.hidden_width] if config.hidden_width else [n_features]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in zip(sizes, [*sizes[1:], n_answers], strict=True):
            drawn = torch.randn(config.n_members, n_in, n_out, generator=generator)
            # A small last layer starts all heads near the prior, not at chance opinions.
            scale = _LAST_SCALE if n_out == n_answers and n_in == sizes[-1] else 1.0
            self.weights.append(nn.Parameter(drawn * scale * math.sqrt(1 / n_in)))
            self.biases.append(nn.Parameter(torch.zeros(config.n_members, 1, n_out)))

    def forward(
        self,
        features: Float[Tensor, "galaxy feature"],
        masks: Float[Tensor, "member galaxy unit"] | Float[Tensor, "unit"],
    ) -> Float[Tensor, "member galaxy answer"]:
        """Concentrations of every member, each in (1, 101).

        Args:
            features: standardised.
            masks: what is dropped before the last layer, 0 or 1 / (1 - rate).
        """
        units = features.expand(self.config.n_members, -1, -1)
        if self.config.hidden_width:
            units = torch.relu(torch.baddbmm(self.biases[0], units, self.weights[0]))
        return concentrations_of(torch.baddbmm(self.biases[-1], units * masks, self.weights[-1]))

    @property
    def n_units(self) -> int:
        """Width of what the last layer sees."""
        return int(self.weights[-1].shape[1])


def train_heads(
    features: Float32[np.ndarray, "galaxy feature"],
    votes: Float32[np.ndarray, "galaxy answer"],
    tree: DecisionTree,
    config: HeadConfig,
    seed: int,
) -> HeadEnsemble:
    """Heads that know some galaxies' votes; they start at the votes' prior.

    Args:
        features: of the labelled galaxies, standardised.
        votes: their counts.
        tree: the questions.
        config: shape and training.
        seed: equal seeds and galaxies give equal heads.
    """
    heads = HeadEnsemble(features.shape[1], votes.shape[1], config, seed)
    start = fit_prior(votes, tree).clamp(max=_HIGHEST_START)
    with torch.no_grad():
        shares = (start - MIN_CONCENTRATION) / CONCENTRATION_RANGE
        heads.biases[-1].copy_(torch.logit(shares).clamp(min=-LARGEST_FREE_LOGIT))
    x, y = torch.from_numpy(features), torch.from_numpy(votes)
    optimizer = torch.optim.AdamW(
        heads.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.n_steps)
    batches = torch.Generator().manual_seed(derive_seed(seed, _BATCHES))
    dropout = torch.Generator().manual_seed(derive_seed(seed, _DROPOUT))
    order = torch.empty(0, dtype=torch.long)
    for _ in range(config.n_steps):
        if not len(order):
            order = torch.randperm(len(x), generator=batches)
        rows, order = order[: config.batch_size], order[config.batch_size :]
        shape = (config.n_members, len(rows), heads.n_units)
        is_kept = torch.rand(shape, generator=dropout) >= config.dropout_rate
        concentrations = heads(x[rows], is_kept / (1 - config.dropout_rate))
        likelihood = vote_log_likelihood(concentrations, y[rows], tree, check=False)
        loss = -likelihood.sum() / is_answered(y[rows], tree).sum().clamp(min=1)
        optimizer.zero_grad(set_to_none=True)
        cast(Any, loss).backward()
        optimizer.step()
        scheduler.step()
    return heads.eval()


@torch.no_grad()
def sample_concentrations(
    heads: HeadEnsemble, features: Float32[np.ndarray, "galaxy feature"]
) -> Float[Tensor, "sample galaxy answer"]:
    """Concentrations of every member under each of its dropout masks.

    Each sample is one network: its mask meets every galaxy.
    """
    config = heads.config
    n_samples = config.n_samples if config.dropout_rate else 1
    masks = dropout_masks(
        n_samples, heads.n_units, config.dropout_rate, derive_seed(heads.seed, _MASKS)
    )
    parts = []
    for x in torch.split(torch.from_numpy(features), _GALAXIES_AT_ONCE):
        parts.append(torch.cat([cast(Tensor, heads(x, mask)) for mask in masks]))
    return torch.cat(parts, dim=1)
