"""What cached tasks of dynamic workflows are keyed on, on a cluster: content, never an address."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pandas as pd
import pytest
from flytekit.core.constants import GLOBAL_INPUT_NODE_ID
from flytekit.core.python_function_task import PythonFunctionTask
from flytekit.models.core.workflow import Node
from flytekit.models.dynamic_job import DynamicJobSpec
from flytekit.models.literals import BindingData
from flytekit.models.task import TaskTemplate

import workflows
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.vote_tables.settings import VoteSource
from schemas.artefacts import Artefact
from schemas.model_version import ModelVersion
from schemas.splits import KeyedSplits
from tests.workflows.test_fan_out import compile_on_cluster
from workflows.label_efficiency import STANDARD

DYNAMICS = {
    value.name: value
    for module in pkgutil.iter_modules(workflows.__path__)
    for value in vars(importlib.import_module(f"workflows.{module.name}")).values()
    if isinstance(value, PythonFunctionTask)
    and value.execution_mode == PythonFunctionTask.ExecutionBehavior.DYNAMIC
}
SPLITS = pd.DataFrame({"id_str": ["g"], "group_id": ["g"], "split": ["train"], "fold": [0]})
SPECIAL: dict[Any, Any] = {
    KeyedSplits: SPLITS,
    CatalogueRecord: CatalogueRecord("s", ["c"], "{}"),
    ModelVersion: ModelVersion("toy", "1", "c", "run", "registry"),
    VoteSource: VoteSource("votes.csv", "gz2"),
    LabelEfficiencyConfig: LabelEfficiencyConfig(STANDARD.arms[:2], n_draws=1),
    str: "",
    int: 3,
    bool: False,
}


def example(kind: object, root: Path) -> object:
    """A value of a type; of an artefact, a directory."""
    if kind in SPECIAL:
        return SPECIAL[kind]
    if get_origin(kind) is Annotated:
        return example(get_args(kind)[0], root)
    if get_origin(kind) is list:
        return [example(get_args(kind)[0], root) for _ in range(2)]
    if inspect.isclass(kind) and issubclass(kind, Artefact):
        place = root / f"{kind.kind}-{len(list(root.iterdir()))}"
        place.mkdir()
        return kind(str(place), place.name)
    return kind()


def addresses(node: Node, outer: set[str]) -> Iterator[str]:
    """Inputs of a node that are bound to a place, not to another node's result.

    Args:
        node: of a workflow.
        outer: the workflow's own inputs that are.
    """
    for binding in node.inputs:
        if _is_address(binding.binding, outer):
            yield binding.var


def _is_address(data: BindingData, outer: set[str]) -> bool:
    if data.collection is not None:
        return any(_is_address(item, outer) for item in data.collection.bindings)
    if data.promise is not None:
        return data.promise.node_id == GLOBAL_INPUT_NODE_ID and data.promise.var in outer
    scalar = data.scalar
    return scalar is not None and (scalar.blob or scalar.structured_dataset) is not None


def keyed_on_addresses(spec: DynamicJobSpec) -> Iterator[str]:
    """Inputs in the keys of cached tasks that are places."""
    tasks = {task.id: task for task in spec.tasks}
    inner = {one.id: one for one in spec.subworkflows}

    def look(nodes: list[Node], outer: set[str]) -> Iterator[str]:
        for node in nodes:
            found = set(addresses(node, outer))
            if node.workflow_node is not None:
                yield from look(inner[node.workflow_node.sub_workflow_ref].nodes, found)
                continue
            run = node if node.array_node is None else node.array_node.node
            task: TaskTemplate = tasks[run.task_node.reference_id]
            if task.metadata.discoverable:
                ignored = set(task.metadata.cache_ignore_input_vars)
                yield from (f"{task.id.name}: {name}" for name in sorted(found - ignored))

    return look(spec.nodes, set())


@pytest.mark.parametrize("name", DYNAMICS)
def test_dynamic_workflows__key_no_task_on_an_address(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamic = DYNAMICS[name]
    inputs = {key: example(kind, tmp_path) for key, kind in dynamic.python_interface.inputs.items()}
    spec = compile_on_cluster(dynamic, inputs, monkeypatch)
    assert isinstance(spec, DynamicJobSpec)
    assert list(keyed_on_addresses(spec)) == []


def test_dynamic_workflows__are_all_looked_at() -> None:
    looked_at = set(DYNAMICS)
    assert {"workflows.embed.represent_shards", "workflows.finetune.finetune_rounds"} <= looked_at
