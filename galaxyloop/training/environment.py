"""What a run depends on beside its config: device, precision, threads, versions."""

import contextlib
import importlib.metadata
import logging
import os
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import galaxyloop
from galaxyloop.config import require
from galaxyloop.training.config import TrainingConfig

_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


def choose_device(config: TrainingConfig) -> torch.device:
    """The device to train on.

    Raises:
        ConfigError: cuda is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    is_there = has_cuda or config.device != "cuda"
    require(is_there, "device is 'cuda' and no CUDA device is visible; take 'auto' or 'cpu'")
    return torch.device("cuda", 0) if has_cuda and config.device != "cpu" else torch.device("cpu")


def choose_precision(config: TrainingConfig, device: torch.device) -> str:
    """``float32`` or ``bfloat16``; auto takes bfloat16 where the hardware computes in it."""
    if config.precision != "auto":
        return config.precision
    is_fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bfloat16()
    return "bfloat16" if is_fast else "float32"


def describe_environment(device: torch.device, precision: str) -> dict[str, Any]:
    """Versions and hardware, for ``environment.json``."""
    packages = ("torch", "timm", "lightning", "numpy")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
        "galaxyloop": galaxyloop.__version__,
        "platform": platform.platform(),
        "device": device.type,
        "device_name": name,
        "precision": precision,
        "n_threads": torch.get_num_threads(),
    }


@contextlib.contextmanager
def repeatable(config: TrainingConfig) -> Iterator[None]:
    """Fixed threads and deterministic kernels inside; everything as before outside."""
    n_threads = torch.get_num_threads()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    was_warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    was_benchmark = torch.backends.cudnn.benchmark
    if config.n_threads is not None:
        torch.set_num_threads(config.n_threads)
    # Without it cuBLAS is not deterministic; it is read when the first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Warn only: some timm networks have no deterministic backward pass on an accelerator.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
        torch.use_deterministic_algorithms(was_deterministic, warn_only=was_warn_only)
        torch.backends.cudnn.benchmark = was_benchmark


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's tips and notices are silenced inside; its errors are not."""
    loggers = [
        logging.getLogger(f"lightning.{part}{module}")
        for part in ("pytorch", "fabric")
        for module in ("", ".utilities.rank_zero")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16, by the kernel's list of its features."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in _BFLOAT16_FLAGS)
