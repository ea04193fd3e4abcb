"""What a model expects volunteers to say about one galaxy."""

import math

import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from galaxyloop.plots.style import BLUE, GREY, ORANGE, tidy


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
    single = beta_binomial(concentrations[:, answer], concentrations.sum(axis=1), shown)
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
    show_image(image, axes[0])
    plot_vote_posterior(concentrations, votes, answer, axes[1])
    return axes


def show_image(image: UInt8[np.ndarray, "y x band"], ax: Axes) -> Axes:
    """An image without axis lines."""
    ax.imshow(image, interpolation="bilinear")
    ax.set_axis_off()
    return ax


def beta_binomial(
    concentration: Float[np.ndarray, " sample"],
    total: Float[np.ndarray, " sample"],
    n_votes: int,
) -> Float[np.ndarray, "sample k"]:
    """Probability of k = 0..N votes for one answer, the others taken together.

    Args:
        concentration: Dirichlet parameter of the answer, > 0.
        total: sum over all answers of the question, > concentration.
        n_votes: N.
    """
    k = np.arange(n_votes + 1)
    first = concentration.astype(np.float64)[:, None]
    rest = total.astype(np.float64)[:, None] - first
    choices = _log_gamma(n_votes + 1.0) - _log_gamma(k + 1.0) - _log_gamma(n_votes - k + 1.0)
    together = _log_gamma(k + first) + _log_gamma(n_votes - k + rest)
    together = together - _log_gamma(n_votes + first + rest)
    alone = _log_gamma(first + rest) - _log_gamma(first) - _log_gamma(rest)
    return np.asarray(np.exp(choices + together + alone), dtype=np.float64)


_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])
