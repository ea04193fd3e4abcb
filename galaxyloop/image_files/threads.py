"""Work in threads, the results in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_BATCH = 8
_BATCHES_AHEAD = 2


def map_in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], n_threads: int
) -> Generator[_Result, None, None]:
    """What ``map`` gives, made by ``n_threads`` threads; close it if it is not read to its end.

    Items are drawn by the caller's thread, at most ``8 * (2 * n_threads + 1)`` ahead of the
    results: handing over one at a time would cost as much as decoding an image.
    """

    def several(batch: list[_Item]) -> list[_Result]:
        return [function(item) for item in batch]

    rest = iter(items)
    waiting: deque[Future[list[_Result]]] = deque()
    pool = ThreadPoolExecutor(n_threads)
    try:
        while batch := list(islice(rest, _BATCH)):
            waiting.append(pool.submit(several, batch))
            if len(waiting) > _BATCHES_AHEAD * n_threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
