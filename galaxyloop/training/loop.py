"""The training loop on Lightning; imported when training starts, because that takes seconds."""

import lightning.pytorch as lightning
import torch
from torch import Tensor

from galaxyloop.augment import AugmentConfig, ViewSeed, plain_views, random_views
from galaxyloop.objectives import Objective
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import TrainingConfig
from galaxyloop.training.data import Batch, EpochBatches, LabelledCutouts, count_batches, shuffled
from galaxyloop.training.schedule import learning_rate_at, parameter_groups
from galaxyloop.training.state import RunState

_DROPOUT_STREAM = 1


class TrainingLoop(lightning.LightningModule):
    """Draws views, takes steps and sums the losses; where it starts is told by the state.

    Lightning counts epochs and batches from 0 in every process, so a resumed run hands it only
    what is left, and all that depends on epoch and step is computed from the state.
    """

    def __init__(
        self,
        objective: Objective,
        train: LabelledCutouts,
        validation: LabelledCutouts,
        configs: tuple[TrainingConfig, AugmentConfig],
        state: RunState,
    ) -> None:
        """Take the parts; nothing is computed yet."""
        super().__init__()
        self.objective = objective
        self.config, self._augment = configs
        self.state = state
        self.n_batches = count_batches(len(train), self.config.batch_size)
        self.n_galaxies = len(train)
        self._train_galaxies, self._validation_galaxies = train, validation
        self._sums: dict[str, Tensor] = {}
        self.reset_sums()

    @property
    def step(self) -> int:
        """Steps taken since the beginning of the run."""
        return self.state.epoch * self.n_batches + self.state.n_batches

    def reset_sums(self) -> None:
        """Start an epoch's sums; a resumed epoch goes on from the saved one."""
        self._sums = {
            "train": torch.tensor(self.state.loss_sum, dtype=torch.float64),
            "nll": torch.zeros((), dtype=torch.float64),
            "answered": torch.zeros((), dtype=torch.float64),
        }

    def losses(self) -> dict[str, float]:
        """This epoch's mean losses so far; waits for the device."""
        validation = self._sums["nll"] / self._sums["answered"].clamp(min=1)
        return {
            "train_loss": float(self._sums["train"]) / max(self.state.n_batches, 1),
            "validation_loss": float(validation),
        }

    def loss_sum(self) -> float:
        """Sum of the training loss over this epoch's steps."""
        return float(self._sums["train"])

    def train_dataloader(self) -> EpochBatches:
        """The rest of the epoch under way, in its own order."""
        order = shuffled(len(self._train_galaxies), self.config.seed, self.state.epoch)
        return EpochBatches(
            self._train_galaxies, self.config.batch_size, order, self.state.n_batches
        )

    def val_dataloader(self) -> EpochBatches:
        """All validation galaxies."""
        n_galaxies = len(self._validation_galaxies)
        order = torch.arange(n_galaxies).numpy()
        return EpochBatches(self._validation_galaxies, 2 * self.config.batch_size, order)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, as it was if the run is resumed."""
        groups = parameter_groups(self.objective.named_parameters(), self.config.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=self.config.learning_rate)
        if self.state.optimizer:
            optimizer.load_state_dict(self.state.optimizer)
        return optimizer

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set this step's learning rate."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate_at(self.step, self.n_batches, self.config)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch of random views."""
        seed, epoch = self.config.seed, self.state.epoch
        views = [
            self._layout(
                random_views(
                    batch.images, batch.galaxies, self._augment, ViewSeed(seed, epoch, view)
                )
            )
            for view in range(self.objective.n_views)
        ]
        with seeded(seed, _DROPOUT_STREAM, self.step):
            loss = self.objective.loss(views, batch.votes)
        self._add("train", loss.detach())
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add up the validation loss of plain views."""
        images = self._layout(plain_views(batch.images))
        nll, answered = self.objective.validation_sums(images, batch.votes)
        self._add("nll", nll)
        self._add("answered", answered)

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
        devices=1,
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        max_epochs=config.epochs - module.state.epoch,
        gradient_clip_val=config.max_gradient_norm or None,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(module)
