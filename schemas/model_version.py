"""A concrete version of a registered model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelVersion:
    """One version; downstream work is keyed on the checkpoint's digest, never on the number."""

    name: str
    version: str
    """Number within the registry; another registry's version 1 holds other weights."""
    checkpoint_digest: str
    """SHA-256 of the registered checkpoint."""
    run_id: str
    """The MLflow run that trained it."""
    registry: str
    """Address of the registry, without credentials."""
