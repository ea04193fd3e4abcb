"""Batches are read ahead, in order, by a thread that neither loses an error nor stays behind."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from galaxyloop.feeding import feed, read_ahead, slices
from tests.library.shard_files import random_images

CPU = torch.device("cpu")


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "galaxyloop-read"]


def test_feed__gives_the_batches_in_order_and_leaves_out_empty_ones() -> None:
    images = random_images(10)
    batches = [images[:4], images[4:4], images[4:9], images[9:]]
    fed = list(feed(iter(batches), CPU))
    assert [len(batch) for batch in fed] == [4, 5, 1]
    np.testing.assert_array_equal(torch.cat(fed).numpy(), images)
    assert list(feed([], CPU)) == []


def test_feed__copies_so_that_a_batch_may_be_changed_behind_it() -> None:
    images = random_images(3)
    images.flags.writeable = False
    fed = next(iter(feed(slices(images, 2), CPU)))
    fed.zero_()
    assert images.any()


def test_read_ahead__takes_items_before_they_are_asked_for_and_not_many() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            taken.append(i)
            yield i

    reading = read_ahead(items(), n_ahead=2)
    assert next(reading) == 0
    deadline = time.monotonic() + 30
    while len(taken) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert taken == [0, 1, 2, 3]
    assert [*reading] == list(range(1, 20))
    assert not reader_threads()


def test_read_ahead__raises_an_error_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    reading = read_ahead(items())
    assert next(reading) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(reading)
    assert not reader_threads()


def test_read_ahead__stops_and_closes_its_source_with_who_reads() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    reading = read_ahead(items())
    assert next(reading) == 0
    reading.close()
    assert closed.is_set()
    assert not reader_threads()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_feed__fills_its_pinned_buffers_again_only_when_they_were_sent() -> None:
    images = random_images(4000, side_px=64)
    device = torch.device("cuda", 0)
    fed = [batch.clone() for batch in feed(slices(images, 300), device)]
    assert all(batch.is_cuda for batch in fed)
    np.testing.assert_array_equal(torch.cat(fed).cpu().numpy(), images)
