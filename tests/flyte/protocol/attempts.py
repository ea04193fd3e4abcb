"""One attempt at a task: its pod as the cluster makes it, and what the pod leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flyteidl.core.dynamic_job_pb2 import DynamicJobSpec
from flyteidl.core.errors_pb2 import ContainerError, ErrorDocument
from flyteidl.core.execution_pb2 import ExecutionError
from flyteidl.core.literals_pb2 import LiteralMap
from flyteidl.core.tasks_pb2 import TaskTemplate

from tests.flyte.protocol.literals import Literals
from tests.flyte.protocol.pods import Pod, base_environment
from tests.flyte.protocol.storage import ObjectStore

_ITEM = "FLYTE_K8S_ARRAY_INDEX"


@dataclass(frozen=True)
class Where:
    """Where an attempt belongs: execution and node, an item of a map or none, and its number."""

    place: str
    item: int | None
    attempt: int

    def __str__(self) -> str:
        """For messages."""
        return self.place if self.item is None else f"{self.place}[{self.item}]"

    def inputs(self, store: ObjectStore) -> str:
        return f"{store.address}/metadata/{self.place}/data/inputs.pb"

    def outputs(self, store: ObjectStore) -> str:
        item = "" if self.item is None else f"{self.item}/"
        return f"{store.address}/metadata/{self.place}/data/{item}{self.attempt}"

    def raw(self, store: ObjectStore, attempt: int) -> str:
        """Where an attempt puts its files; apart from every other's."""
        return f"{store.address}/raw/{self.place.replace('/', '-')}-{self.item or 0}-{attempt}"

    def checkpoint(self, store: ObjectStore, attempt: int) -> str:
        """Where an attempt saves its state; the one before the first has no place."""
        return f"{self.raw(store, attempt)}/_flytecheckpoints" if attempt >= 0 else '""'


@dataclass
class Ended:
    """How an attempt ended, and what it left at its output prefix."""

    pod: Pod
    code: int
    log: str
    output_prefix: str
    outputs: Literals | None = None
    futures: DynamicJobSpec | None = None
    error: ContainerError | None = None

    @property
    def is_done(self) -> bool:
        return self.outputs is not None or self.futures is not None

    @property
    def is_lost(self) -> bool:
        """Whether the system failed, not the task."""
        return self.error is None or self.error.origin == ExecutionError.ErrorKind.SYSTEM

    @property
    def may_pass(self) -> bool:
        """Whether another attempt could go better."""
        return self.error is None or self.error.kind == ContainerError.Kind.RECOVERABLE

    @property
    def message(self) -> str:
        said = self.error.message if self.error else f"exit code {self.code}\n{self.log[-3000:]}"
        return f"{self.pod.place} ({self.pod.task}), attempt {self.pod.attempt}: {said}"


def function_of(task: TaskTemplate) -> str:
    """The function that a container's command line names."""
    arguments = list(task.container.args)
    module = arguments[arguments.index("task-module") + 1]
    return f"{module}.{arguments[arguments.index('task-name') + 1]}"


def pod_of(
    task: TaskTemplate,
    where: Where,
    store: ObjectStore,
    folder: Path,
    environment: Mapping[str, str],
) -> Pod:
    """The container with its templates filled in.

    Args:
        task: as registered, or as a dynamic task made it.
        where: which attempt.
        store: the cluster's.
        folder: the pod's disk.
        environment: what the operators set in every pod.
    """
    checkpoint = where.checkpoint(store, where.attempt)
    filled = {
        "{{.input}}": where.inputs(store),
        "{{.outputPrefix}}": where.outputs(store),
        "{{.rawOutputDataPrefix}}": where.raw(store, where.attempt),
        "{{.checkpointOutputPrefix}}": checkpoint,
        "{{.prevCheckpointPrefix}}": where.checkpoint(store, where.attempt - 1),
    }
    own = {one.key: one.value for one in task.container.env}
    told = {
        "FLYTE_INTERNAL_EXECUTION_ID": where.place.split("/")[0],
        "FLYTE_INTERNAL_EXECUTION_PROJECT": "galaxies",
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development",
        "FLYTE_INTERNAL_TASK_PROJECT": "galaxies",
        "FLYTE_INTERNAL_TASK_DOMAIN": "development",
        "FLYTE_INTERNAL_TASK_NAME": task.id.name,
        "FLYTE_INTERNAL_TASK_VERSION": "v1",
        "FLYTE_ATTEMPT_NUMBER": str(where.attempt),
    }
    if where.item is not None:
        told |= {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": _ITEM, _ITEM: str(where.item)}
    return Pod(
        place=str(where),
        task=function_of(task),
        attempt=where.attempt,
        command=[filled.get(argument, argument) for argument in task.container.args],
        environment=base_environment(folder) | store.environment() | dict(environment) | own | told,
        folder=folder,
        checkpoint=checkpoint,
    )


def look(pod: Pod, code: int, store: ObjectStore, where: Where) -> Ended:
    """What a pod left: an error counts above all, outputs only with exit code 0."""
    log = pod.log.read_text(errors="replace")
    ended = Ended(pod, code, log, where.outputs(store))
    if (error := store.get(f"{ended.output_prefix}/error.pb")) is not None:
        ended.error = ErrorDocument.FromString(error).error
    elif code == 0:
        futures = store.get(f"{ended.output_prefix}/futures.pb")
        outputs = store.get(f"{ended.output_prefix}/outputs.pb")
        if futures is not None:
            ended.futures = DynamicJobSpec.FromString(futures)
        elif outputs is not None:
            ended.outputs = dict(LiteralMap.FromString(outputs).literals)
    return ended
