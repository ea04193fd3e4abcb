"""One task over many items, where a failing item keeps no other from being done.

On a cluster the items are mapped: each is cached by itself and retried by itself, and one that
fails for good leaves a gap in the list. In a local run Flyte would cache a mapped task as one whole
list, with its gaps, so there the task is called once an item. Either way the results are followed
by a task that looks for gaps, so that a list with one is never kept as whole.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from flytekit import map_task
from pyarrow import ArrowException

from galaxyloop.errors import GalaxyloopError
from tasks.local_run import is_in_pod

GROUP = 1000
"""Most items that one workflow maps over; longer lists are nested."""
ITEM_ERRORS = (GalaxyloopError, OSError, RuntimeError, ArithmeticError, MemoryError, ArrowException)
"""What may be wrong with one item only; anything else is a fault of ours and ends the run."""

T = TypeVar("T")
logger = logging.getLogger("galaxyloop")


def fan_out(
    one: Any,  # noqa: ANN401 - a Flyte task has no type of its own
    items: Mapping[str, Sequence[Any]],
    shared: Mapping[str, Any],
) -> tuple[Any, list[str]]:
    """Run a task for each item; for use in the body of a dynamic workflow.

    Args:
        one: a task with one output.
        items: values that differ from item to item, by input.
        shared: the others.

    Returns:
        A result or None for each item, and why it is None; empty where there is a result, and on
        a cluster, where the reason stays in the log of the item.
    """
    n_items = len(next(iter(items.values())))
    if n_items and is_in_pod():
        mapped = map_task(functools.partial(one, **shared), min_success_ratio=0.0)
        return mapped(**items), [""] * n_items
    results, reasons = [], []
    for place in range(n_items):
        result, reason = None, ""
        try:
            result = one(**{name: values[place] for name, values in items.items()}, **shared)
        except ITEM_ERRORS as error:
            reason = _briefly(error)
            logger.warning(f"{place + 1} of {n_items} failed, the others go on: {reason}")
        results.append(result)
        reasons.append(reason)
    return results, reasons


def in_groups(items: Sequence[T], size: int) -> list[list[T]]:
    """The items in as few groups as can be, as equal as can be."""
    if not items:
        return []
    n_groups = -(-len(items) // size)
    bounds = [len(items) * group // n_groups for group in range(n_groups + 1)]
    return [list(items[first:end]) for first, end in zip(bounds, bounds[1:], strict=False)]


def _briefly(error: BaseException) -> str:
    """An error's own words, without the line that says which task it came from."""
    words = str(error.args[0]) if error.args else str(error)
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Error encountered while executing"):
        lines = lines[1:]
    return " ".join(lines) or type(error).__name__
