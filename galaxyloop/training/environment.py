"""What a run depends on beside its config: precision, versions, hardware."""

import contextlib
import importlib.metadata
import logging
import platform
import warnings
from collections.abc import Iterator
from typing import Any

import torch

import galaxyloop
from galaxyloop import devices
from galaxyloop.processes import n_processes
from galaxyloop.training.config import TrainingConfig


def choose_precision(config: TrainingConfig, device: torch.device) -> str:
    """``float32`` or ``bfloat16``; auto takes bfloat16 where the hardware computes in it."""
    return devices.choose_precision(config.precision, device)


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
        **({"n_processes": n_processes()} if n_processes() > 1 else {}),
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
