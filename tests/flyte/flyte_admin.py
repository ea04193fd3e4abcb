# ruff: noqa: ANN401 - the messages of gRPC have no types
"""A stand-in for a cluster's FlyteAdmin: what is registered, checked as the real one does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from flyteidl.admin import execution_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core.identifier_pb2 import Identifier, WorkflowExecutionIdentifier
from flyteidl.service import admin_pb2_grpc

from containers.register import messages_in

PAGE = 7
"""Entities in a page of a list: few, so that lists have several."""
Key = tuple[str, str, str, str]


def key_of(name: Identifier) -> Key:
    return name.project, name.domain, name.name, name.version


@dataclass
class FlyteAdmin(admin_pb2_grpc.AdminServiceServicer):
    """Keeps what it is told; ``breaks_after`` creations it goes away."""

    projects: tuple[str, ...] = ("galaxyloop",)
    breaks_after: int = -1
    is_locked: bool = False
    tasks: dict[Key, Any] = field(default_factory=dict)
    workflows: dict[Key, Any] = field(default_factory=dict)
    plans: dict[Key, Any] = field(default_factory=dict)
    active: dict[str, str] = field(default_factory=dict)
    executions: list[Any] = field(default_factory=list)

    @property
    def n_entities(self) -> int:
        return len(self.tasks) + len(self.workflows) + len(self.plans)

    def _create(self, kept: dict[Key, Any], request: Any, context: grpc.ServicerContext) -> None:
        self._let_in(context)
        key = key_of(request.id)
        if key[0] not in self.projects:
            context.abort(grpc.StatusCode.NOT_FOUND, f"project {key[0]} not found")
        if key in kept and kept[key] != request.spec:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{key[2]} differs")
        if key in kept:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"{key[2]} is there")
        if self.breaks_after == self.n_entities:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the cluster is gone")
        written = str(request)
        assert written.count("resource_type:") == written.count(f'project: "{key[0]}"'), key
        known = self.tasks | self.workflows
        for message in messages_in(request.spec):
            if isinstance(message, Identifier) and message.name != key[2]:
                assert key_of(message) in known, f"{key[2]} needs {message.name}, not yet there"
        kept[key] = request.spec

    def _let_in(self, context: grpc.ServicerContext) -> None:
        if self.is_locked:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")

    def _page(self, kept: dict[Key, Any], request: Any) -> tuple[list[Identifier], str]:
        version = request.filters.removeprefix("eq(version,").removesuffix(")")
        found = [
            Identifier(project=key[0], domain=key[1], name=key[2], version=key[3])
            for key in sorted(kept)
            if key[:2] == (request.id.project, request.id.domain)
            and (not request.id.name or key[2] == request.id.name)
            and (not version or key[3] == version)
        ]
        first = int(request.token or 0)
        page = found[first : first + PAGE]
        return page, str(first + PAGE) if first + PAGE < len(found) else ""

    def CreateTask(self, request: Any, context: Any) -> Any:
        self._create(self.tasks, request, context)
        return task_pb2.TaskCreateResponse()

    def CreateWorkflow(self, request: Any, context: Any) -> Any:
        self._create(self.workflows, request, context)
        return workflow_pb2.WorkflowCreateResponse()

    def CreateLaunchPlan(self, request: Any, context: Any) -> Any:
        self._create(self.plans, request, context)
        return launch_plan_pb2.LaunchPlanCreateResponse()

    def ListTasks(self, request: Any, context: Any) -> Any:
        self._let_in(context)
        names, token = self._page(self.tasks, request)
        return task_pb2.TaskList(tasks=[task_pb2.Task(id=name) for name in names], token=token)

    def ListWorkflows(self, request: Any, context: Any) -> Any:
        names, token = self._page(self.workflows, request)
        found = [workflow_pb2.Workflow(id=name) for name in names]
        return workflow_pb2.WorkflowList(workflows=found, token=token)

    def ListLaunchPlans(self, request: Any, context: Any) -> Any:
        names, token = self._page(self.plans, request)
        found = [self._plan(name) for name in names]
        return launch_plan_pb2.LaunchPlanList(launch_plans=found, token=token)

    def GetLaunchPlan(self, request: Any, context: Any) -> Any:
        if key_of(request.id) not in self.plans:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.id.name}")
        return self._plan(request.id)

    def GetActiveLaunchPlan(self, request: Any, context: Any) -> Any:
        name = request.id
        if name.name not in self.active:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{name.name} is not active")
        version = self.active[name.name]
        key = Identifier(project=name.project, domain=name.domain, name=name.name, version=version)
        return self._plan(key)

    def UpdateLaunchPlan(self, request: Any, context: Any) -> Any:
        if request.state == launch_plan_pb2.ACTIVE:
            self.active[request.id.name] = request.id.version
        else:
            self.active.pop(request.id.name, None)
        return launch_plan_pb2.LaunchPlanUpdateResponse()

    def GetWorkflow(self, request: Any, context: Any) -> Any:
        spec = self.workflows[key_of(request.id)]
        written = workflow_pb2.Workflow(id=request.id)
        compiled = written.closure.compiled_workflow
        compiled.primary.template.CopyFrom(spec.template)
        for template in spec.sub_workflows:
            compiled.sub_workflows.add().template.CopyFrom(template)
        for workflow in (spec.template, *spec.sub_workflows):
            for node in workflow.nodes:
                if node.HasField("task_node"):
                    task = self.tasks[key_of(node.task_node.reference_id)]
                    compiled.tasks.add().template.CopyFrom(task.template)
        return written

    def CreateExecution(self, request: Any, context: Any) -> Any:
        self.executions.append(request)
        name = WorkflowExecutionIdentifier(
            project=request.project, domain=request.domain, name=f"run{len(self.executions)}"
        )
        return execution_pb2.ExecutionCreateResponse(id=name)

    def GetExecution(self, request: Any, context: Any) -> Any:
        return execution_pb2.Execution(id=request.id)

    def _plan(self, name: Identifier) -> Any:
        spec = self.plans[key_of(name)]
        interface = self.workflows[key_of(spec.workflow_id)].template.interface
        written = launch_plan_pb2.LaunchPlan(id=name, spec=spec)
        written.closure.expected_inputs.CopyFrom(spec.default_inputs)
        written.closure.expected_outputs.CopyFrom(interface.outputs)
        return written


@contextmanager
def running_admin(admin: FlyteAdmin) -> Iterator[dict[str, str]]:
    """Serves on a free port of this machine; gives the environment that leads there."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield {"FLYTE_PLATFORM_URL": f"127.0.0.1:{port}", "FLYTE_PLATFORM_INSECURE": "true"}
    finally:
        server.stop(grace=None).wait()
