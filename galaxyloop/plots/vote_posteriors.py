"""What a model expects volunteers to say about one galaxy."""

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from galaxyloop.plots.style import BLUE, GREY, ORANGE, tidy
from galaxyloop.posterior import vote_count_probability


def plot_vote_posterior(
    concentrations: Float[np.ndarray, "sample answer"],
    votes: Integer[np.ndarray, " answer"],
    answer: int,
    ax: Axes,
) -> Axes:
    """Probability of k of N votes for one answer, as in Walmsley et al. (2020, arXiv:1905.07424).

    Grey lines are the single networks (dropout samples), the coloured area is their mixture: the
    posterior of the catalogue. Good: over many galaxies, the observed k (dashed) falls inside
    the bulk of the mixture; where the grey lines part, volunteers' votes would teach most.

    Args:
        concentrations: Dirichlet parameters of one question's answers, each > 0.
        votes: the volunteers' counts for the same answers; N is their sum. Without votes N is
            40 and no k is marked.
        answer: which of the answers is counted.
        ax: where to draw.
    """
    n_votes = int(votes.sum())
    shown = n_votes or 40
    counted = concentrations[:, answer].astype(np.float64)
    rest = np.delete(concentrations, answer, axis=1).sum(axis=1, dtype=np.float64)
    pairs = torch.from_numpy(np.stack([counted, rest], axis=1))
    single = vote_count_probability(pairs, shown).numpy()
    mixture = single.mean(axis=0)
    k = np.arange(shown + 1)
    ax.plot(k, single.T, color=GREY, linewidth=0.6, alpha=0.55)
    ax.fill_between(k, mixture, color=BLUE, alpha=0.28, linewidth=0)
    ax.plot(k, mixture, color=BLUE, linewidth=2)
    if n_votes:
        ax.axvline(int(votes[answer]), color=ORANGE, linestyle=(0, (4, 2)), linewidth=1.8)
    # One sharp network must not flatten the mixture beyond reading.
    ax.set_ylim(0, min(float(single.max()), 2.6 * float(mixture.max())) * 1.08)
    ax.set(xlim=(-0.5, shown + 0.5), xlabel=f"votes out of {shown}", ylabel="probability")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    return tidy(ax)


def plot_vote_posterior_panel(
    image: UInt8[np.ndarray, "y x band"],
    concentrations: Float[np.ndarray, "sample answer"],
    votes: Integer[np.ndarray, " answer"],
    answer: int,
    axes: tuple[Axes, Axes],
) -> tuple[Axes, Axes]:
    """A galaxy on the first axis, beside it its vote posterior (``plot_vote_posterior``)."""
    axes[0].imshow(image, interpolation="bilinear")
    axes[0].set_axis_off()
    plot_vote_posterior(concentrations, votes, answer, axes[1])
    return axes
