"""Do held-out votes scatter as a calibrated model says? On 20,000 simulated galaxies.

A small network learns the votes of a few thousand simulated galaxies; temperatures are fitted on
others; the votes of 20,000 more are held against what it predicts, before and after. Figures:

- ``central_90``: share of the counts inside their central 90 % interval, by the randomised
  integral transform, over all answers with 5 votes or more on their question;
- ``calibration_error``: mean distance of the transforms' distribution from uniform, over questions;
- ``discrete_coverage_error``: the same of counts within 0 to 10 votes of their mean (2019);
- ``log_likelihood``: of all votes on a galaxy [nats];
- ``true_fractions_in_90``: share of the true mean fractions inside the interval of the fraction; it
  is the interval of a galaxy's own fraction, which scatters about that mean, so it holds more.

The figure beside the result shows the transforms before and after, and coverage at all levels.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.harness import RESULTS, Gate, at_least, at_most, finish, parse_arguments
from galaxyloop import plots
from galaxyloop.calibration import fit_temperatures
from galaxyloop.checkpoint import load_checkpoint
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.devices import predicting
from galaxyloop.metrics import (
    MetricsConfig,
    calibration_table,
    count_pit,
    counts_within,
    discrete_coverage,
    mixture_log_likelihood,
    pit_values,
)
from galaxyloop.metrics.calibration import is_not_mirrored
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig, mixture_interval, predict_concentrations
from galaxyloop.synthetic import SimulatedSurvey, SimulationConfig, simulate_galaxies
from galaxyloop.training import SupervisedRun, pretrain_supervised

SIDE_PX = 48
POSTERIOR = PosteriorConfig(n_samples=30, precision="float32", n_threads=1)
METRICS = MetricsConfig()
KNOWN_FROM, KNOWN_TO = 0.02, 0.98
"""True fractions whose coverage is gated: beyond, concentrations of 1 or more cannot follow."""


@dataclass(frozen=True)
class Sizes:
    """How many galaxies, and how long to train."""

    train: int
    validation: int
    held_out: int
    epochs: int


FULL, QUICK = Sizes(6000, 2000, 20_000, 20), Sizes(1500, 500, 3000, 10)


@dataclass(frozen=True)
class InMemory:
    """Cutouts of a simulated survey."""

    survey: SimulatedSurvey

    @property
    def id_strs(self) -> np.ndarray:
        """Each galaxy's id."""
        return self.survey.galaxies["id_str"].to_numpy()

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Some of the images."""
        return self.survey.images[positions]


def simulate(sizes: Sizes) -> tuple[SimulatedSurvey, np.ndarray]:
    """The survey, and the split of each of its galaxies; every galaxy once."""
    config = SimulationConfig(
        n_galaxies=sizes.train + sizes.validation + sizes.held_out,
        seed=8,
        image_size_px=SIDE_PX,
        # As much detail as at the default of 96 px.
        psf_fwhm_px=1.2,
        labelled_share=1.0,
        repeated_share=0.0,
    )
    numbers = (sizes.train, sizes.validation, sizes.held_out)
    return simulate_galaxies(config), np.repeat(["train", "validation", "test"], numbers)


def train(survey: SimulatedSurvey, split: np.ndarray, sizes: Sizes) -> GalaxyModel:
    """A small network that has seen the votes of the split ``train``."""
    ids = survey.galaxies["id_str"]
    votes = pd.DataFrame(survey.votes, columns=list(survey.tree.columns)).assign(id_str=ids)
    splits = pd.DataFrame({"id_str": ids, "split": split})
    training = {"epochs": sizes.epochs, "batch_size": 64, "n_threads": torch.get_num_threads()}
    run = SupervisedRun.from_dict({"training": training})
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "checkpoint"
        pretrain_supervised(InMemory(survey), votes, splits, survey.tree, run, place)
        return load_checkpoint(place)


def judge(
    samples: Tensor, votes: np.ndarray, truth: np.ndarray, tree: DecisionTree
) -> tuple[dict[str, float], np.ndarray, pd.DataFrame]:
    """Figures, the integral transforms in one list, and coverage by question and level."""
    pit = count_pit(samples, votes, tree, METRICS)
    values, table = pit_values(pit, tree), calibration_table(pit, tree, METRICS.levels)
    below = np.mean(values[:, None] <= np.array(METRICS.levels), axis=0)
    within = discrete_coverage(counts_within(samples, votes, tree, METRICS), tree)
    low, high = (one.numpy() for one in mixture_interval(samples, tree))
    is_in = (low <= truth) & (truth <= high)
    is_known = (truth >= KNOWN_FROM) & (truth <= KNOWN_TO)
    figures = {
        "central_90": float(np.mean(np.abs(values - 0.5) <= 0.45)),
        "calibration_error": float(np.abs(below - METRICS.levels).mean()),
        "discrete_coverage_error": float((within["observed"] - within["predicted"]).abs().mean()),
        "log_likelihood": float(mixture_log_likelihood(samples, votes, tree).sum(axis=1).mean()),
        "true_fractions_in_90": float(is_in.mean()),
        "true_fractions_in_90_from_0.02_to_0.98": float(is_in[is_known].mean()),
    }
    return figures, values, table


def draw(
    before: tuple[np.ndarray, pd.DataFrame], after: tuple[np.ndarray, pd.DataFrame], path: Path
) -> None:
    """Transforms before and after, and coverage."""
    figure, axes = plots.new_figure(10.5, 3.3, n_columns=3)
    for ax, (pit, _), title in zip(axes[:2], (before, after), ("before", "after"), strict=True):
        plots.plot_pit_histogram(pit, ax)
        ax.set_title(f"{title} calibration, {len(pit):,} counts", fontsize=9)
    both = after[1].assign(observed_uncalibrated=before[1]["observed"])
    plots.plot_calibration(both, axes[2])
    plots.paint(figure, plots.LIGHT)
    figure.savefig(path, dpi=110)


def worst_question(table: pd.DataFrame) -> tuple[str, float]:
    """The question whose 90 % intervals hold what is furthest from 90 %."""
    rows = table[np.isclose(table["nominal"], 0.9) & (table["n_galaxies"] >= 500)]
    row = rows.loc[(rows["observed"] - 0.9).abs().idxmax()]
    return str(row["question"]), float(row["observed"])


def measure(arguments: argparse.Namespace) -> tuple[dict[str, object], list[Gate]]:
    """Simulate, train, calibrate, judge."""
    sizes, start = (QUICK if arguments.quick else FULL), time.process_time()
    survey, split = simulate(sizes)
    model = train(survey, split, sizes)
    trained = time.process_time()
    tree = survey.tree
    samples, votes, truth = {}, {}, {}
    with predicting(model, torch.get_num_threads()):
        for name in ("validation", "test"):
            chosen = split == name
            samples[name] = predict_concentrations(model, survey.images[chosen], POSTERIOR)
            votes[name], truth[name] = survey.votes[chosen], survey.fractions[chosen]
    table = fit_temperatures(samples["validation"], votes["validation"], tree)
    of_answer = table["temperature"].to_numpy()[list(tree.question_of_answer)]
    calibrated = samples["test"] / torch.as_tensor(of_answer, dtype=torch.float32)
    before = judge(samples["test"], votes["test"], truth["test"], tree)
    after = judge(calibrated, votes["test"], truth["test"], tree)
    if arguments.save:
        draw(before[1:], after[1:], RESULTS / "calibration.png")
    print(table.to_string(index=False))
    question, observed = worst_question(after[2])
    figures: dict[str, object] = {
        "n_held_out_galaxies": sizes.held_out,
        "n_held_out_counts": len(after[1]),
        "answers_per_galaxy": int(is_not_mirrored(tree).sum()),
        "temperatures": dict(zip(table["question"], table["temperature"].round(3), strict=True)),
        **{f"{name}_before": value for name, value in before[0].items()},
        **{f"{name}_after": value for name, value in after[0].items()},
        "worst_question": question,
        "central_90_of_worst_question": observed,
        "cpu_minutes_training": (trained - start) / 60,
        "cpu_minutes": (time.process_time() - start) / 60,
    }
    return figures, gates_of(before[0], after[0])


def gates_of(before: dict[str, float], after: dict[str, float]) -> list[Gate]:
    """Bounds on what the calibrated model says, and that calibration does not harm."""
    gain = after["log_likelihood"] - before["log_likelihood"]
    known = "true_fractions_in_90_from_0.02_to_0.98"
    return [
        at_least("central_90_after", after["central_90"], 0.88),
        at_most("central_90_after", after["central_90"], 0.92),
        at_most("calibration_error_after", after["calibration_error"], 0.02),
        at_least(f"{known}_after", after[known], 0.88),
        at_least("gain_in_log_likelihood_nats", gain, 0.0),
    ]


def main() -> None:
    """Measure and judge."""
    arguments = parse_arguments(__doc__)
    figures, gates = measure(arguments)
    finish("calibration", figures, gates, arguments)


if __name__ == "__main__":
    main()
