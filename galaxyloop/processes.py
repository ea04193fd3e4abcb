"""Several processes that train one model: which one this is, and what they must know together.

A launcher, such as torch's elastic one, starts the processes and tells each its place by RANK,
LOCAL_RANK, WORLD_SIZE and LOCAL_WORLD_SIZE. Outside ``joined`` a process is alone, and everything
here leaves values as they are. Nothing here catches errors: the launcher ends all processes when
one fails, and shows the first failure.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed

from galaxyloop.config import require
from galaxyloop.devices import choose_device

T = TypeVar("T")

_TOLD = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE = timedelta(hours=1)
"""How long the others wait for one that fetches data or writes the result."""


@contextlib.contextmanager
def joined(device: str = "auto") -> Iterator[None]:
    """Join the other processes of the launcher, if it has started several.

    Args:
        device: as for ``choose_device``: tensors on it can be added up, beside those on the CPU.

    Raises:
        ConfigError: the launcher left something unsaid, or there are fewer GPUs than processes.
    """
    n_started = int(os.environ.get("WORLD_SIZE", "1"))
    if n_started == 1 or not distributed.is_available() or distributed.is_initialized():
        yield
        return
    unsaid = [name for name in _TOLD if name not in os.environ]
    require(
        not unsaid,
        f"WORLD_SIZE is {n_started} but {', '.join(unsaid)} is not set; start processes with "
        "torchrun, or unset WORLD_SIZE",
    )
    place = choose_device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_PATIENCE)
    yield
    # Not after an error: that would wait for others who wait for this one.
    distributed.barrier()
    distributed.destroy_process_group()


def n_processes() -> int:
    """How many train together; 1 outside ``joined``."""
    is_joined = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_joined else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if n_processes() > 1 else 0


def n_on_node() -> int:
    """How many of them run on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if n_processes() > 1 else 1


def is_first() -> bool:
    """Whether this is the process that writes, logs and shows how far it is."""
    return rank() == 0


def own_stream() -> tuple[int, ...]:
    """What keeps this process's random numbers apart from the first one's; nothing there."""
    return () if is_first() else (rank(),)


def share_of(rows: Shaped[Any, " row"]) -> Shaped[Any, " own"]:
    """This process's part of rows: every n-th, so that each kind of row is spread evenly."""
    return rows[rank() :: n_processes()]


def summed(values: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """The sum over all processes, on each of them; has no gradient."""
    if n_processes() == 1:
        return values
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total


def averaged(values: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The mean over all processes, on each of them; has no gradient."""
    return summed(values) / n_processes() if n_processes() > 1 else values


def part_of_mean(mean: Float[Tensor, ""], count: Shaped[Tensor, ""] | int) -> Float[Tensor, ""]:
    """A mean over this process's items, scaled so that all processes' average is the mean over all.

    Gradients are averaged over processes, so each must count by its number of items, which
    differs: half of the galaxies rarely have half of the answered questions.

    Args:
        mean: over this process's items; 0 if it has none.
        count: this process's number of items.
    """
    if n_processes() == 1:
        return mean
    own = torch.as_tensor(count, dtype=torch.float32, device=mean.device)
    return mean * (own * n_processes() / summed(own).clamp(min=1))


def once(make: Callable[[], T]) -> T:
    """What the first process makes, on every process; the others wait."""
    if n_processes() == 1:
        return make()
    made = [make() if is_first() else None]
    distributed.broadcast_object_list(made, src=0)
    return made[0]  # type: ignore[return-value]


def once_a_node(make: Callable[[], T]) -> T:
    """What the first process of each machine makes, on every process of that machine."""
    if n_processes() == 1:
        return make()
    place = int(os.environ["LOCAL_RANK"])
    made: list[Any] = [None] * n_processes()
    distributed.all_gather_object(made, make() if place == 0 else None)
    return made[rank() - place]  # type: ignore[no-any-return]


def take_from_first(tensors: Iterator[Tensor]) -> None:
    """Overwrite these tensors by those of the first process."""
    if n_processes() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor.detach(), src=0)
