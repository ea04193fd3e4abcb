"""Tables and numbers in Markdown, for cards."""

from collections.abc import Iterable, Sequence

import numpy as np


def markdown_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; a line break or ``|`` in a cell would end it, so none is left."""
    lines = [names, ["---"] * len(names), *rows]
    return [
        f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in line)} |"
        for line in lines
    ]


def markdown_number(value: object) -> str:
    """Three digits; a dash for what could not be measured."""
    return f"{value:.3g}" if isinstance(value, float) and np.isfinite(value) else "-"
