"""Which galaxies' labels are given: nested draws, as common as they are found."""

import numpy as np
from jaxtyping import Float, Int64

from galaxyloop.errors import LabelError
from galaxyloop.random_streams import number_names, uniforms

_DRAWS_STREAM = 0xD3A3
_MAX_ATTEMPTS = 1000
_LEAST = 2


def draw_labels(
    id_strs: list[str], y: Float[np.ndarray, " galaxy"], n_least: int, draw: int, seed: int
) -> Int64[np.ndarray, " galaxy"]:
    """An order of the pool; the first n galaxies are the n that are labelled.

    So a draw's larger sets contain its smaller ones. Classes are as common as chance makes them,
    but the smallest set holds at least two galaxies of each: a draw without is drawn anew. The
    order is by hash of id: galaxies that join the pool later come in between.

    Args:
        id_strs: ids of the pool.
        y: numbers of their classes.
        n_least: size of the smallest set.
        draw: number of the draw.
        seed: of all draws.

    Returns:
        Places in the pool.

    Raises:
        LabelError: the pool is smaller than that, or a class so rare that no draw was found.
    """
    n_classes = len(np.unique(y))
    if n_least > len(y) or n_classes < 2:
        raise LabelError(
            f"the pool has {len(y)} labelled galaxies of {n_classes} classes, needed are at least "
            f"{n_least} of 2; label more galaxies, or lower n_labels",
            len(y),
        )
    numbers = number_names(id_strs)
    for attempt in range(_MAX_ATTEMPTS):
        places = uniforms((_DRAWS_STREAM, seed, draw, attempt), numbers, 1)[:, 0]
        order = np.argsort(places, kind="stable")
        _, counts = np.unique(y[order[:n_least]], return_counts=True)
        if len(counts) == n_classes and counts.min() >= _LEAST:
            return order
    rarest = int(np.unique(y, return_counts=True)[1].min())
    raise LabelError(
        f"none of {_MAX_ATTEMPTS} draws of {n_least} from {len(y)} labelled galaxies holds "
        f"{_LEAST} of each class; the rarest class has {rarest}: label more of it, or raise the "
        "smallest of n_labels",
        rarest,
        len(y),
    )
