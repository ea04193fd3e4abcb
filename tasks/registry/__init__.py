"""MLflow: runs, metrics, artifacts and the model registry. Nothing here is ever cached."""

from tasks.registry.runs import log_finetuning, log_pretraining, log_training
from tasks.registry.versions import (
    attach_report,
    fetch_metrics,
    register_model,
    resolve_model,
    resolve_models,
    resolve_start,
)

__all__ = [
    "attach_report",
    "fetch_metrics",
    "log_finetuning",
    "log_pretraining",
    "log_training",
    "register_model",
    "resolve_model",
    "resolve_models",
    "resolve_start",
]
