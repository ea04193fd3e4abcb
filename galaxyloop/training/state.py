"""The state of a run that was cut short: enough to go on as if nothing had happened."""

import os
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galaxyloop.errors import CheckpointError
from galaxyloop.processes import n_processes, once
from galaxyloop.training.config import TrainingConfig

STATE = "state.pt"


@dataclass
class RunState:
    """Where a run stands. Views, order and dropout are functions of the seed and the step.

    Nothing else is random, so no generator's state is kept.
    """

    fingerprint: str
    """Digest of config and data: a state only continues its own run."""
    epoch: int = 0
    """Epochs finished."""
    n_batches: int = 0
    """Batches finished in the epoch under way."""
    loss_sum: float = 0.0
    """Sum of the training loss over these."""
    seconds: float = 0.0
    """Time spent on these [s]."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """Weights now; empty before the first step."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    """The optimiser's state now."""
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """Weights after the best epoch."""
    best_epoch: int = -1
    """The epoch with the lowest validation loss; -1 before there is one."""
    log: list[dict[str, int | float]] = field(default_factory=list)
    """One row a finished epoch."""
    n_processes: int = 1
    """How many trained together; another number sums in another order."""


def is_finished(state: RunState, config: TrainingConfig) -> bool:
    """Whether all epochs are done or patience is at its end."""
    waited = state.epoch - 1 - state.best_epoch
    is_impatient = config.patience > 0 and state.best_epoch >= 0 and waited >= config.patience
    return state.epoch >= config.epochs or is_impatient


def save_state(state: RunState, directory: Path) -> Path:
    """Replace the saved state in one step; returns its file."""
    directory.mkdir(parents=True, exist_ok=True)
    work = directory / f".{STATE}.{os.getpid()}"
    torch.save(asdict(state), work)
    os.replace(work, directory / STATE)
    return directory / STATE


def load_state(directory: Path | None, fingerprint: str) -> RunState:
    """The saved state of this run, or a fresh one if none is there.

    Of several processes the first reads, and all are given what it read.

    Raises:
        CheckpointError: the file is damaged, or belongs to a run of other config or data, or of
            another number of processes.
    """
    return once(lambda: _read_state(directory, fingerprint))


def _read_state(directory: Path | None, fingerprint: str) -> RunState:
    """The same on one process."""
    path = None if directory is None else directory / STATE
    if path is None or not path.exists():
        return RunState(fingerprint, n_processes=n_processes())
    try:
        state = RunState(**torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, TypeError, EOFError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}; delete it to start from the beginning"
        ) from error
    if state.fingerprint != fingerprint:
        raise CheckpointError(
            f"{path} belongs to another run ({state.fingerprint[:12]}, this one is "
            f"{fingerprint[:12]}): config or data differ; give each run its own state directory"
        )
    if state.n_processes != n_processes():
        raise CheckpointError(
            f"{path} was saved by {state.n_processes} processes, now there are {n_processes()}, "
            f"which would not give the same bits; start {state.n_processes}, or delete it to "
            "start from the beginning"
        )
    return state
