"""Batches of cutouts are read, and brought to the device, while the encoder is busy."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

ImageBatch = UInt8[np.ndarray, "galaxy y x band"]

_Item = TypeVar("_Item")
_N_AHEAD = 2
_LOOK_UP_S = 0.1
"""How often a reader that waits looks whether anyone still wants its batches [s]."""
_GOODBYE_S = 1.0
"""How long a reader is waited for that is in the middle of a read nobody wants any more [s]."""


def slices(images: ImageBatch, batch_size: int) -> Iterator[ImageBatch]:
    """An array in batches; no pixel of a mapped file is read yet."""
    for first in range(0, len(images), batch_size):
        yield images[first : first + batch_size]


def feed(
    batches: Iterable[ImageBatch], device: torch.device
) -> Generator[UInt8[Tensor, "galaxy y x band"], None, None]:
    """Batches on the device, each read while the ones before are in use; empty ones are left out.

    A thread takes the batches, which is when a mapped file is read or a request is made. For an
    accelerator it copies them into two pinned buffers in turn, from which the device fetches them
    beside its computing.

    Args:
        batches: in order; memory holds four of them, whatever their number.
        device: where they are wanted.
    """
    filled = (batch for batch in batches if len(batch))
    if device.type != "cuda":
        # Copied, since torch takes no array that is mapped from a file for reading only.
        yield from read_ahead(torch.from_numpy(np.array(batch)) for batch in filled)
        return
    uploads = _Uploads(device)
    with contextlib.closing(read_ahead(uploads.start(batch) for batch in filled)) as started:
        for upload in started:
            consumer = torch.cuda.current_stream(device)
            consumer.wait_event(upload.is_there)
            # Its memory must not be given to another batch before this stream is done with it.
            upload.pixels.record_stream(consumer)
            yield upload.pixels


def read_ahead(items: Iterable[_Item], n_ahead: int = _N_AHEAD) -> Generator[_Item, None, None]:
    """The items in order, taken by a thread before they are asked for.

    An error of the thread is raised where its item would have come. Who stops early stops the
    thread.

    Args:
        items: taken in the thread.
        n_ahead: how many wait, at most.
    """
    waiting: queue.Queue[_Item | _End] = queue.Queue(n_ahead)
    is_unwanted = threading.Event()
    arguments = (iter(items), waiting, is_unwanted)
    reader = threading.Thread(target=_read, args=arguments, name="galaxyloop-read", daemon=True)
    reader.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        is_unwanted.set()
        reader.join(_GOODBYE_S)


class _End(NamedTuple):
    """After the last item."""

    error: BaseException | None


class _Upload(NamedTuple):
    """A batch on its way to an accelerator."""

    pixels: Tensor
    is_there: torch.cuda.Event


class _Uploads:
    """Sends batches to an accelerator from two pinned buffers, on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._buffers = [torch.empty(0, dtype=torch.uint8)] * 2
        self._is_free: list[torch.cuda.Event | None] = [None, None]
        self._n_started = 0

    def start(self, batch: ImageBatch) -> _Upload:
        """Copy a batch into a buffer as soon as that has been sent, and let the device fetch it."""
        turn = self._n_started % 2
        self._n_started += 1
        sent = self._is_free[turn]
        if sent is not None:
            sent.synchronize()
        if self._buffers[turn].numel() < batch.size:
            self._buffers[turn] = torch.empty(batch.size, dtype=torch.uint8, pin_memory=True)
        pinned = self._buffers[turn][: batch.size].view(batch.shape)
        np.copyto(pinned.numpy(), batch)
        with torch.cuda.stream(self._stream):
            pixels = pinned.to(self._device, non_blocking=True)
        is_there = torch.cuda.Event()  # type: ignore[no-untyped-call]
        is_there.record(self._stream)
        self._is_free[turn] = is_there
        return _Upload(pixels, is_there)


def _read(
    items: Iterator[_Item], waiting: "queue.Queue[_Item | _End]", is_unwanted: threading.Event
) -> None:
    """Put items into the queue until there are no more, or nobody wants them."""
    error: BaseException | None = None
    try:
        for item in items:
            if not _put(item, waiting, is_unwanted):
                break
    except BaseException as caught:  # raised again where the item is waited for
        error = caught
    finally:
        if isinstance(items, Generator):
            items.close()
    _put(_End(error), waiting, is_unwanted)


def _put(
    item: _Item | _End, waiting: "queue.Queue[_Item | _End]", is_unwanted: threading.Event
) -> bool:
    """Wait for room in the queue; False if nobody wants the item any more."""
    while not is_unwanted.is_set():
        try:
            waiting.put(item, timeout=_LOOK_UP_S)
        except queue.Full:
            continue
        return True
    return False
