"""Plots: what they show is what the tables say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from galaxyloop import plots


def test_new_figure__has_as_many_axes_as_asked() -> None:
    figure, axes = plots.new_figure(3.0, 2.0, 2, 3)
    assert isinstance(figure, Figure)
    assert len(axes) == 6


def test_plot_vote_posterior__equals_numbers_worked_by_hand() -> None:
    # Beta(1, 1) makes all counts equally probable; Beta(2, 1) grows as k + 1.
    _, (ax,) = plots.new_figure(3.0, 2.0)
    plots.plot_vote_posterior(np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([3, 1]), 0, ax)
    flat, rising, mixture, _ = (np.asarray(line.get_ydata(), dtype=float) for line in ax.lines)
    np.testing.assert_allclose(flat, np.full(5, 0.2), rtol=1e-12)
    np.testing.assert_allclose(rising, np.arange(1, 6) / 15, rtol=1e-12)
    np.testing.assert_allclose(mixture, (flat + rising) / 2, rtol=1e-12)


def test_plot_vote_posterior__draws_each_network_the_mixture_and_the_votes() -> None:
    _, (ax,) = plots.new_figure(3.0, 2.0)
    concentrations = np.random.default_rng(1).uniform(1, 20, (7, 3))
    plots.plot_vote_posterior(concentrations, np.array([4, 6, 2]), 1, ax)
    *single, mixture, observed = ax.lines
    assert len(single) == 7
    mean = np.mean([line.get_ydata() for line in single], axis=0)
    np.testing.assert_allclose(np.asarray(mixture.get_ydata(), dtype=float), mean)
    assert list(observed.get_xdata()) == [6, 6]
    assert ax.get_xlabel() == "votes out of 12"


def test_plot_vote_posterior__marks_no_votes_where_there_are_none() -> None:
    _, (ax,) = plots.new_figure(3.0, 2.0)
    plots.plot_vote_posterior(np.full((2, 2), 3.0), np.array([0, 0]), 0, ax)
    assert len(ax.lines) == 3
    assert ax.get_xlabel() == "votes out of 40"


def test_plot_vote_posterior_panel__shows_the_image_beside() -> None:
    _, axes = plots.new_figure(5.0, 2.0, 1, 2)
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    plots.plot_vote_posterior_panel(
        image, np.full((2, 2), 3.0), np.array([1, 2]), 0, (axes[0], axes[1])
    )
    assert len(axes[0].images) == 1
    assert len(axes[1].lines) == 4


def test_plot_learning_curve__marks_the_best_epoch() -> None:
    log = pd.DataFrame(
        {
            "epoch": [0, 0, 1, 1, 2],
            "train_loss": [4.0, 2.0, 2.0, 1.0, 1.0],
            "validation_loss": [np.nan, 3.0, np.nan, 1.5, 2.0],
        }
    )
    _, (ax,) = plots.new_figure(4.0, 3.0)
    plots.plot_learning_curve(log, ax)
    training, validation, best = ax.lines
    assert list(training.get_ydata()) == [3.0, 1.5, 1.0]
    assert list(validation.get_ydata()) == [3.0, 1.5, 2.0]
    assert (best.get_xdata(), best.get_ydata()) == ([1.0], [1.5])
    assert "nats" in ax.get_ylabel()


def test_plot_learning_curve__without_validation_marks_nothing() -> None:
    log = pd.DataFrame({"epoch": [0, 1], "train_loss": [2.0, 1.0], "validation_loss": [np.nan] * 2})
    _, (ax,) = plots.new_figure(4.0, 3.0)
    assert len(plots.plot_learning_curve(log, ax).lines) == 2


@pytest.mark.parametrize("n_points", [0, 1, 12, 500])
def test_plot_predicted_against_observed__shows_every_point(n_points: int) -> None:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(rng.uniform(0, 1, (n_points, 2)), columns=["observed", "predicted"])
    _, (ax,) = plots.new_figure(3.0, 3.0)
    plots.plot_predicted_against_observed(table, ax)
    offsets = np.asarray(ax.collections[0].get_offsets())
    assert sorted(offsets[:, 0]) == sorted(table["observed"])
    assert ax.get_xlabel() == "volunteers' vote fraction"


def test_plot_rmse_bars__puts_the_first_question_on_top() -> None:
    table = pd.DataFrame(
        {"question": ["Bar", "Bulge"], "rmse": [0.1, 0.2], "rmse_of_mean": [0.3, 0.4]}
    )
    _, (ax,) = plots.new_figure(4.0, 3.0)
    plots.plot_rmse_bars(table, ax)
    widths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    assert widths == {1: 0.1, 0: 0.2}


def test_plot_calibration__draws_each_question_and_their_mean() -> None:
    table = pd.DataFrame(
        {
            "question": ["a", "a", "b", "b"],
            "nominal": [0.5, 0.9, 0.5, 0.9],
            "observed": [0.4, 0.8, 0.6, 1.0],
        }
    )
    _, (ax,) = plots.new_figure(3.0, 3.0)
    plots.plot_calibration(table, ax)
    assert len(ax.lines) == 1 + 2 + 1
    np.testing.assert_allclose(np.asarray(ax.lines[-1].get_ydata(), dtype=float), [0.5, 0.9])


def test_plot_calibration__draws_the_mean_before_where_it_is_known() -> None:
    table = pd.DataFrame({"nominal": [0.5, 0.9], "observed": [0.5, 0.9]})
    _, (ax,) = plots.new_figure(3.0, 3.0)
    plots.plot_calibration(table.assign(observed_uncalibrated=[0.3, 0.6]), ax)
    drawn = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float) for line in ax.lines}
    np.testing.assert_allclose(drawn["mean before calibration"], [0.3, 0.6])
    np.testing.assert_allclose(drawn["mean"], [0.5, 0.9])


def test_plot_confusion__has_the_number_of_each_pair_and_the_share_of_its_row() -> None:
    pairs = [("yes", "yes", 30), ("yes", "no", 10), ("no", "yes", 0), ("no", "no", 0)]
    table = pd.DataFrame(pairs, columns=["volunteers", "model", "n_galaxies"])
    _, (ax,) = plots.new_figure(3.0, 3.0)
    plots.plot_confusion(table, ax)
    assert [text.get_text() for text in ax.texts] == ["30", "10", "0", "0"]
    shade = np.asarray(ax.images[0].get_array())[..., 3]
    np.testing.assert_allclose(shade / shade.max(), [[1, 1 / 3], [0, 0]])


def test_plot_pit_histogram__of_uniform_values_lies_at_one() -> None:
    _, (ax,) = plots.new_figure(3.0, 3.0)
    plots.plot_pit_histogram((np.arange(2000) + 0.5) / 2000, ax)
    heights = [bar.get_height() for bar in ax.containers[0]]
    np.testing.assert_allclose(heights, np.ones(20))


def test_paint__changes_everything_but_the_data() -> None:
    figure, (ax,) = plots.new_figure(3.0, 3.0)
    plots.plot_pit_histogram(np.linspace(0, 1, 50), ax)
    before = [to_hex(bar.get_facecolor()) for bar in ax.containers[0]]
    plots.paint(figure, plots.DARK)
    assert to_hex(figure.get_facecolor()) == plots.DARK.background
    assert to_hex(ax.xaxis.label.get_color()) == plots.DARK.text
    assert [to_hex(bar.get_facecolor()) for bar in ax.containers[0]] == before
