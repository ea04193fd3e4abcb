"""How much the votes on a galaxy would tell about the network, in nats."""

import math
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from galaxyloop.acquisition.config import InformationConfig
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.posterior.counts import log_urn_weights

_VALUES_PER_CHUNK = {"cpu": 2**18}
_VALUES_PER_CHUNK_ON_ACCELERATOR = 2**26
_LOG_NEGLIGIBLE = -60.0
_TINY = 1e-30


def expected_information(
    concentrations: Float[Tensor, "sample galaxy answer"],
    asked: Float[Tensor, "galaxy question"],
    tree: DecisionTree,
    config: InformationConfig,
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
    config: InformationConfig | None = None,
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
    config = config or InformationConfig()
    concentrations = concentrations.to(torch.promote_types(concentrations.dtype, torch.float32))
    result = torch.zeros_like(concentrations[0, :, :1]).repeat(1, len(tree.questions))
    for n_answers in sorted({len(question.answers) for question in tree.questions}):
        same = [i for i, one in enumerate(tree.questions) if len(one.answers) == n_answers]
        columns = [i for i, question in enumerate(tree.question_of_answer) if question in same]
        n_samples, n_galaxies, _ = concentrations.shape
        shape = (n_samples, n_galaxies * len(same), n_answers)
        cells = concentrations[:, :, columns].reshape(shape)
        information = _information_of_cells(cells, n_votes[:, same].flatten(), config)
        result[:, same] = information.reshape(n_galaxies, len(same))
    return result


def _information_of_cells(
    concentrations: Float[Tensor, "sample cell answer"],
    n_votes: Int[Tensor, " cell"],
    config: InformationConfig,
) -> Float[Tensor, " cell"]:
    """Galaxies and questions of as many answers; 0 where no votes are expected."""
    information = torch.zeros_like(concentrations[0, :, 0])
    for count in torch.unique(n_votes[n_votes > 0]).tolist():
        rows = torch.nonzero(n_votes == count)[:, 0]
        information[rows] = _information_of_votes(concentrations[:, rows], int(count), config)
    return information


def _information_of_votes(
    concentrations: Float[Tensor, "sample cell answer"], n_votes: int, config: InformationConfig
) -> Float[Tensor, " cell"]:
    """Galaxies and questions of as many answers and votes; in chunks that bound the memory."""
    n_samples, _, n_answers = concentrations.shape
    n_outcomes = math.comb(n_votes + n_answers - 1, n_answers - 1)
    is_exact = n_outcomes <= config.max_outcomes
    n_columns = n_outcomes if is_exact else config.n_monte_carlo * max(1, n_votes // n_samples)
    limit = _VALUES_PER_CHUNK.get(concentrations.device.type, _VALUES_PER_CHUNK_ON_ACCELERATOR)
    n_cells = max(1, limit // (n_samples * n_columns))
    parts = []
    for chunk in torch.split(concentrations, n_cells, dim=1):
        if is_exact:
            parts.append(_enumerated_information(chunk, n_votes))
        else:
            parts.append(_simulated_information(chunk, n_votes, config))
    return torch.cat(parts).clamp(min=0, max=math.log(n_samples))


def _enumerated_information(
    concentrations: Float[Tensor, "sample cell answer"], n_votes: int
) -> Float[Tensor, " cell"]:
    """Sum over all outcomes of mean(p log p) - mean(p) log mean(p), means over samples."""
    outcomes = _all_outcomes(n_votes, concentrations.shape[2]).to(concentrations.device)
    # Counts and outcomes lead, so that picking a count's weights copies whole rows.
    weights = log_urn_weights(concentrations, n_votes).permute(3, 2, 0, 1).contiguous()
    log_p = weights[:, 0].index_select(0, outcomes[0])
    for answer, counts in enumerate(outcomes[1:], start=1):
        log_p += weights[:, answer].index_select(0, counts)
    log_p -= log_urn_weights(concentrations.sum(dim=2), n_votes)[..., -1]
    # Denormals are slow on a CPU, and outcomes this rare add nothing.
    p = log_p.clamp_(min=_LOG_NEGLIGIBLE).exp()
    mixture = p.mean(dim=1)
    own = p.mul_(log_p).sum(dim=0).mean(dim=0)
    return own - (mixture * mixture.clamp(min=_TINY).log()).sum(dim=0)


def _simulated_information(
    concentrations: Float[Tensor, "sample cell answer"], n_votes: int, config: InformationConfig
) -> Float[Tensor, " cell"]:
    """Mean over simulated outcomes of log S - H[sample | outcome].

    The same mutual information seen from the other side. Each simulated outcome adds between 0
    and log S, and exactly 0 when the samples agree, so the estimate keeps those bounds and has
    far less scatter than a difference of two entropies.
    """
    n_samples = len(concentrations)
    weights = log_urn_weights(concentrations, n_votes)
    log_p = -log_urn_weights(concentrations.sum(dim=2), n_votes)[..., -1:]
    for answer, counts in enumerate(_simulate_votes(concentrations, n_votes, config)):
        log_p = log_p + weights[:, :, answer].gather(2, counts.expand(n_samples, -1, -1))
    log_weight = torch.log_softmax(log_p, dim=0).clamp_(min=_LOG_NEGLIGIBLE)
    remaining = -(log_weight.exp() * log_weight).sum(dim=0)
    return math.log(n_samples) - remaining.mean(dim=1)


def _simulate_votes(
    concentrations: Float[Tensor, "sample cell answer"], n_votes: int, config: InformationConfig
) -> list[Int[Tensor, "cell draw"]]:
    """Votes for each answer, in outcomes drawn equally often from every sample.

    Answer after answer, the votes for it out of those left are beta-binomial against the answers
    to come; their distribution is inverted at a quasi-random number.
    """
    n_samples, _, n_answers = concentrations.shape
    n_each = math.ceil(config.n_monte_carlo / n_samples)
    uniforms = _quasi_random_uniforms(n_answers - 1, n_samples, n_each, config.seed)
    uniforms = uniforms.to(concentrations)
    to_come = concentrations.flip(2).cumsum(dim=2).flip(2)
    left = torch.full_like(concentrations[..., :1], n_votes).long().expand(-1, -1, n_each)
    votes = []
    for answer in range(n_answers - 1):
        own = log_urn_weights(concentrations[..., answer], n_votes)
        both = log_urn_weights(to_come[..., answer], n_votes).gather(2, left)
        log_p = _weights_of_what_remains(to_come[..., answer + 1], n_votes, left)
        log_p += own[:, :, None] - both[..., None]
        cumulative = log_p.clamp_(min=_LOG_NEGLIGIBLE).exp_().cumsum(dim=3)
        wanted = uniforms[answer][:, None, :, None].expand(*left.shape, 1).contiguous()
        drawn = torch.minimum(torch.searchsorted(cumulative, wanted)[..., 0], left)
        votes.append(drawn)
        left = left - drawn
    return [each.transpose(0, 1).flatten(1) for each in (*votes, left)]


def _weights_of_what_remains(
    concentration: Float[Tensor, "sample cell"], n_votes: int, left: Int[Tensor, "sample cell draw"]
) -> Float[Tensor, "sample cell draw count"]:
    """Log weights of left, left - 1, left - 2 ... votes for the answers to come; none below 0."""
    falling = log_urn_weights(concentration, n_votes).flip(2)
    padded = torch.nn.functional.pad(falling, (0, n_votes), value=-math.inf)
    windows = padded.unfold(2, n_votes + 1, 1)
    starts = (n_votes - left)[..., None].expand(*left.shape, n_votes + 1)
    return windows.gather(2, starts)


@lru_cache(maxsize=64)
def _quasi_random_uniforms(
    n_dimensions: int, n_samples: int, n_each: int, seed: int
) -> Float[Tensor, "dimension sample draw"]:
    """A scrambled Sobol sequence, cut into a piece for each sample."""
    sobol: Any = torch.quasirandom.SobolEngine  # torch gives it no types
    engine = sobol(n_dimensions, scramble=True, seed=seed)
    draws: Tensor = engine.draw(n_samples * n_each, dtype=torch.float64)
    return draws.T.reshape(n_dimensions, n_samples, n_each)


@lru_cache(maxsize=256)
def _all_outcomes(n_votes: int, n_answers: int) -> Int[Tensor, "answer outcome"]:
    """Every way to share the votes out among the answers."""
    outcomes = torch.arange(n_votes + 1)[:, None]
    for _ in range(n_answers - 2):
        left = n_votes - outcomes.sum(dim=1)
        rows = torch.repeat_interleave(torch.arange(len(outcomes)), left + 1)
        first = torch.repeat_interleave((left + 1).cumsum(0) - left - 1, left + 1)
        following = torch.arange(len(rows)) - first
        outcomes = torch.cat([outcomes[rows], following[:, None]], dim=1)
    outcomes = torch.cat([outcomes, n_votes - outcomes.sum(dim=1, keepdim=True)], dim=1)
    return outcomes.T.contiguous()
