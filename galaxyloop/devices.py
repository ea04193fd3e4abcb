"""Where networks run, and what makes them give the same bytes again."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from galaxyloop.config import require

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; auto takes an accelerator if there is one.

    Of several processes on a machine each takes the accelerator of its own number, LOCAL_RANK.

    Raises:
        ConfigError: cuda is asked for and there is none, there are more processes than
            accelerators, or the name is unknown.
    """
    require(name in DEVICES, f"device must be one of {', '.join(DEVICES)}, got {name}")
    has_cuda = torch.cuda.is_available()
    is_there = has_cuda or name != "cuda"
    require(is_there, "device is 'cuda' and no CUDA device is visible; take 'auto' or 'cpu'")
    if not has_cuda or name == "cpu":
        return torch.device("cpu")
    is_alone = os.environ.get("WORLD_SIZE", "1") == "1"
    number = 0 if is_alone else int(os.environ.get("LOCAL_RANK", "0"))
    n_devices = torch.cuda.device_count()
    require(
        number < n_devices,
        f"process {number} of this machine has no CUDA device of its own, there are {n_devices}; "
        "start one process for each, or set device to cpu",
    )
    return torch.device("cuda", number)


def choose_precision(name: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16``; auto takes bfloat16 where the hardware computes in it."""
    if name != "auto":
        return name
    if device.type == "cuda":
        # Older devices emulate it, slower than they compute in float32.
        is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        is_fast = _cpu_has_bfloat16()
    return "bfloat16" if is_fast else "float32"


@contextlib.contextmanager
def repeatable(n_threads: int | None) -> Iterator[None]:
    """Fixed threads and deterministic kernels inside; everything as before outside."""
    options: Any = torch.utils.deterministic
    threads_before = torch.get_num_threads()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    was_warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    was_benchmark, was_filling = torch.backends.cudnn.benchmark, options.fill_uninitialized_memory
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    # Without it cuBLAS is not deterministic; it is read when the first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Warn only: some timm networks have no deterministic backward pass on an accelerator.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    # Writing NaN into all memory before it is computed into costs a step up to a fifth of its time.
    options.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(was_deterministic, warn_only=was_warn_only)
        torch.backends.cudnn.benchmark = was_benchmark
        options.fill_uninitialized_memory = was_filling


@contextlib.contextmanager
def predicting(model: nn.Module, n_threads: int | None) -> Iterator[None]:
    """The model is on the best device inside, repeatably; back where it was outside.

    Convolutions in "float32" are just that: an accelerator's shortened float32 would make a
    galaxy's posterior depend on its batch by more than rounding.
    """
    home = next(model.parameters()).device
    was_shortened = torch.backends.cudnn.allow_tf32
    with repeatable(n_threads):
        torch.backends.cudnn.allow_tf32 = False
        model.to(choose_device())
        try:
            yield
        finally:
            model.to(home)
            torch.backends.cudnn.allow_tf32 = was_shortened


def _cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16, by the kernel's list of its features."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in _BFLOAT16_FLAGS)
