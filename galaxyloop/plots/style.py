"""One look for all plots: colours that colour-blind readers can tell apart, on light and dark."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#2a86c7", "#e08a00", "#0f9d78", "#8b929a"
"""After Okabe and Ito's palette, lightened so that each is legible on white and on black."""

DPI = 160
"""Pixels an inch of a figure, enough for screens of high density."""


@dataclass(frozen=True)
class Theme:
    """The colours of everything that is not data."""

    text: str
    """Labels, titles and ticks."""
    line: str
    """Axis lines."""
    background: str
    """Behind the plot, and around markers that overlap."""


LIGHT = Theme(text="#39424d", line="#aab2bb", background="#ffffff")
"""Dark ink on white, also for print."""
DARK = Theme(text="#c3ccd6", line="#5b6672", background="#171c22")
"""Light ink on near-black."""


def new_figure(
    width_in: float, height_in: float, n_rows: int = 1, n_columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure and its axes row by row; no window, no global state.

    Args:
        width_in: width [inch].
        height_in: height [inch].
        n_rows: rows of axes.
        n_columns: columns of axes.
    """
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).flat)


def tidy(ax: Axes) -> Axes:
    """The common look of one axis: two spines, small type, a faint grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, length=3)
    ax.grid(visible=True, color=GREY, alpha=0.18, linewidth=0.6)
    ax.set_axisbelow(True)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize(8.5)
    ax.title.set_fontsize(9)
    return ax


def paint(figure: Figure, theme: Theme) -> Figure:
    """Give labels, ticks, axis lines and background the theme's colours; data keep theirs."""
    figure.set_facecolor(theme.background)
    for ax in figure.axes:
        ax.set_facecolor(theme.background)
        ax.tick_params(colors=theme.line, labelcolor=theme.text)
        for spine in ax.spines.values():
            spine.set_color(theme.line)
        legend = ax.get_legend()
        legend_texts = legend.get_texts() if legend else []
        for text in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts, *legend_texts):
            text.set_color(theme.text)
    return figure
