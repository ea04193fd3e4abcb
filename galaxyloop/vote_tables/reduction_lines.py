"""How a source says which answer each task and slug of its Panoptes reductions is."""

from collections.abc import Sequence
from dataclasses import dataclass

from galaxyloop.config import require

DATA_PREFIX = "data."
"""Before each slug in the columns of a table of reductions."""


@dataclass(frozen=True)
class ReductionLine:
    """One line: ``T0.smooth = smooth-or-featured-dr5_smooth``."""

    task: str
    """Task of the workflow (or key of the reducer): ``T0``."""
    slug: str
    """Answer as the reductions spell it, without ``data.``; empty for all of the task."""
    answer: str
    """Answer of the campaign; empty where the votes are set aside."""

    @property
    def name(self) -> str:
        """Task and slug: ``T0.smooth``."""
        return f"{self.task}.{self.slug}" if self.slug else self.task


def parse_reductions(lines: Sequence[str]) -> tuple[ReductionLine, ...]:
    """The lines of a source's ``reductions``.

    ``TASK.SLUG = ANSWER`` names an answer (several slugs may be the same one), ``TASK.SLUG =`` sets
    votes aside, ``TASK =`` all votes of the task. The slug may be the whole name of its column,
    ``data.`` included.

    Raises:
        ConfigError: a line is none of these, or a task and slug have two lines.
    """
    parsed: dict[str, ReductionLine] = {}
    for text in lines:
        left, equals, answer = (part.strip() for part in text.rpartition("="))
        task, dot, slug = left.partition(".")
        slug = slug.removeprefix(DATA_PREFIX)
        is_whole = bool(equals and task and (slug if dot else not answer))
        require(
            is_whole,
            "a line of reductions must read 'TASK.SLUG = ANSWER', 'TASK.SLUG =' or 'TASK =' (votes "
            f"that are set aside), got '{text}'",
        )
        line = ReductionLine(task, slug, answer)
        require(line.name not in parsed, f"reductions names '{line.name}' twice; keep one line")
        parsed[line.name] = line
    for line in parsed.values():
        require(
            not line.slug or line.task not in parsed,
            f"reductions sets all of task '{line.task}' aside but names '{line.name}' too; keep "
            "one of the two",
        )
    return tuple(parsed.values())
