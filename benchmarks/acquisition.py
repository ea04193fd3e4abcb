"""Mutual information of votes and network against a loop with scipy."""

import numpy as np
import torch
from scipy.special import xlogy
from scipy.stats import betabinom

from benchmarks.harness import Gate, at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.acquisition import InformationConfig, mutual_information
from tests.reference.trees import flat_tree
from tests.reference.vote_models import mutual_information_nats

N_VOTES = 40
N_QUESTIONS = 10
N_GALAXIES = 300
"""Of one size, quick or not: what a call costs however small would lower the ratio."""


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


def measure_information(n_rounds: int) -> tuple[dict[str, object], list[Gate]]:
    """Speed of questions with two answers, and the difference from scipy in both precisions."""
    tree = flat_tree([2] * N_QUESTIONS)
    small = random_concentrations(5, N_GALAXIES, 2 * N_QUESTIONS)
    n_votes = torch.full((N_GALAXIES, N_QUESTIONS), N_VOTES)
    as_numpy = small.double().numpy()
    name = "speed_up_two_answers_40_votes_5_samples"
    ratio = time_pairs(
        lambda: scipy_loop(as_numpy, N_QUESTIONS),
        lambda: mutual_information(small, tree, n_votes),
        n_rounds,
    )
    expected = scipy_loop(as_numpy, N_QUESTIONS)
    gates = [at_least(name, ratio.median, 80)]
    for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-6)):
        found = mutual_information(small.to(dtype), tree, n_votes).numpy()
        difference = float(np.abs(found - expected).max())
        text = f"largest_difference_from_scipy_{str(dtype).split('.')[1]}_nats"
        gates.append(at_most(text, difference, bound))
    return {name: ratio, **{gate.figure: gate.value for gate in gates[1:]}}, gates


def measure_simulation() -> tuple[dict[str, object], list[Gate]]:
    """Error where a question has too many outcomes to enumerate."""
    five = random_concentrations(30, 8, 5)
    exact = [mutual_information_nats(five[:, i].double().numpy(), 8) for i in range(8)]
    votes_on_five = torch.full((8, 1), 8)
    simulated = mutual_information(
        five, flat_tree([5]), votes_on_five, InformationConfig(max_outcomes=1)
    )
    error = float(np.abs(simulated[:, 0].numpy() - exact).max())
    name = "largest_error_of_simulation_nats"
    return {name: error}, [at_most(name, error, 0.06)]


def main() -> None:
    """Time, compare, judge."""
    arguments = parse_arguments(__doc__)
    figures, gates = measure_information(3 if arguments.quick else 9)
    simulation_figures, simulation_gates = measure_simulation()
    campaign = [3, 2, 2, 2, 4, 5, 3, 4, 3, 6]
    n_many = 100 if arguments.quick else 500
    for n_samples in (5, 30):
        speed = galaxies_per_second(campaign, n_samples, n_many)
        figures[f"galaxies_per_second_34_answers_{n_samples}_samples"] = speed
    finish("acquisition", figures | simulation_figures, gates + simulation_gates, arguments)


if __name__ == "__main__":
    main()
