"""Images, resources, retries and code versions: one place for what the cluster must know."""

from collections.abc import Iterator
from contextlib import contextmanager

from flytekit import Cache, Resources
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.extras.accelerators import T4

from galaxyloop.errors import ChangedImageError, StorageError
from tasks.local_run import is_in_pod

CPU_IMAGE = "{{.image.cpu.fqn}}:{{.image.cpu.version}}"
"""Named image for tasks on tables, and for workflows that are made at run time."""
GPU_IMAGE = "{{.image.gpu.fqn}}:{{.image.gpu.version}}"
"""Named image for tasks that train or predict."""
ACCELERATOR = T4
"""The GPU of the tasks that have one: they run on nodes that are labelled with its name."""
WIRING = Resources(cpu=("1", "2"), mem=("4Gi", "4Gi"))
"""What workflows ask for that are made at run time, and what they may have at most: each of these
settings holds first the one, then the other."""
TABLES = Resources(cpu=("2", "4"), mem=("8Gi", "8Gi"), ephemeral_storage=("20Gi", "500Gi"))
"""What tasks on tables ask for."""
CUTOUTS = Resources(cpu=("4", "8"), mem=("8Gi", "8Gi"), ephemeral_storage=("40Gi", "500Gi"))
"""What cutting out asks for: decoding scales with cores."""
NETWORK = Resources(
    cpu=("8", "16"), mem=("32Gi", "32Gi"), gpu=("1", "1"), ephemeral_storage=("100Gi", "500Gi")
)
"""What training and prediction ask for; the cutouts lie on the disk of the pod."""
VECTORS = Resources(cpu=("2", "4"), mem=("32Gi", "32Gi"), ephemeral_storage=("40Gi", "500Gi"))
"""What tasks ask for that hold the representations of a whole survey."""
RETRIES = 3
"""Attempts after the first, used only for what can pass on a second try."""

CODE_VERSIONS = {
    "cut_out_chunk": "4",
    "pretrain_supervised": "5",
    "pretrain_byol": "3",
    "pretrain_hybrid": "4",
    "evaluate": "5",
    "predict_shard": "4",
    "finetune": "4",
    "evaluate_finetuned": "4",
    "predict_labels": "4",
    "represent_shard": "3",
    "join_representations": "1",
    "make_random_encoder": "2",
    "run_cells": "4",
}
"""Raise a task's number whenever what it computes from the same inputs changes."""


LABELLED = ("survey", "shards", "votes", "splits")
"""Inputs that ``data_digest`` stands for in the key of a task that learns from labels."""
IMAGES = ("survey", "shards", "splits")
"""Inputs that ``images_digest`` stands for in the key of a task that learns from images."""


def cached(task_name: str, ignored: tuple[str, ...] = ()) -> Cache:
    """The cache setting of a task: keyed on content, config and its explicit code version.

    Args:
        task_name: one of ``CODE_VERSIONS``.
        ignored: inputs left out of the key, because they change no result, or because another
            input is a digest of what the task uses of them.
    """
    return Cache(version=CODE_VERSIONS[task_name], serialize=True, ignored_inputs=ignored)


def with_pixels(digest: str) -> str:
    """A digest of galaxies with the version of the code that made their cutouts."""
    return f"{digest}-{CODE_VERSIONS['cut_out_chunk']}"


@contextmanager
def retrying_storage() -> Iterator[None]:
    """Let the cluster try again when storage or the network failed; nothing else is retried."""
    try:
        yield
    except StorageError as error:
        if is_in_pod() and not isinstance(error, ChangedImageError):
            raise FlyteRecoverableException(str(error)) from error
        raise
