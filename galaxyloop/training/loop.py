"""The training loop on Lightning; imported when training starts, because that takes seconds."""

from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from galaxyloop.augment import AugmentConfig, ViewSeed, plain_views, random_views
from galaxyloop.errors import TrainingDivergedError
from galaxyloop.objectives import Objective
from galaxyloop.processes import (
    averaged,
    n_on_node,
    n_processes,
    own_stream,
    share_of,
    summed,
    take_from_first,
)
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import TrainingConfig
from galaxyloop.training.data import Batch, EpochBatches, LabelledCutouts, TrainingGalaxies
from galaxyloop.training.schedule import learning_rate_at
from galaxyloop.training.state import RunState

_DROPOUT_STREAM = 1
_VALIDATION_EPOCH = 2**31
"""The views of validation galaxies are the same after every epoch, and no training view."""


class TrainingLoop(lightning.LightningModule):
    """Draws views, takes steps and sums the losses; where it starts is told by the state.

    Lightning counts epochs and batches from 0 in every process, so a resumed run hands it only
    what is left, and all that depends on epoch and step is computed from the state.
    """

    def __init__(
        self,
        objective: Objective,
        train: TrainingGalaxies,
        validation: LabelledCutouts,
        configs: tuple[TrainingConfig, AugmentConfig],
        state: RunState,
    ) -> None:
        """Take the parts; nothing is computed yet."""
        super().__init__()
        self.objective = objective
        self.config, self._augment = configs
        self.state = state
        self.n_batches = train.n_batches(self.config.batch_size)
        self.n_steps = self.n_batches * self.config.epochs
        self.has_validation = len(validation) > 0
        self._train_galaxies, self._validation_galaxies = train, validation
        self._sums: dict[str, Tensor] = {}
        self._steps: list[np.ndarray] = []
        self._last: tuple[Tensor, np.ndarray] | None = None
        self._last_rows = np.zeros(0, dtype=np.int64)
        self.n_images = 0
        self.reset_sums()

    @property
    def step(self) -> int:
        """Steps taken since the beginning of the run."""
        return self.state.epoch * self.n_batches + self.state.n_batches

    def reset_sums(self) -> None:
        """Start an epoch's sums; a resumed epoch goes on from the saved one."""
        self._sums = {
            "train": torch.tensor(self.state.loss_sum, dtype=torch.float64),
            "validation": torch.zeros((), dtype=torch.float64),
            "divisor": torch.zeros((), dtype=torch.float64),
        }

    def losses(self) -> dict[str, float]:
        """This epoch's mean losses so far, over all processes; waits for the device."""
        losses = {"train_loss": float(self._sums["train"]) / max(self.state.n_batches, 1)}
        if self.has_validation:
            divisor = summed(self._sums["divisor"]).clamp(min=1)
            losses["validation_loss"] = float(summed(self._sums["validation"]) / divisor)
        return losses

    def loss_sum(self) -> float:
        """Sum of the training loss over this epoch's steps."""
        return float(self._sums["train"])

    def train_dataloader(self) -> EpochBatches:
        """The rest of the epoch under way, in its own order; this process's part of each step."""
        self._steps = self._train_galaxies.epoch_rows(
            self.config.seed, self.state.epoch, self.config.batch_size
        )
        self.n_images = sum(len(step) for step in self._steps)
        rows = [share_of(step) for step in self._steps[self.state.n_batches :]]
        return EpochBatches(self._train_galaxies, rows)

    def val_dataloader(self) -> EpochBatches:
        """All validation galaxies, or this process's part of them."""
        galaxies = self._validation_galaxies
        own = share_of(np.arange(len(galaxies)))
        n_batches = min(galaxies.n_batches(2 * self.config.batch_size), len(own))
        return EpochBatches(galaxies, np.array_split(own, n_batches))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, as it was if the run is resumed."""
        groups = self.objective.parameter_groups(self.config.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=self.config.learning_rate)
        if self.state.optimizer:
            optimizer.load_state_dict(self.state.optimizer)
        return optimizer

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set this step's learning rate."""
        self.check_last_loss()
        rate = learning_rate_at(self.step, self.n_batches, self.config)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * group.get("learning_rate_share", 1.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch of random views."""
        views = self._views(batch, self.state.epoch, self.objective.n_views)
        self.objective.before_step(self.step, self.n_steps)
        with seeded(self.config.seed, _DROPOUT_STREAM, self.step, *own_stream()):
            loss = self.objective.loss(views, batch.labels)
        # Of all processes, so that all stop at the same one.
        told = averaged(loss.detach())
        self._add("train", told)
        self._last = told, self._steps[self.state.n_batches]
        return loss

    def check_last_loss(self) -> None:
        """Stop at a loss that is not a number, one step later, so as not to wait for the device.

        Raises:
            TrainingDivergedError: names the step, the learning rate and the batch's galaxies.
        """
        if self._last is None:
            return
        (loss, self._last_rows), self._last = self._last, None
        if not torch.isfinite(loss):
            raise self.diverged("train_loss", float(loss))

    def diverged(self, name: str, value: float) -> TrainingDivergedError:
        """The error that names the last step, its learning rate and its galaxies."""
        return TrainingDivergedError(
            name,
            value,
            self.step - 1,
            learning_rate_at(self.step - 1, self.n_batches, self.config),
            self._train_galaxies.names(self._last_rows),
        )

    def on_validation_epoch_start(self) -> None:
        """What is watched is measured anew, with the same statistics everywhere."""
        take_from_first(self.objective.buffers())
        self.objective.reset_monitors()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up the validation loss."""
        plain = self._layout(plain_views(batch.images))
        views = self._views(batch, _VALIDATION_EPOCH, self.objective.n_validation_views)
        total, divisor = self.objective.validation_sums(plain, views, batch.labels)
        self._add("validation", total)
        self._add("divisor", divisor)

    def _views(self, batch: Batch, epoch: int, n_views: int) -> list[Tensor]:
        """Random views of a batch."""
        return [
            self._layout(
                random_views(
                    batch.images,
                    batch.galaxies,
                    self._augment,
                    ViewSeed(self.config.seed, epoch, view),
                )
            )
            for view in range(n_views)
        ]

    def _add(self, name: str, value: Tensor) -> None:
        """Sum on the device, without waiting for it."""
        self._sums[name] = self._sums[name].to(value.device) + value

    def _layout(self, images: Tensor) -> Tensor:
        """Bands innermost in memory, if that is wanted."""
        if self.config.channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images.contiguous()


def fit(
    module: TrainingLoop,
    callbacks: list[lightning.Callback],
    device: torch.device,
    precision: str,
) -> None:
    """Take all steps that are left."""
    config = module.config
    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        **_processes(),
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        max_epochs=config.epochs - module.state.epoch,
        gradient_clip_val=config.max_gradient_norm or None,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if module.has_validation else 0,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(module)


def _processes() -> dict[str, Any]:
    """One process by itself, or those that have joined, whose gradients are averaged.

    The graph is the same in every step, and what has no gradient in the first has none later:
    layers that an encoder does not use are left alone, as by one process.
    """
    if n_processes() == 1:
        return {"devices": 1}
    return {
        "devices": n_on_node(),
        "num_nodes": n_processes() // n_on_node(),
        "strategy": DDPStrategy(static_graph=True),
        "plugins": [TorchElasticEnvironment()],
        "use_distributed_sampler": False,
    }
