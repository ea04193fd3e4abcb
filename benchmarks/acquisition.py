"""Mutual information of votes and network against a loop with scipy."""

import numpy as np
import torch
from scipy.special import xlogy
from scipy.stats import betabinom

from benchmarks.harness import at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.acquisition import InformationConfig, mutual_information
from tests.reference.trees import flat_tree
from tests.reference.vote_models import mutual_information_nats

N_VOTES = 40


def scipy_loop(concentrations: np.ndarray, n_questions: int) -> np.ndarray:
    """Two-answer questions, one galaxy, question and sample at a time."""
    n_samples, n_galaxies, _ = concentrations.shape
    counts = np.arange(N_VOTES + 1)
    result = np.zeros((n_galaxies, n_questions))
    for galaxy in range(n_galaxies):
        for question in range(n_questions):
            pair = concentrations[:, galaxy, 2 * question : 2 * question + 2]
            p = np.array([betabinom.pmf(counts, N_VOTES, *pair[s]) for s in range(n_samples)])
            mixture = p.mean(axis=0)
            entropies = -xlogy(p, p).sum(axis=1)
            result[galaxy, question] = -xlogy(mixture, mixture).sum() - entropies.mean()
    return result


def random_concentrations(n_samples: int, n_galaxies: int, n_answers: int) -> torch.Tensor:
    """Samples that disagree, in (1, 101)."""
    unit = np.random.default_rng(0).beta(0.6, 2.0, (n_samples, n_galaxies, n_answers))
    return torch.as_tensor(1 + 100 * unit, dtype=torch.float32)


def galaxies_per_second(n_answers: list[int], n_samples: int, n_galaxies: int) -> float:
    """Throughput with every question asked of all volunteers."""
    concentrations = random_concentrations(n_samples, n_galaxies, sum(n_answers))
    tree = flat_tree(n_answers)
    n_votes = torch.full((n_galaxies, len(n_answers)), N_VOTES)
    run = lambda: mutual_information(concentrations, tree, n_votes)  # noqa: E731
    return n_galaxies / time_pairs(run, run, 3).candidate_s


def main() -> None:
    """Time, compare, judge."""
    arguments = parse_arguments(__doc__)
    n_galaxies, n_questions, n_rounds = (100, 10, 5) if arguments.quick else (300, 10, 9)
    tree = flat_tree([2] * n_questions)
    small = random_concentrations(5, n_galaxies, 2 * n_questions)
    n_votes = torch.full((n_galaxies, n_questions), N_VOTES)
    as_numpy = small.double().numpy()
    ratio = time_pairs(
        lambda: scipy_loop(as_numpy, n_questions),
        lambda: mutual_information(small, tree, n_votes),
        n_rounds,
    )
    difference = mutual_information(small, tree, n_votes).numpy() - scipy_loop(
        as_numpy, n_questions
    )
    five = random_concentrations(30, 8, 5)
    exact = [mutual_information_nats(five[:, i].double().numpy(), 8) for i in range(8)]
    votes_on_five = torch.full((8, 1), 8)
    simulated = mutual_information(
        five, flat_tree([5]), votes_on_five, InformationConfig(max_outcomes=1)
    )
    error = float(np.abs(simulated[:, 0].numpy() - exact).max())
    campaign = [3, 2, 2, 2, 4, 5, 3, 4, 3, 6]
    n_many = 100 if arguments.quick else 500
    figures = {
        "speed_up_two_answers_40_votes_5_samples": ratio,
        "galaxies_per_second_34_answers_5_samples": galaxies_per_second(campaign, 5, n_many),
        "galaxies_per_second_34_answers_30_samples": galaxies_per_second(campaign, 30, n_many),
        "largest_error_of_simulation_nats": error,
    }
    gates = [
        at_least("speed_up_two_answers_40_votes_5_samples", ratio.median, 80),
        at_most("largest_difference_from_scipy_nats", float(np.abs(difference).max()), 1e-5),
        at_most("largest_error_of_simulation_nats", error, 0.06),
    ]
    finish("acquisition", figures, gates, arguments)


if __name__ == "__main__":
    main()
