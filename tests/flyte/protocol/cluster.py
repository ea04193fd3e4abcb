"""A cluster in small: walks compiled workflows node by node, and runs every task as a container.

What it does is what Flyte's propeller does: fill in the templates of a container's arguments, put
its inputs into the object store and look there for outputs, error and futures, bind outputs to
inputs, call sub-workflows and launch plans, walk what a dynamic task made, map, cache, try again.
"""

import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from flyteidl.core.dynamic_job_pb2 import DynamicJobSpec
from flyteidl.core.literals_pb2 import Binding, LiteralMap
from flyteidl.core.tasks_pb2 import TaskTemplate
from flyteidl.core.workflow_pb2 import Node, WorkflowTemplate

from tests.flyte.protocol.attempts import Ended, Where, function_of, look, pod_of
from tests.flyte.protocol.literals import (
    NOTHING,
    Literals,
    cache_key,
    listed,
    literals_of,
    resolve,
)
from tests.flyte.protocol.pods import Eviction, Pod, stays
from tests.flyte.protocol.registration import Registration
from tests.flyte.protocol.storage import ObjectStore

LOST_PODS = 3
"""How often a pod that was lost is started again, apart from the task's own retries."""


class Runner(Protocol):
    """Runs a pod to its end."""

    def run(self, pod: Pod, is_evicted: Eviction = stays) -> int: ...


class TaskFailedError(Exception):
    """A task that no further attempt will mend."""


@dataclass(frozen=True)
class Graph:
    """Nodes, and what they refer to."""

    nodes: Iterable[Node]
    outputs: Iterable[Binding]
    tasks: Mapping[str, TaskTemplate]
    inner: Mapping[str, WorkflowTemplate]

    def within(self, name: str) -> "Graph":
        """The graph of a sub-workflow."""
        workflow = self.inner[name]
        return Graph(workflow.nodes, workflow.outputs, self.tasks, self.inner)


@dataclass
class Cluster:
    """What is registered, where objects lie, and who runs pods."""

    registration: Registration
    store: ObjectStore
    runner: Runner
    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    """What the operators set in every pod."""
    is_evicted: Eviction = stays
    """Whether a running pod's node goes away now."""
    attempts: list[Ended] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    """Tasks that were found in the cache."""
    _cache: dict[str, Literals] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def ran(self) -> set[str]:
        """Tasks that some pod has run to a good end."""
        return {ended.pod.task for ended in self.attempts if ended.is_done}

    def last(self, task_name: str) -> Ended:
        """The last attempt at a task."""
        return next(one for one in reversed(self.attempts) if one.pod.task == task_name)

    def execute(self, plan_name: str, **inputs: object) -> Literals:
        """Start a launch plan, as a person or the schedule does; its workflow's outputs."""
        plan = self.registration.plans[plan_name]
        name = plan.workflow_id.name
        workflow = self.registration.workflows[name]
        given = {
            key: parameter.default
            for key, parameter in plan.default_inputs.parameters.items()
            if parameter.WhichOneof("behavior") == "default"
        }
        given |= literals_of(name, inputs) | dict(plan.fixed_inputs.literals)
        wanted = set(workflow.template.interface.inputs.variables)
        assert set(given) == wanted, f"{plan_name}: {sorted(set(given) ^ wanted)}"
        inner = {one.id.name: one for one in workflow.sub_workflows}
        template = workflow.template
        graph = Graph(template.nodes, template.outputs, self.registration.tasks, inner)
        return self._walk(graph, given, f"f{next(self._numbers)}")

    def execute_task(self, task_name: str, **inputs: object) -> Literals:
        """Start one task alone."""
        task = self.registration.tasks[task_name]
        return self._run_task(task, literals_of(task_name, inputs), f"f{next(self._numbers)}/n0")

    def _walk(self, graph: Graph, inputs: Literals, place: str) -> Literals:
        """Run a graph's nodes, each once those before it are done."""
        done = {"": inputs, "start-node": inputs}
        waiting = list(graph.nodes)
        while waiting:
            node = next(one for one in waiting if set(one.upstream_node_ids) <= set(done))
            waiting.remove(node)
            bound = {one.var: resolve(one.binding, done) for one in node.inputs}
            done[node.id] = self._run_node(node, graph, bound, f"{place}/{node.id}")
        return {one.var: resolve(one.binding, done) for one in graph.outputs}

    def _run_node(self, node: Node, graph: Graph, inputs: Literals, place: str) -> Literals:
        kind = node.WhichOneof("target")
        if kind == "task_node":
            return self._run_task(graph.tasks[node.task_node.reference_id.name], inputs, place)
        if kind == "array_node":
            return self._map(node, graph, inputs, place)
        assert kind == "workflow_node", f"there is no walking a {kind}"
        target = node.workflow_node
        if target.WhichOneof("reference") == "launchplan_ref":
            return self.execute(target.launchplan_ref.name, **inputs)
        return self._walk(graph.within(target.sub_workflow_ref.name), inputs, place)

    def _map(self, node: Node, graph: Graph, inputs: Literals, place: str) -> Literals:
        """Run a task once an item; a gap in the list for each item that failed."""
        array = node.array_node
        task = graph.tasks[array.node.task_node.reference_id.name]
        mapped = {
            name: value.collection.literals
            for name, value in inputs.items()
            if value.WhichOneof("value") == "collection" and name not in array.bound_inputs
        }
        (n_items,) = {len(items) for items in mapped.values()}
        names = list(task.interface.outputs.variables)
        results: list[Literals] = []
        failures = []
        for item in range(n_items):
            own = inputs | {name: items[item] for name, items in mapped.items()}
            try:
                results.append(self._run_task(task, inputs, place, (item, own)))
            except TaskFailedError as error:
                results.append(dict.fromkeys(names, NOTHING))
                failures.append(str(error))
        needed = n_items
        if array.WhichOneof("success_criteria") == "min_success_ratio":
            needed = math.ceil(array.min_success_ratio * n_items)
        if n_items - len(failures) < needed:
            raise TaskFailedError("\n".join(failures))
        return {name: listed(*(one[name] for one in results)) for name in names}

    def _run_task(
        self,
        task: TaskTemplate,
        inputs: Literals,
        place: str,
        item: tuple[int, Literals] | None = None,
    ) -> Literals:
        """The task's outputs, from the cache or from as many attempts as it takes.

        Args:
            task: as registered, or as a dynamic task made it.
            inputs: as its pod reads them.
            place: execution and node.
            item: of a mapped task: number, and the inputs that are its own.
        """
        number, own = item or (None, inputs)
        key = cache_key(task, own)
        if task.metadata.discoverable and key in self._cache:
            self.hits.append(function_of(task))
            return self._cache[key]
        content = LiteralMap(literals=inputs).SerializeToString()
        self.store.put(Where(place, number, 0).inputs(self.store), content)
        ended = self._persist(task, place, number)
        outputs = ended.outputs
        if ended.futures is not None:
            outputs = self._walk(_graph_of(ended.futures), inputs, f"{place}/{ended.pod.attempt}")
        assert outputs is not None
        assert set(outputs) == set(task.interface.outputs.variables)
        if task.metadata.discoverable:
            self._cache[key] = outputs
        return outputs

    def _persist(self, task: TaskTemplate, place: str, item: int | None) -> Ended:
        """Try until the task ends well or its retries are used up."""
        own_retries, lost_pods = task.metadata.retries.retries, LOST_PODS
        for attempt in count():
            where = Where(place, item, attempt)
            folder = self.root / f"pod-{len(self.attempts)}"
            (folder / "tmp").mkdir(parents=True)
            pod = pod_of(task, where, self.store, folder, self.environment)
            code = self.runner.run(pod, self.is_evicted)
            shutil.rmtree(folder)
            ended = look(pod, code, self.store, where)
            self.attempts.append(ended)
            if ended.is_done:
                return ended
            own_retries -= not ended.is_lost
            lost_pods -= ended.is_lost
            if not ended.may_pass or min(own_retries, lost_pods) < 0:
                raise TaskFailedError(ended.message)
        raise AssertionError


def _graph_of(made: DynamicJobSpec) -> Graph:
    """What a dynamic task made."""
    tasks = {task.id.name: task for task in made.tasks}
    inner = {workflow.id.name: workflow for workflow in made.subworkflows}
    return Graph(made.nodes, made.outputs, tasks, inner)
