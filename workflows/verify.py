"""Every byte of a survey's cutouts, read again."""

from flytekit import dynamic

from schemas.artefacts import CutoutShard
from tasks.verify import join_faults, verify_shard
from workflows.fan_out import GROUP, fan_out, in_groups


@dynamic
def verify_group(shards: list[CutoutShard]) -> list[str | None]:
    """What is wrong with each of some shards; None where that could not be told."""
    faults, _ = fan_out(verify_shard, {"shard": shards}, {})
    return faults


@dynamic
def verify_shards(shards: list[CutoutShard], group: int = GROUP) -> list[str | None]:
    """As ``verify_group``, for any number of shards: nested in groups of at most ``group``."""
    if len(shards) <= group:
        faults, _ = fan_out(verify_shard, {"shard": shards}, {})
        return faults
    return join_faults(groups=[verify_group(shards=part) for part in in_groups(shards, group)])
