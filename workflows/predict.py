"""Predictions of a survey's shards, one cached task a shard."""

from typing import Any

from flytekit import dynamic

from galaxyloop.acquisition import InformationConfig
from galaxyloop.posterior import PosteriorConfig
from schemas.artefacts import Checkpoint, CutoutShard, Prediction
from tasks.predict import join_predictions, predict_shard
from tasks.resources import CPU_IMAGE, WIRING
from workflows.fan_out import GROUP, fan_out, in_groups


def _predict(
    checkpoints: list[Checkpoint],
    shards: list[CutoutShard],
    posterior: PosteriorConfig,
    information: InformationConfig,
) -> tuple[Any, list[str]]:
    """One task a shard."""
    members = [checkpoint.digest for checkpoint in checkpoints]
    items: dict[str, list[Any]] = {
        "shard": shards,
        "digests": [[shard.digest, *members] for shard in shards],
    }
    shared = {"checkpoints": checkpoints, "posterior": posterior, "information": information}
    return fan_out(predict_shard, items, shared)


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def predict_group(
    checkpoints: list[Checkpoint],
    shards: list[CutoutShard],
    posterior: PosteriorConfig,
    information: InformationConfig,
) -> tuple[list[Prediction | None], list[str]]:
    """Predict some shards; those predicted before are cache hits. Says why one is missing."""
    return _predict(checkpoints, shards, posterior, information)


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def predict_shards(
    checkpoints: list[Checkpoint],
    shards: list[CutoutShard],
    posterior: PosteriorConfig,
    information: InformationConfig,
    group: int = GROUP,
) -> tuple[list[Prediction | None], list[str]]:
    """As ``predict_group``, for any number of shards: nested in groups of at most ``group``."""
    if len(shards) <= group:
        return _predict(checkpoints, shards, posterior, information)
    parts = [
        predict_group(
            checkpoints=checkpoints, shards=part, posterior=posterior, information=information
        )
        for part in in_groups(shards, group)
    ]
    joined: tuple[list[Prediction | None], list[str]] = join_predictions(
        groups=[part[0] for part in parts], reasons=[part[1] for part in parts]
    )
    return joined
