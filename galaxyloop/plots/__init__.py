"""Plots: each takes a table (or arrays) and an axis, draws, and returns the axis."""

from galaxyloop.plots.calibration import plot_calibration, plot_pit_histogram
from galaxyloop.plots.confusion import plot_confusion
from galaxyloop.plots.fractions import plot_predicted_against_observed, plot_rmse_bars
from galaxyloop.plots.learning import plot_learning_curve
from galaxyloop.plots.style import DARK, LIGHT, Theme, new_figure, paint
from galaxyloop.plots.views import plot_views
from galaxyloop.plots.vote_posteriors import plot_vote_posterior, plot_vote_posterior_panel

__all__ = [
    "DARK",
    "LIGHT",
    "Theme",
    "new_figure",
    "paint",
    "plot_calibration",
    "plot_confusion",
    "plot_learning_curve",
    "plot_pit_histogram",
    "plot_predicted_against_observed",
    "plot_rmse_bars",
    "plot_views",
    "plot_vote_posterior",
    "plot_vote_posterior_panel",
]
