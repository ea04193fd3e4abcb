"""MLflow: runs, metrics, artifacts and the model registry. Nothing here is ever cached."""

from tasks.registry.drift import fetch_reference, log_drift
from tasks.registry.promotion import (
    find_champion,
    promote_by_hand,
    promote_model,
    promote_stored,
    roll_back_model,
)
from tasks.registry.runs import log_finetuning, log_pretraining, log_training
from tasks.registry.trace import trace_lineage
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
    "fetch_reference",
    "log_drift",
    "find_champion",
    "log_finetuning",
    "log_pretraining",
    "log_training",
    "promote_by_hand",
    "promote_model",
    "promote_stored",
    "register_model",
    "resolve_model",
    "resolve_models",
    "resolve_start",
    "roll_back_model",
    "trace_lineage",
]
