"""Images, resources, retries and code versions: one place for what the cluster must know."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flytekit import Cache, Resources
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.extras.accelerators import T4

from galaxyloop.config import require
from galaxyloop.errors import ChangedImageError, StorageError
from tasks.local_run import is_in_pod


def read_count(name: str) -> int:
    """A number from the environment; 1 if it is not set.

    Raises:
        ConfigError: it is no whole number above 0.
    """
    told = os.environ.get(name, "1")
    is_count = told.isdecimal() and int(told) > 0
    require(is_count, f"{name} must be a whole number above 0, got '{told}'; set it or unset it")
    return int(told)


NODES = read_count("GALAXYLOOP_NODES")
"""Machines that a training runs on; read when the tasks are packaged, and written into them."""
PROCESSES = read_count("GALAXYLOOP_PROCESSES")
"""Processes of a training on each machine, each with a GPU; read likewise."""
CARRIED = None
"""What tasks must find in their environment so that they are there what they were packaged as;
also those that name a training at run time."""
if NODES * PROCESSES > 1:
    CARRIED = {"GALAXYLOOP_NODES": str(NODES), "GALAXYLOOP_PROCESSES": str(PROCESSES)}

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
TRAINING = Resources(
    cpu=(str(8 * PROCESSES), str(16 * PROCESSES)),
    mem=(f"{32 * PROCESSES}Gi", f"{32 * PROCESSES}Gi"),
    gpu=(str(PROCESSES), str(PROCESSES)),
    ephemeral_storage=("100Gi", "500Gi"),
)
"""What a training asks for on each machine: as much for each process, which share the disk."""
VECTORS = Resources(cpu=("2", "4"), mem=("32Gi", "32Gi"), ephemeral_storage=("40Gi", "500Gi"))
"""What tasks ask for that hold the representations of a whole survey."""
RETRIES = 3
"""Attempts after the first, used only for what can pass on a second try."""

CODE_VERSIONS = {
    "cut_out_chunk": "4",
    "pretrain_supervised": "6",
    "pretrain_byol": "4",
    "pretrain_hybrid": "5",
    "calibrate": "1",
    "evaluate": "8",
    "predict_shard": "4",
    "finetune": "5",
    "evaluate_finetuned": "4",
    "predict_labels": "4",
    "represent_shard": "3",
    "join_representations": "1",
    "make_random_encoder": "3",
    "run_cells": "4",
    "run_scaling_cell": "1",
    "play_loop_cell": "2",
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


def together() -> dict[str, Any]:
    """How a training's task is told to start several processes; nothing if one is enough.

    On one machine torch's launcher runs inside the task's pod; on several they are a job of
    Kubeflow's training operator. The first process's result is the task's.
    """
    if NODES * PROCESSES == 1:
        return {}
    from flytekitplugins.kfpytorch import Elastic

    # Pods start when images are there and nodes are free, some much later than others.
    waiting = {"timeout": 900, "join_timeout": 900, "read_timeout": 900}
    elastic = Elastic(NODES, PROCESSES, monitor_interval=1, rdzv_configs=waiting)
    return {"task_config": elastic, "environment": CARRIED}


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
