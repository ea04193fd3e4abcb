"""A look at the images themselves, while they are on their way to the encoder."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future

import numpy as np
from jaxtyping import Int32

from galaxyloop.feeding import ImageBatch
from galaxyloop.flags import image_flags


class ImageLooker:
    """Finds the flags of batches beside whatever else is done with them.

    Args:
        executor: whose threads look at the images.
    """

    def __init__(self, executor: Executor) -> None:
        """Nothing was seen yet."""
        self._executor = executor
        self._looks: deque[Future[Int32[np.ndarray, " galaxy"]]] = deque()

    def looked_at(self, batches: Iterator[ImageBatch]) -> Iterator[ImageBatch]:
        """The batches as they come; a look at each begins before it is passed on."""
        for batch in batches:
            self._looks.append(self._executor.submit(image_flags, batch))
            yield batch

    def flags(self, n_batches: int) -> Int32[np.ndarray, " galaxy"]:
        """Flags of the next batches, in order."""
        return np.concatenate([self._looks.popleft().result() for _ in range(n_batches)])
