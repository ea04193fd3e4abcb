"""Training: a pure function of cutouts, votes, splits and a run's config."""

from galaxyloop.training.config import SupervisedRun, TrainingConfig
from galaxyloop.training.supervised import pretrain_supervised

__all__ = ["SupervisedRun", "TrainingConfig", "pretrain_supervised"]
