"""What happens around the steps: saved states, best weights, the log and the progress bar."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as lightning
from tqdm import tqdm

from galaxyloop.processes import is_first
from galaxyloop.training.data import Batch
from galaxyloop.training.loop import TrainingLoop
from galaxyloop.training.schedule import learning_rate_at
from galaxyloop.training.state import RunState, is_finished

_LOSSES = ("train_loss", "validation_loss")
"""The second only where there are validation galaxies."""


class RunKeeper(lightning.Callback):
    """Ends each epoch: log row, best weights, early stopping, saved state, the caller's hook."""

    def __init__(
        self,
        loop: TrainingLoop,
        save: Callable[[RunState], None] | None,
        on_epoch: Callable[[dict[str, float]], None] | None,
    ) -> None:
        """Take what is called with the state and with each log row."""
        super().__init__()
        self._loop = loop
        self._save = save
        self._on_epoch = on_epoch
        self._started = 0.0

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the clock and the sums."""
        self._started = time.perf_counter() - self._loop.state.seconds
        self._loop.reset_sums()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - as Lightning has it
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Count the step, and save the state now and then."""
        loop, state = self._loop, self._loop.state
        loop.objective.after_step(loop.step, loop.n_steps)
        state.n_batches += 1
        is_due = loop.step % loop.config.save_every_steps == 0
        if self._save is None or not is_due or state.n_batches == loop.n_batches:
            return
        loop.check_last_loss()
        _fill(state, loop)
        state.loss_sum = loop.loss_sum()
        state.seconds = time.perf_counter() - self._started
        self._save(state)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """After the validation of an epoch."""
        self._loop.check_last_loss()
        state = self._loop.state
        row: dict[str, int | float] = {
            "epoch": state.epoch,
            "step": self._loop.step,
            **self._loop.losses(),
            **self._loop.objective.monitors(),
            "learning_rate": learning_rate_at(
                self._loop.step - 1, self._loop.n_batches, self._loop.config
            ),
            "seconds": time.perf_counter() - self._started,
            "n_images": sum(int(old["n_images"]) for old in state.log[-1:]) + self._loop.n_images,
        }
        _check_finite(row, self._loop)
        if is_first():
            _fill(state, self._loop)
        state.log.append(row)
        best = len(state.log) - 1
        if self._loop.objective.keeps == "best" and self._loop.has_validation:
            best = min(range(len(state.log)), key=lambda i: state.log[i]["validation_loss"])
        state.epoch, state.n_batches, state.loss_sum, state.seconds = state.epoch + 1, 0, 0.0, 0.0
        if best == len(state.log) - 1:
            state.best_epoch, state.best_weights = best, dict(state.weights)
        if is_finished(state, self._loop.config):
            trainer.should_stop = True
        if self._save is not None:
            self._save(state)
        if self._on_epoch is not None:
            self._on_epoch({name: float(value) for name, value in row.items()})


class EpochBar(lightning.Callback):
    """One line an epoch, counted from the beginning of the run; its losses at the end."""

    def __init__(self, loop: TrainingLoop) -> None:
        """Take the loop whose state is shown."""
        super().__init__()
        self._loop = loop
        self._bar: tqdm[Any] | None = None

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Open the epoch's line."""
        is_terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=f"Epoch {self._loop.state.epoch + 1}/{self._loop.config.epochs}",
            total=self._loop.n_batches,
            initial=self._loop.state.n_batches,
            unit="step",
            mininterval=0.5 if is_terminal else 60,
            dynamic_ncols=is_terminal,
        )

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - as Lightning has it
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """One step on."""
        if self._bar is not None:
            self._bar.update()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Close the line with the losses; the keeper has added the epoch's row before."""
        if self._bar is None:
            return
        row = self._loop.state.log[-1]
        losses = {name: f"{row[name]:.4f}" for name in _LOSSES if name in row}
        self._bar.set_postfix(losses, refresh=False)
        self._bar.close()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Leave the line as it is, if there is one yet."""
        if self._bar is not None:
            self._bar.close()


def _check_finite(row: dict[str, int | float], loop: TrainingLoop) -> None:
    """Refuse to go on from a loss that is not a number."""
    for name in _LOSSES:
        if not math.isfinite(row.get(name, 0.0)):
            raise loop.diverged(name, row[name])


def _fill(state: RunState, loop: TrainingLoop) -> None:
    """Copy weights and optimiser into the state, on the CPU, if the weights are numbers.

    A finite loss can have a gradient that is not: then the step it was part of is named, and what
    was saved before stays.
    """
    weights = {
        name: weight.detach().cpu().clone() for name, weight in loop.objective.state_dict().items()
    }
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(weight.isfinite().all()):
            raise loop.diverged(f"weight {name}", math.nan)
    state.weights = weights
    state.optimizer = loop.trainer.optimizers[0].state_dict()
