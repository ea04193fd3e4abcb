"""Lineage as a picture: what something was made of, from left to right."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from galaxyloop.lineage import Origin
from galaxyloop.plots.style import BLUE, GREEN, GREY, LIGHT, ORANGE, Theme, new_figure

_COLOURS = {"model": BLUE, "training": ORANGE, "start": BLUE, "row": GREEN}
_MOST_ALIKE = 3
"""Things of one kind drawn one by one; the others become a box that counts them."""
_MAX_LETTERS = 44
_MOST_FACTS = 6
_LINE_IN, _COLUMN_IN, _GAP_IN = 0.165, 2.9, 0.2


@dataclass(frozen=True)
class _Box:
    """A thing in its place; ``parent`` is the place of what was made of it."""

    lines: tuple[str, ...]
    colour: str
    depth: int
    top: float
    parent: "_Box | None"

    @property
    def height(self) -> float:
        """In inches."""
        return _LINE_IN * (len(self.lines) + 1)

    @property
    def middle(self) -> float:
        """Where lines arrive."""
        return self.top + self.height / 2


def plot_lineage(origin: Origin, ax: Axes, theme: Theme = LIGHT) -> Axes:
    """Draw a box a thing, joined to what was made of it on its left.

    Args:
        origin: what to draw; digests are cut to 12 letters, the text has them whole.
        ax: where to draw, in inches downwards (``save_lineage`` makes one of the right size).
        theme: of the page.
    """
    ax.set_axis_off()
    for box in _place(origin):
        left = box.depth * (_COLUMN_IN + _GAP_IN)
        ax.add_patch(_rounded(left, box.top, box.height, face=theme.background, edge=box.colour))
        title, *rest = box.lines
        y = box.top + 0.9 * _LINE_IN
        ax.text(left + 0.1, y, title, color=box.colour, fontsize=8, weight="bold", va="center")
        for line in rest:
            y += _LINE_IN
            ax.text(left + 0.1, y, line, color=theme.text, fontsize=7, va="center")
        if box.parent is not None:
            start = (left - _GAP_IN, left)
            ax.plot(start, (box.parent.middle, box.middle), color=theme.line, linewidth=1)
    return ax


def save_lineage(origin: Origin, path: Path) -> None:
    """Write the picture of a lineage as PNG."""
    boxes = list(_place(origin))
    width = (1 + max(box.depth for box in boxes)) * (_COLUMN_IN + _GAP_IN)
    height = max(box.top + box.height for box in boxes) + _GAP_IN
    figure, (ax,) = new_figure(width, height)
    plot_lineage(origin, ax)
    ax.set_xlim(-0.05, width)
    ax.set_ylim(height, -0.05)
    figure.savefig(path)


def _rounded(left: float, top: float, height: float, face: str, edge: str) -> FancyBboxPatch:
    """A box with round corners."""
    style = "round,pad=0,rounding_size=0.08"
    size = (_COLUMN_IN, height)
    return FancyBboxPatch((left, top), *size, boxstyle=style, facecolor=face, edgecolor=edge)


def _place(origin: Origin) -> Iterator[_Box]:
    """Every box in its place: each column a step further back, children below each other."""
    free: dict[int, float] = {}

    def put(one: Origin, depth: int, parent: _Box | None) -> Iterator[_Box]:
        top = max(free.get(depth, 0.0), parent.top if parent else 0.0)
        box = _Box(
            _say(one), _COLOURS.get(one.what, GREEN if depth == 0 else GREY), depth, top, parent
        )
        free[depth] = top + box.height + _GAP_IN
        yield box
        for child in _gather(one.made_of):
            yield from put(child, depth + 1, box)

    return put(origin, 0, None)


def _gather(origins: tuple[Origin, ...]) -> Iterator[Origin]:
    """The things, of which many of one kind are counted."""
    shown: dict[str, int] = {}
    for one in origins:
        shown[one.what] = shown.get(one.what, 0) + 1
        n_alike = sum(other.what == one.what for other in origins)
        if n_alike <= _MOST_ALIKE or shown[one.what] < _MOST_ALIKE:
            yield one
        elif shown[one.what] == _MOST_ALIKE:
            yield Origin(one.what, f"and {n_alike - _MOST_ALIKE + 1} more")


def _say(origin: Origin) -> tuple[str, ...]:
    """The lines in a box."""
    facts = [
        _shorten(f"{name.replace('_', ' ')}: {fact}")
        for name, fact in list(origin.facts.items())[:_MOST_FACTS]
    ]
    return origin.what, _shorten(origin.name), *facts


def _shorten(text: str) -> str:
    """A line that fits; digests are cut to 12 letters, and addresses to their end."""
    line = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1", text)
    if len(line) <= _MAX_LETTERS:
        return line
    if "/" in line:
        return f"…{line[1 - _MAX_LETTERS :]}"
    return f"{line[: _MAX_LETTERS - 1]}…"
