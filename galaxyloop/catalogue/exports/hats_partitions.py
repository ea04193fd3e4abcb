"""Cutting a catalogue into HEALPix partitions of bounded size, in bounded memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HISTOGRAM_ORDER = 8
"""HEALPix order (14 arcmin) at which galaxies are counted, and of the smallest partition."""
FINEST_ORDER = 29
"""Of the cells that order the rows."""
CELL = "_healpix_29"
"""Column of the cell of that order, nested."""

Cells = npt.NDArray[np.int64]


@dataclass(frozen=True, order=True)
class Partition:
    """A HEALPix cell whose galaxies share a file."""

    first_cell: int
    """Its first cell of the finest order."""
    order: int
    pixel: int
    """Its number among the cells of its order, nested."""

    @property
    def end_cell(self) -> int:
        """The first cell behind it."""
        return (self.pixel + 1) << 2 * (FINEST_ORDER - self.order)


def choose_partitions(counts: Cells, max_rows: int) -> list[Partition]:
    """The largest cells that hold at most ``max_rows`` galaxies, none of them empty.

    Args:
        counts: galaxies in each cell of ``HISTOGRAM_ORDER``.
        max_rows: most galaxies; a cell of that order is kept whatever it holds.
    """
    partitions = []
    is_open = np.ones(12, dtype=bool)
    for order in range(HISTOGRAM_ORDER + 1):
        inside = counts.reshape(12 * 4**order, -1).sum(axis=1)
        fits = is_open & (inside <= max_rows if order < HISTOGRAM_ORDER else is_open)
        partitions += [
            Partition(int(pixel) << 2 * (FINEST_ORDER - order), order, int(pixel))
            for pixel in np.flatnonzero(fits & (inside > 0))
        ]
        is_open = np.repeat(is_open & ~fits, 4)
    return sorted(partitions)


def find_partitions(partitions: Sequence[Partition], cells: Cells) -> Cells:
    """The place among the partitions of each cell of the finest order; -1 where there is none."""
    first = np.array([partition.first_cell for partition in partitions])
    end = np.array([partition.end_cell for partition in partitions])
    places = np.searchsorted(first, cells, side="right") - 1
    return np.where((places >= 0) & (cells < end[places]), places, -1)


def find_margins(partitions: Sequence[Partition], cells: Cells, order: int) -> tuple[Cells, Cells]:
    """Which galaxies lie so close to another partition that they belong to its margin.

    A galaxy is in the margin of every partition that holds a cell next to the galaxy's own, so at
    least the width of a cell around the partition is covered.

    Args:
        partitions: in order.
        cells: of the galaxies, at the order whose cells are as wide as the margin.
        order: that order.

    Returns:
        Rows of the galaxies, and places of the partitions; a galaxy may come several times.
    """
    from astropy_healpix import neighbours

    near = np.asarray(neighbours(cells, 2**order, order="nested"), dtype=np.int64)
    shift = 2 * (FINEST_ORDER - order)
    places = find_partitions(partitions, np.maximum(near, 0) << shift)
    is_other = (near >= 0) & (places >= 0) & (places != find_partitions(partitions, cells << shift))
    rows = np.broadcast_to(np.arange(len(cells)), places.shape)
    pairs = np.unique(np.stack([rows[is_other], places[is_other]], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
