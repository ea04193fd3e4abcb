"""Every byte of a survey's cutouts, read again."""

from flytekit import dynamic

from schemas.artefacts import CutoutShard
from tasks.resources import CPU_IMAGE, WIRING
from tasks.verify import join_faults, verify_shard
from workflows.fan_out import GROUP, fan_out, in_groups


def _verify(shards: list[CutoutShard]) -> list[str | None]:
    """One task a shard."""
    faults: list[str | None] = fan_out(verify_shard, {"shard": shards}, {})[0]
    return faults


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def verify_group(shards: list[CutoutShard]) -> list[str | None]:
    """What is wrong with each of some shards; None where that could not be told."""
    return _verify(shards)


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def verify_shards(shards: list[CutoutShard], group: int = GROUP) -> list[str | None]:
    """As ``verify_group``, for any number of shards: nested in groups of at most ``group``."""
    if len(shards) <= group:
        return _verify(shards)
    parts = [verify_group(shards=part) for part in in_groups(shards, group)]
    joined: list[str | None] = join_faults(groups=parts)
    return joined
