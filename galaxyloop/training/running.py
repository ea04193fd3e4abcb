"""Running a training: from an objective and galaxies to trained weights, resumable."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypedDict, cast, runtime_checkable

import numpy as np
import torch
from torch import nn

from galaxyloop.augment import AugmentConfig, at_sky_noise, measure_sky_noise
from galaxyloop.config import require
from galaxyloop.devices import choose_device, repeatable
from galaxyloop.layout import bands_innermost
from galaxyloop.objectives import Objective
from galaxyloop.processes import is_first, joined, n_processes
from galaxyloop.training.config import TrainingConfig
from galaxyloop.training.data import LabelledCutouts, TrainingGalaxies
from galaxyloop.training.environment import (
    choose_precision,
    describe_environment,
    quiet_lightning,
)
from galaxyloop.training.state import RunState, is_finished, save_state

_MAX_SKY_GALAXIES = 512


class RunHooks(TypedDict, total=False):
    """What a caller may add to a run without changing its result."""

    state_directory: Path | None
    """Where the run's state is saved and looked for, so that it can be resumed."""
    on_saved: Callable[[Path], None] | None
    """Called with the file of the state each time it is saved."""
    on_epoch: Callable[[dict[str, float]], None] | None
    """Called with each row of the log as it is made."""
    shows_epochs: bool
    """Whether each epoch is a line on the screen; yes unless told."""


@runtime_checkable
class ViewsAndSteps(Protocol):
    """The part of a run's config that the loop needs."""

    @property
    def augment(self) -> AugmentConfig:
        """How views differ from the cutouts."""

    @property
    def training(self) -> TrainingConfig:
        """How the loss is minimised."""


@contextmanager
def prepared(config: TrainingConfig) -> Iterator[None]:
    """Repeatable computing, together with the launcher's other processes if there are any."""
    with joined(config.device), repeatable(config.n_threads):
        yield


def run_objective(
    objective: Objective,
    galaxies: tuple[TrainingGalaxies, LabelledCutouts],
    run: ViewsAndSteps,
    state: RunState,
    hooks: RunHooks,
) -> dict[str, Any]:
    """Take the steps that are left; the model then has the weights that are kept.

    Args:
        objective: with the model to train.
        galaxies: to train on and to validate on.
        run: views and optimisation.
        state: where the run stands; it goes on from there, and is changed.
        hooks: see ``RunHooks``.

    Returns:
        Versions, device and precision.

    Raises:
        TrainingDivergedError: a loss is not finite.
    """
    device = choose_device(run.training.device)
    precision = choose_precision(run.training, device)
    is_innermost = run.training.channels_last
    layout = bands_innermost(objective, device, precision) if is_innermost else nullcontext()
    with quiet_lightning(), layout:
        if state.weights:
            objective.load_state_dict(state.weights)
        if not is_finished(state, run.training):
            _take_steps(objective, galaxies, run, state, hooks)
        if state.best_weights:
            objective.load_state_dict(state.best_weights)
    return describe_environment(device, precision)


def _take_steps(
    objective: Objective,
    galaxies: tuple[TrainingGalaxies, LabelledCutouts],
    run: ViewsAndSteps,
    state: RunState,
    hooks: RunHooks,
) -> None:
    """The steps that are left, by Lightning, which takes seconds to import."""
    from galaxyloop.training.callbacks import EpochBar, RunKeeper
    from galaxyloop.training.loop import TrainingLoop, fit

    device = choose_device(run.training.device)
    augment = _at_survey_noise(run.augment, galaxies[0])
    if n_processes() > 1:
        _check_shares(galaxies, run.training)
        share_normalisation(objective, device)
    module = TrainingLoop(objective, *galaxies, (run.training, augment), state)
    told = hooks if is_first() else RunHooks(shows_epochs=False)
    callbacks = [
        RunKeeper(module, _saver(told), told.get("on_epoch")),
        *([EpochBar(module)] if told.get("shows_epochs", True) else []),
    ]
    fit(module, callbacks, device, choose_precision(run.training, device))


def share_normalisation(objective: Objective, device: torch.device) -> None:
    """On accelerators batch normalisation takes the statistics of all processes' galaxies.

    Torch cannot do so on CPUs: there each process normalises by its own galaxies, and the first
    one's running statistics are kept.
    """
    if device.type == "cuda":
        from timm.layers.norm_act import convert_sync_batchnorm

        cast(Callable[[nn.Module], nn.Module], convert_sync_batchnorm)(objective)


def _check_shares(
    galaxies: tuple[TrainingGalaxies, LabelledCutouts], config: TrainingConfig
) -> None:
    """Refuse more processes than there are galaxies for.

    Raises:
        ConfigError: a process would have no galaxy in a step, or none to validate on.
    """
    train, validation = galaxies
    smallest = min(map(len, train.epoch_rows(config.seed, 0, config.batch_size)))
    require(
        smallest >= n_processes(),
        f"batch_size={config.batch_size} makes steps of {smallest} galaxies, too few for "
        f"{n_processes()} processes; raise batch_size, or start fewer",
    )
    require(
        not len(validation) or len(validation) >= n_processes(),
        f"{len(validation)} validation galaxies are too few for {n_processes()} processes; "
        "start fewer",
    )


def fingerprint(**values: Any) -> str:  # noqa: ANN401 - plain values of any kind
    """SHA-256 of all that decides a training."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _at_survey_noise(config: AugmentConfig, galaxies: TrainingGalaxies) -> AugmentConfig:
    """The views with noise at the level that evenly spread training galaxies have."""
    if config.sky_noise == 0:
        return config
    n_sampled = min(len(galaxies), _MAX_SKY_GALAXIES)
    rows = np.linspace(0, len(galaxies) - 1, n_sampled).astype(np.int64)
    return at_sky_noise(config, measure_sky_noise(galaxies.read(rows).images.numpy()))


def _saver(hooks: RunHooks) -> Callable[[RunState], None] | None:
    """What saves a state and tells the caller; None where nobody asked for states."""
    directory, on_saved = hooks.get("state_directory"), hooks.get("on_saved")
    if directory is None:
        return None

    def save(state: RunState) -> None:
        path = save_state(state, directory)
        if on_saved is not None:
            on_saved(path)

    return save
