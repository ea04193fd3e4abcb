"""Training: a pure function of cutouts, votes, splits and a run's config."""

from galaxyloop.training.config import ByolRun, HybridRun, SupervisedRun, TrainingConfig
from galaxyloop.training.pretraining import pretrain_byol, pretrain_hybrid, pretrain_supervised

__all__ = [
    "ByolRun",
    "HybridRun",
    "SupervisedRun",
    "TrainingConfig",
    "pretrain_byol",
    "pretrain_hybrid",
    "pretrain_supervised",
]
