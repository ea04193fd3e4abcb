"""A task's files where several processes run its body: one fetches for a machine, one keeps.

By itself a process does all of this as any task does.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from galaxyloop.processes import once, once_a_node
from galaxyloop.shards import CutoutCollection
from schemas.artefacts import (
    Artefact,
    CheckpointDirectory,
    CutoutShardDirectory,
    SurveyVersionDirectory,
)
from tasks import local_run
from tasks.opening import open_cutouts
from tasks.resources import retrying_storage


def fetched(artefact: Artefact) -> Path:
    """Where this machine has the artefact; a cluster tries again if storage fails."""
    with retrying_storage():
        return once_a_node(artefact.download)


def fetched_cutouts(
    shards: Sequence[CutoutShardDirectory], survey: SurveyVersionDirectory
) -> CutoutCollection:
    """The cutouts of the galaxies that are in the survey now, on this machine."""
    here = [replace(shard, uri=str(fetched(shard))) for shard in shards]
    return open_cutouts(here, replace(survey, uri=str(fetched(survey))))


def fetched_start(start: Sequence[CheckpointDirectory]) -> Path | None:
    """The checkpoint to start from, if there is one."""
    return fetched(start[0]) if start else None


def new_directory(name: str) -> Path:
    """As in ``local_run``; the first process's, which writes it."""
    return once(lambda: local_run.new_directory(name))


def keep_checkpoint(directory: Path) -> CheckpointDirectory:
    """Wrap a finished checkpoint, as ``local_run.keep`` does, once."""
    from galaxyloop.checkpoint import checkpoint_digest

    return once(
        lambda: local_run.keep(directory, CheckpointDirectory, checkpoint_digest(directory))
    )
