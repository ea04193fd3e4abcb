"""A training of which the second process cannot read its cutouts.

``torchrun tests/library/distributed_failing.py FOLDER``
"""

import sys
from pathlib import Path

import numpy as np

from galaxyloop.processes import rank
from tests.library import distributed_runs, training_data


class LostDiskError(Exception):
    """A disk is gone."""


def read(self: training_data.ArrayCutouts, positions: np.ndarray) -> np.ndarray:
    """What there is, but on the second process."""
    if rank() == 1:
        raise LostDiskError("the disk of the second process is gone")
    return self.images[positions]


if __name__ == "__main__":
    training_data.ArrayCutouts.read = read
    distributed_runs.votes(Path(sys.argv[1]) / "votes")
