"""What a run depends on beside its config: precision, versions, hardware."""

import contextlib
import importlib.metadata
import logging
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import galaxyloop
from galaxyloop.training.config import TrainingConfig

_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")


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
