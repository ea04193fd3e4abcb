"""Nearest neighbours by blocked matrix products: exact, on an accelerator if there is one."""

import numpy as np
import torch
from jaxtyping import Float32, Int64

from galaxyloop.devices import choose_device

_PRODUCTS_AT_ONCE = 16 << 20
"""Similarities in memory at a time: 64 MB of float32, whatever the number of galaxies."""


def nearest_similarities(
    directions: Float32[np.ndarray, "galaxy axis"],
    reference: Float32[np.ndarray, "other axis"],
    own: Int64[np.ndarray, " galaxy"],
    n: int,
) -> Float32[np.ndarray, "galaxy neighbour"]:
    """The ``n`` largest similarities of each galaxy, the largest first.

    Args:
        directions: unit vectors of the galaxies.
        reference: unit vectors of those they are compared with, more than ``n``.
        own: for each galaxy the row of ``reference`` that is itself; -1 for none.
        n: neighbours.
    """
    device = choose_device()
    others = torch.from_numpy(reference).to(device).T
    size = max(1, _PRODUCTS_AT_ONCE // len(reference))
    found = [torch.empty(0, n)]
    for first in range(0, len(directions), size):
        similarities = torch.from_numpy(directions[first : first + size]).to(device) @ others
        own_here = own[first : first + size]
        rows = np.flatnonzero(own_here >= 0)
        similarities[rows, own_here[rows]] = -torch.inf
        found.append(similarities.topk(n).values.cpu())
    return np.asarray(torch.cat(found).numpy())
