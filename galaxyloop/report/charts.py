"""The report's pictures: charts for light and dark screens, and galaxies, as data URIs."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import PIL.Image
from jaxtyping import Float, Integer, UInt8
from matplotlib.figure import Figure

from galaxyloop import plots
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.metrics import MetricsConfig, confusion_table
from galaxyloop.report.content import HeldOutGalaxies

MAX_IMAGE_PX = 160
"""Larger images are shrunk to this side before they are embedded."""
_N_COLOURS = 128
_MIN_VOTES = 6
_MIN_CONFIDENT = 10
_CONFUSION_INCHES = 1.6
_ANSWER_INCHES = 0.3
_CSS_PX_PER_INCH = 96


@dataclass(frozen=True)
class Chart:
    """One chart, painted twice."""

    light: str
    """PNG for light screens, as a data URI."""
    dark: str
    """PNG for dark screens, as a data URI."""
    width_px: int
    """Width on the page."""
    height_px: int
    """Height on the page."""
    alt: str
    """What it shows, for those who cannot see it."""
    title: str = ""
    """A line above it, where it has one."""
    caption: str = ""
    """A line below it."""


def image_uri(image: UInt8[np.ndarray, "y x band"]) -> str:
    """A galaxy as a lossless PNG in a data URI."""
    side = max(image.shape[:2])
    if side > MAX_IMAGE_PX:
        height, width = (max(1, n * MAX_IMAGE_PX // side) for n in image.shape[:2])
        image = np.asarray(
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    return _data_uri(encoded.tobytes())


def learning_chart(log: pd.DataFrame) -> Chart | None:
    """The learning curve; None without a log."""
    if log.empty:
        return None
    figure, (ax,) = plots.new_figure(5.0, 2.7)
    plots.plot_learning_curve(log, ax)
    return _chart(figure, "Training and validation loss against epoch")


def fraction_charts(
    held_out: HeldOutGalaxies | None, tree: DecisionTree, titles: Mapping[str, str]
) -> list[Chart]:
    """Predicted against observed fractions, a chart for each titled question with enough votes."""
    if held_out is None:
        return []
    charts = []
    for question in (tree.question(name) for name in titles):
        fractions = _fractions(held_out, question, tree)
        if fractions.empty:
            continue
        figure, (ax,) = plots.new_figure(2.2, 2.2)
        plots.plot_predicted_against_observed(fractions, ax)
        n_galaxies = int(fractions["galaxy"].nunique())
        title = titles[question.name]
        caption = f"{n_galaxies} galaxies"
        charts.append(_chart(figure, f"Predicted against observed: {title}", title, caption))
    return charts


def confusion_charts(
    held_out: HeldOutGalaxies | None, tree: DecisionTree, titles: Mapping[str, str]
) -> list[Chart]:
    """Which answers are taken for which, a chart for each titled question with enough galaxies."""
    if held_out is None:
        return []
    config = MetricsConfig(
        min_votes=max(held_out.min_votes, 1), confident_fraction=held_out.confident_fraction
    )
    table = confusion_table(held_out.predicted, held_out.votes, tree, config)
    charts = []
    for name, title in titles.items():
        own = table[table["question"] == name]
        n_galaxies = int(own["n_galaxies"].sum())
        if n_galaxies < _MIN_CONFIDENT:
            continue
        side = _CONFUSION_INCHES + _ANSWER_INCHES * len(tree.question(name).answers)
        figure, (ax,) = plots.new_figure(side, side - 0.2)
        plots.plot_confusion(own, ax).set(xlabel="model", ylabel="volunteers")
        caption = f"{n_galaxies} galaxies"
        charts.append(
            _chart(figure, f"Volunteers' answer and the model's: {title}", title, caption)
        )
    return charts


def rmse_chart(metrics: pd.DataFrame | None, titles: Mapping[str, str]) -> Chart | None:
    """Error of the titled questions beside predicting the mean; None when it was not measured."""
    if metrics is None:
        return None
    wide = metrics.pivot_table("value", "question", "metric", sort=False)
    if not {"rmse", "rmse_of_mean"} <= set(wide.columns):
        return None
    known = [name for name in titles if name in wide.index]
    table = wide.loc[known, ["rmse", "rmse_of_mean"]].dropna().reset_index()
    if table.empty:
        return None
    table["question"] = [titles[name] for name in table["question"]]
    figure, (ax,) = plots.new_figure(5.0, 1.1 + 0.27 * len(table))
    plots.plot_rmse_bars(table, ax)
    return _chart(figure, "Error of the vote fractions by question")


def calibration_chart(coverage: pd.DataFrame | None) -> Chart | None:
    """Coverage of the intervals; None when it was not measured."""
    if coverage is None or coverage.empty:
        return None
    figure, (ax,) = plots.new_figure(3.7, 3.3)
    plots.plot_calibration(coverage, ax)
    return _chart(figure, "Observed against nominal coverage")


def pit_chart(pit: Float[np.ndarray, " value"] | None) -> Chart | None:
    """Histogram of the probability integral transforms; None without any."""
    if pit is None or not len(pit):
        return None
    figure, (ax,) = plots.new_figure(3.7, 3.3)
    plots.plot_pit_histogram(pit, ax)
    caption = f"From {len(pit):,} held-out answers.".replace(",", "\u2009")
    return _chart(figure, "Histogram of the probability integral transform", caption=caption)


def telling_answer(held_out: HeldOutGalaxies | None, tree: DecisionTree, part: DecisionTree) -> int:
    """The answer to a campaign's first question whose fraction varies most among galaxies."""
    if held_out is None:
        return 0
    votes = held_out.votes[:, tree.slices[part.question_names[0]]]
    votes = votes[votes.sum(axis=1) >= max(held_out.min_votes, 1)]
    if not len(votes):
        return 0
    return int((votes / votes.sum(axis=1, keepdims=True)).std(axis=0).argmax())


def posterior_charts(
    concentrations: Float[np.ndarray, "sample answer"],
    votes: Integer[np.ndarray, " answer"],
    first_answer: int,
    tree: DecisionTree,
    titles: Mapping[str, str],
) -> list[Chart]:
    """Vote posteriors of one galaxy: the first question, and the one most particular to it.

    Of the first question always the same answer is counted, of the other the commonest.
    """
    charts = []
    for question in (tree.questions[0], *_most_specific(votes, tree)):
        place = tree.slices[question.name]
        is_first = question is tree.questions[0]
        answer = first_answer if is_first else int(votes[place].argmax())
        figure, (ax,) = plots.new_figure(3.0, 1.75)
        plots.plot_vote_posterior(concentrations[:, place], votes[place], answer, ax)
        k, n_votes = int(votes[place][answer]), int(votes[place].sum())
        said = f"{k} of {n_votes} votes" if n_votes else "no votes yet"
        title, caption = titles[question.name], f"{question.answers[answer]}: {said}"
        alt = f"Posterior of the votes. {title}, {caption}"
        charts.append(_chart(figure, alt, title, caption))
    return charts


def _most_specific(votes: Integer[np.ndarray, " answer"], tree: DecisionTree) -> list[Question]:
    """The question furthest down the tree that enough volunteers have answered, if any.

    A question with few parents says more of this galaxy than one that nearly all are asked.
    """
    depths: dict[str, int] = {}
    for question in tree.questions:
        depth = 1 + max((depths[parent] for parent in question.asked_after), default=0)
        depths.update(dict.fromkeys(question.columns, depth))
    counts = {one.name: int(votes[tree.slices[one.name]].sum()) for one in tree.questions}
    answered = [one for one in tree.questions[1:] if counts[one.name] >= _MIN_VOTES]
    answered.sort(
        key=lambda one: (len(one.asked_after), -depths[one.columns[0]], -counts[one.name])
    )
    return answered[:1]


def _fractions(held_out: HeldOutGalaxies, question: Question, tree: DecisionTree) -> pd.DataFrame:
    """galaxy, observed, predicted: a row for each galaxy and answer with enough votes.

    Of two answers the first says it all.
    """
    place = tree.slices[question.name]
    votes, predicted = held_out.votes[:, place], held_out.predicted[:, place]
    n_votes = votes.sum(axis=1)
    rows = np.flatnonzero(n_votes >= max(held_out.min_votes, 1))
    n_shown = 1 if len(question.answers) == 2 else len(question.answers)
    observed = votes[rows, :n_shown] / n_votes[rows, None]
    return pd.DataFrame(
        {
            "galaxy": np.repeat(rows, n_shown),
            "observed": observed.ravel(),
            "predicted": predicted[rows, :n_shown].ravel(),
        }
    )


def _chart(figure: Figure, alt: str, title: str = "", caption: str = "") -> Chart:
    """Paint the figure in both themes; its layout is found once."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    light, dark = (_png_uri(plots.paint(figure, theme)) for theme in (plots.LIGHT, plots.DARK))
    width, height = (round(side * _CSS_PX_PER_INCH) for side in figure.get_size_inches())
    return Chart(light, dark, width, height, alt, title, caption)


def _png_uri(figure: Figure) -> str:
    """The figure as it is painted now; a palette makes it a third of the size."""
    pixels = io.BytesIO()
    figure.savefig(pixels, format="rgba")
    size = figure.canvas.get_width_height()
    picture = PIL.Image.frombytes("RGBA", size, pixels.getvalue()).convert("RGB")
    buffer = io.BytesIO()
    no_dither = PIL.Image.Dither.NONE
    picture.quantize(_N_COLOURS, dither=no_dither).save(buffer, format="png", optimize=True)
    return _data_uri(buffer.getvalue())


def _data_uri(png: bytes) -> str:
    """PNG bytes inside a URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
