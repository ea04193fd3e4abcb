"""How much the votes on a galaxy would tell about the network, in nats."""

import math
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from galaxyloop.acquisition.config import AcquisitionConfig
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.posterior.counts import log_factorials, log_rising_factorials

_VALUES_PER_CHUNK = {"cpu": 2**19}
_VALUES_PER_CHUNK_ON_ACCELERATOR = 2**26
_LOG_NEGLIGIBLE = -60.0
_TINY = 1e-30


def expected_information(
    concentrations: Float[Tensor, "sample galaxy answer"],
    asked: Float[Tensor, "galaxy question"],
    tree: DecisionTree,
    config: AcquisitionConfig,
) -> Float[Tensor, "galaxy question"]:
    """Mutual information if ``expected_votes`` volunteers saw each galaxy.

    Each question gets the share of them who would be asked it, rounded to whole votes.
    """
    n_votes = (asked * config.expected_votes).round().long()
    return mutual_information(concentrations, tree, n_votes, config)


def mutual_information(
    concentrations: Float[Tensor, "sample galaxy answer"],
    tree: DecisionTree,
    n_votes: Int[Tensor, "galaxy question"],
    config: AcquisitionConfig | None = None,
) -> Float[Tensor, "galaxy question"]:
    """Mutual information between a galaxy's votes on a question and the network.

    The entropy of the mixture of the samples' Dirichlet-multinomials less the mean of their
    entropies (Houlsby et al. 2011, arXiv:1112.5745; for votes Walmsley et al. 2020,
    arXiv:1905.07424), over the joint outcome of all answers to the question. Every outcome is
    enumerated where there are at most ``max_outcomes``; beyond, outcomes are simulated, the same
    uniform numbers for every galaxy, so that a galaxy's value depends on no other galaxy.

    Args:
        concentrations: Dirichlet parameters, each > 0.
        tree: says which answers belong to one question.
        n_votes: votes expected on each question, >= 0.
        config: how far to enumerate and how much to simulate.

    Returns:
        Information [nats], from 0 (the samples agree, or no votes) to the log of their number.

    Raises:
        ValueError: a number of votes is negative.
    """
    if n_votes.numel() and n_votes.min() < 0:
        raise ValueError(f"n_votes must be >= 0, got {int(n_votes.min())}")
    config = config or AcquisitionConfig()
    concentrations = concentrations.to(torch.promote_types(concentrations.dtype, torch.float32))
    result = torch.zeros_like(concentrations[0, :, :1]).repeat(1, len(tree.questions))
    for index, part in enumerate(tree.slices.values()):
        for count in torch.unique(n_votes[:, index]).tolist():
            if count:
                rows = torch.nonzero(n_votes[:, index] == count)[:, 0]
                chosen = concentrations[:, rows, part]
                result[rows, index] = _information_of_votes(chosen, int(count), config)
    return result


def _information_of_votes(
    concentrations: Float[Tensor, "sample galaxy answer"], n_votes: int, config: AcquisitionConfig
) -> Float[Tensor, " galaxy"]:
    """One question, the same number of votes for all galaxies; in chunks of galaxies."""
    n_samples, _, n_answers = concentrations.shape
    n_outcomes = math.comb(n_votes + n_answers - 1, n_answers - 1)
    is_exact = n_outcomes <= config.max_outcomes
    n_columns = n_outcomes if is_exact else config.n_monte_carlo + n_samples
    limit = _VALUES_PER_CHUNK.get(concentrations.device.type, _VALUES_PER_CHUNK_ON_ACCELERATOR)
    n_galaxies = max(1, limit // (n_samples * n_columns))
    parts = []
    for chunk in torch.split(concentrations, n_galaxies, dim=1):
        if is_exact:
            parts.append(_enumerated_information(chunk, n_votes))
        else:
            parts.append(_simulated_information(chunk, n_votes, config))
    return torch.cat(parts).clamp(min=0, max=math.log(n_samples))


def _enumerated_information(
    concentrations: Float[Tensor, "sample galaxy answer"], n_votes: int
) -> Float[Tensor, " galaxy"]:
    """Sum over all outcomes of mean(p log p) - mean(p) log mean(p), means over samples."""
    n_answers = concentrations.shape[2]
    outcomes, log_ways = _all_outcomes(n_votes, n_answers)
    tables = log_rising_factorials(concentrations, n_votes)
    log_total = log_rising_factorials(concentrations.sum(dim=2), n_votes)[..., -1:]
    log_p = log_ways.to(tables) - log_total
    for answer in range(n_answers):
        counts = outcomes[:, answer].to(tables.device)
        log_p += tables[:, :, answer].index_select(2, counts)
    # Denormals are slow on a CPU, and outcomes this rare add nothing.
    p = log_p.clamp_(min=_LOG_NEGLIGIBLE).exp()
    mixture = p.mean(dim=0)
    own = (p * log_p).sum(dim=2).mean(dim=0)
    return own - (mixture * mixture.clamp(min=_TINY).log()).sum(dim=1)


def _simulated_information(
    concentrations: Float[Tensor, "sample galaxy answer"], n_votes: int, config: AcquisitionConfig
) -> Float[Tensor, " galaxy"]:
    """Mean over simulated outcomes of log S - H[sample | outcome].

    The same mutual information seen from the other side. Each simulated outcome adds between 0
    and log S, and exactly 0 when the samples agree, so the estimate keeps those bounds and has
    far less scatter than a difference of two entropies.
    """
    n_samples = len(concentrations)
    counts = _simulate_votes(concentrations, n_votes, config)
    tables = log_rising_factorials(concentrations, n_votes)
    log_p = -log_rising_factorials(concentrations.sum(dim=2), n_votes)[..., -1:]
    for answer in range(concentrations.shape[2]):
        index = counts[answer].expand(n_samples, -1, -1)
        log_p = log_p + tables[:, :, answer].gather(2, index)
    log_weight = torch.log_softmax(log_p, dim=0).clamp_(min=_LOG_NEGLIGIBLE)
    remaining = -(log_weight.exp() * log_weight).sum(dim=0)
    return math.log(n_samples) - remaining.mean(dim=1)


def _simulate_votes(
    concentrations: Float[Tensor, "sample galaxy answer"], n_votes: int, config: AcquisitionConfig
) -> Int[Tensor, "answer galaxy draw"]:
    """Outcomes drawn equally from every sample by Polya's urn.

    Each vote goes to an answer with probability (concentration + its votes so far) / total.
    """
    n_samples = len(concentrations)
    n_each = math.ceil(config.n_monte_carlo / n_samples)
    uniforms = _quasi_random_uniforms(n_votes, n_samples * n_each, config.seed)
    uniforms = uniforms.to(concentrations)
    urn = concentrations.permute(2, 1, 0).repeat_interleave(n_each, dim=2)
    start = urn.clone()
    for step in range(n_votes):
        edges = urn.cumsum(dim=0)
        is_above = (uniforms[step] * edges[-1] >= edges[:-1]).to(urn.dtype)
        # Above the edges below an answer but not above its own: that answer gets the vote.
        urn[:-1] -= is_above
        urn[1:] += is_above
        urn[0] += 1
    return (urn - start).round().long()


@lru_cache(maxsize=64)
def _quasi_random_uniforms(n_votes: int, n_draws: int, seed: int) -> Float[Tensor, "vote draw"]:
    """A scrambled Sobol sequence; an outcome's votes are its coordinates."""
    sobol: Any = torch.quasirandom.SobolEngine  # torch gives it no types
    draws: Tensor = sobol(n_votes, scramble=True, seed=seed).draw(n_draws, dtype=torch.float64)
    return draws.T.contiguous()


@lru_cache(maxsize=256)
def _all_outcomes(
    n_votes: int, n_answers: int
) -> tuple[Int[Tensor, "outcome answer"], Float[Tensor, " outcome"]]:
    """Every way to share the votes out among the answers, and the log of how many orders."""
    outcomes = torch.arange(n_votes + 1)[:, None]
    for _ in range(n_answers - 2):
        left = n_votes - outcomes.sum(dim=1)
        rows = torch.repeat_interleave(torch.arange(len(outcomes)), left + 1)
        first = torch.repeat_interleave((left + 1).cumsum(0) - left - 1, left + 1)
        following = torch.arange(len(rows)) - first
        outcomes = torch.cat([outcomes[rows], following[:, None]], dim=1)
    outcomes = torch.cat([outcomes, n_votes - outcomes.sum(dim=1, keepdim=True)], dim=1)
    factorials = log_factorials(n_votes)
    return outcomes, factorials[-1] - factorials[outcomes].sum(dim=1)
