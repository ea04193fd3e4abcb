"""Draw the figures of docs/uncertainty.md: a small network on simulated galaxies, minutes.

python -m examples.uncertainty_figures --out docs/images
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.calibration import FULL, METRICS, POSTERIOR, QUICK, Sizes, simulate, train
from galaxyloop import plots
from galaxyloop.acquisition.information import mutual_information
from galaxyloop.calibration import fit_temperatures
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.metrics import confusion_table, evaluate_predictions
from galaxyloop.plots.style import BLUE, GREY, ORANGE, tidy
from galaxyloop.posterior import (
    mixture_interval,
    predict_concentrations,
    vote_count_interval,
    vote_count_probability,
)

QUESTION = "has-spiral-arms-gz2"
FIRST = "smooth-or-featured-gz2"
DPI = 110
N_VOTES = 40


def predict(sizes: Sizes) -> tuple[DecisionTree, np.ndarray, np.ndarray, np.ndarray, Tensor]:
    """Tree, training votes, and of held-out galaxies images, votes and calibrated samples."""
    survey, split = simulate(sizes)
    model = train(survey, split, sizes)
    samples, votes = {}, {}
    for name in ("validation", "test"):
        samples[name] = predict_concentrations(model, survey.images[split == name], POSTERIOR)
        votes[name] = survey.votes[split == name]
    table = fit_temperatures(samples["validation"], votes["validation"], survey.tree)
    model.set_temperatures(dict(zip(table["question"], table["temperature"], strict=True)))
    images = survey.images[split == "test"]
    calibrated = samples["test"] / model.head.temperatures
    return survey.tree, survey.votes[split == "train"], images, votes["test"], calibrated


def draw_posteriors(
    images: np.ndarray, votes: np.ndarray, samples: Tensor, tree: DecisionTree
) -> Figure:
    """Three galaxies: little to learn, much scatter among volunteers, networks that disagree."""
    part = tree.slices[QUESTION]
    index = tree.question_names.index(QUESTION)
    n_votes = votes[:, part].sum(axis=1)
    is_asked = np.flatnonzero(n_votes >= 15)
    counts = torch.full((len(is_asked), len(tree.questions)), N_VOTES)
    chosen = samples[:, is_asked]
    information = mutual_information(chosen, tree, counts)[:, index].numpy()
    fraction = vote_fractions(chosen, tree).mean(dim=0)[:, part.start].numpy()
    between = np.where(np.abs(fraction - 0.5) < 0.1, information, np.inf)
    picks = (np.argmax(np.abs(fraction - 0.5)), np.argmin(between), np.argmax(information))
    titles = ("sure", "volunteers will be divided", "the networks disagree")
    figure, axes = plots.new_figure(9.6, 3.9, 2, 3)
    for column, (pick, title) in enumerate(zip(picks, titles, strict=True)):
        galaxy = is_asked[pick]
        pair = axes[column], axes[3 + column]
        concentrations = samples[:, galaxy, part].numpy()
        plots.plot_vote_posterior_panel(
            images[galaxy], concentrations, votes[galaxy, part], 0, pair
        )
        pair[0].set_title(f"{title}: {information[pick]:.2f} nats", fontsize=9)
    return plots.paint(figure, plots.LIGHT)


def draw_disagreement() -> Figure:
    """Two networks that contradict each other: what the mixture's interval is, and what it is not.

    Good: the blue bar spans both peaks.
    """
    two = torch.tensor([[[2.0, 98.0]], [[98.0, 2.0]]])
    tree = DecisionTree.from_json(
        '{"name": "bar", "questions": [{"name": "bar", "answers": ["yes", "no"],'
        ' "asked_after": []}]}'
    )
    low, high = (float(one[0, 0]) for one in mixture_interval(two, tree))
    each = [mixture_interval(one[None], tree) for one in two]
    medians = [float(np.median([float(pair[end][0, 0]) for pair in each])) for end in (0, 1)]
    probability = vote_count_probability(two.double(), N_VOTES).mean(dim=0)[0].numpy()
    first, last = (int(one[0]) for one in vote_count_interval(two, N_VOTES))
    figure, (ax,) = plots.new_figure(5.6, 2.9)
    ax.bar(np.arange(N_VOTES + 1) / N_VOTES, probability, 0.02, color=GREY, alpha=0.6)
    top = float(probability.max())
    for height, (start, stop), colour, label in (
        (1.10, (low, high), BLUE, "90 % of the mixture: what the catalogue gives"),
        (1.22, (first / N_VOTES, last / N_VOTES), BLUE, "90 % of 40 volunteers' counts"),
        (1.34, (medians[0], medians[1]), ORANGE, "median of each network's interval: wrong"),
    ):
        ax.plot(
            (start, stop), (height * top,) * 2, color=colour, linewidth=4, solid_capstyle="butt"
        )
        ax.text(0.5, height * top + 0.035 * top, label, ha="center", fontsize=7.5)
    ax.set(xlabel=f"share of {N_VOTES} votes for 'yes'", ylabel="probability")
    ax.set(xlim=(-0.03, 1.03), ylim=(0, 1.5 * top))
    tidy(ax)
    return plots.paint(figure, plots.LIGHT)


def draw_ceiling(
    training: np.ndarray, votes: np.ndarray, samples: Tensor, tree: DecisionTree
) -> Figure:
    """Errors of the fractions beside the volunteers' own scatter, and who is taken for whom."""
    table = evaluate_predictions(samples, votes, training, tree, METRICS)
    wide = table.pivot(index="question", columns="metric", values="value")
    figure, axes = plots.new_figure(10.4, 4.0, n_columns=2)
    _draw_bars(wide.loc[list(tree.question_names), ["rmse_asked", "rmse_asked_noise"]], axes[0])
    fractions = vote_fractions(samples, tree).mean(dim=0).numpy()
    confusion = confusion_table(fractions, votes, tree, METRICS)
    plots.plot_confusion(confusion[confusion["question"] == FIRST], axes[1])
    axes[1].set_title("galaxies of which volunteers are confident", fontsize=9)
    return plots.paint(figure, plots.LIGHT)


def _draw_bars(errors: pd.DataFrame, ax: Axes) -> None:
    """Two bars a question."""
    wide = errors.dropna().iloc[::-1]
    places = np.arange(len(wide))
    ax.barh(places + 0.2, wide["rmse_asked"], 0.38, color=BLUE, label="model")
    noise = "volunteers' own scatter"
    ax.barh(places - 0.2, wide["rmse_asked_noise"], 0.38, color=ORANGE, label=noise)
    ax.set_yticks(places, [name.removesuffix("-gz2").replace("-", " ") for name in wide.index])
    ax.set(xlabel="RMSE of the vote fractions, where most were asked")
    ax.legend(frameon=False, fontsize=8)
    tidy(ax)


def main() -> None:
    """Read the arguments, write the figures, say where."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder")
    parser.add_argument("--quick", action="store_true", help="fewer galaxies, a worse network")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = QUICK if options.quick else Sizes(FULL.train, FULL.validation, 4000, FULL.epochs)
    tree, training, images, votes, samples = predict(sizes)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in (
        ("posteriors", draw_posteriors(images, votes, samples, tree)),
        ("disagreement", draw_disagreement()),
        ("ceiling", draw_ceiling(training, votes, samples, tree)),
    ):
        path = options.out / f"uncertainty_{name}.png"
        figure.savefig(path, dpi=DPI)
        print(path)


if __name__ == "__main__":
    main()
