"""Register a package at a Flyte cluster: everything of it, or nothing.

``make package`` writes the package without a cluster, ``make register`` calls this. Where the
cluster is, and who asks, flytekit reads from its own environment variables
(``FLYTE_PLATFORM_URL``, ``FLYTE_PLATFORM_INSECURE``, ``FLYTE_CREDENTIALS_*``).

Versions never change once they are registered, so what stands under a version is looked up first.
A registration that was cut off is completed, and what it left is compared with the package before
anything is added. Schedules are not switched on here.
"""

import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import grpc
from flyteidl.admin import common_pb2, launch_plan_pb2, task_pb2, workflow_pb2
from flyteidl.core.identifier_pb2 import Identifier
from flytekit.clients.auth.exceptions import AccessTokenNotFoundError, AuthenticationError
from flytekit.clients.raw import RawSynchronousFlyteClient
from flytekit.configuration import PlatformConfig
from flytekit.exceptions.base import FlyteException
from flytekit.exceptions.user import (
    FlyteEntityAlreadyExistsException,
    FlyteEntityNotExistException,
    FlyteInvalidInputException,
)
from google.protobuf.message import Message
from requests import RequestException

PATIENCE_S = 10
"""How long the cluster may take to answer at all [s]."""
PAGE = 500
NOT_ANSWERED = (FlyteException, AccessTokenNotFoundError, AuthenticationError, RequestException)
"""What flytekit raises where the cluster, or who keeps its passwords, gives no answer."""


@dataclass(frozen=True)
class Kind:
    """How one kind of entity is read, listed and created."""

    read: Callable[[bytes], Any]
    request: Callable[..., Any]
    create: str
    list_page: str
    listed: str


KINDS = {
    "1": Kind(
        task_pb2.TaskSpec.FromString,
        task_pb2.TaskCreateRequest,
        *("create_task", "list_tasks_paginated", "tasks"),
    ),
    "2": Kind(
        workflow_pb2.WorkflowSpec.FromString,
        workflow_pb2.WorkflowCreateRequest,
        *("create_workflow", "list_workflows_paginated", "workflows"),
    ),
    "3": Kind(
        launch_plan_pb2.LaunchPlan.FromString,
        launch_plan_pb2.LaunchPlanCreateRequest,
        *("create_launch_plan", "list_launch_plans_paginated", "launch_plans"),
    ),
}
"""By the digit that ends a file's name; in this order each refers only to those before it."""


@dataclass(frozen=True)
class Entity:
    """A task, workflow or launch plan with the name that it will have on the cluster."""

    kind: Kind
    id: Any
    spec: Any

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name."""
        return self.kind.listed, self.id.name


def messages_in(value: object) -> Iterator[Message]:
    """A message and every message inside it, in lists and maps too."""
    if isinstance(value, Message):
        yield value
        for _, inner in value.ListFields():
            yield from messages_in(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from messages_in(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for inner in value:
            yield from messages_in(inner)


def read_package(package: Path, project: str, domain: str, version: str) -> list[Entity]:
    """What a package holds: tasks, then workflows, then launch plans, all named in full.

    Args:
        package: what ``pyflyte package`` wrote; its names have no project, domain and version.
        project: project on the cluster.
        domain: domain on the cluster.
        version: version that everything gets.
    """
    entities = []
    with tarfile.open(package) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".pb")]
        for member in sorted(members, key=lambda one: (Path(one.name).stem[-1], one.name)):
            kind = KINDS[Path(member.name).stem[-1]]
            spec = kind.read(archive.extractfile(member).read())
            for message in messages_in(spec):
                if isinstance(message, Identifier):
                    message.project, message.domain, message.version = project, domain, version
            is_plan = kind is KINDS["3"]
            name = spec.id if is_plan else spec.template.id
            entities.append(Entity(kind, name, spec.spec if is_plan else spec))
    return entities


def connect() -> RawSynchronousFlyteClient:
    """A client of the cluster that the environment names, which has answered."""
    platform = PlatformConfig.auto()
    client = RawSynchronousFlyteClient(platform)
    try:
        grpc.channel_ready_future(client._channel).result(timeout=PATIENCE_S)
    except grpc.FutureTimeoutError:
        how = "without TLS" if platform.insecure else "with TLS"
        raise click.ClickException(
            f"no Flyte cluster answers at {platform.endpoint} {how} within {PATIENCE_S} s; "
            "FLYTE_PLATFORM_URL must be its host and gRPC port, without https://, and "
            "FLYTE_PLATFORM_INSECURE=true if it has no TLS"
        ) from None
    return client


def registered(
    client: RawSynchronousFlyteClient, project: str, domain: str, version: str
) -> set[tuple[str, str]]:
    """Kind and name of everything that stands under a version."""
    found = set()
    for kind in KINDS.values():
        token = ""
        while True:
            request = common_pb2.ResourceListRequest(
                id=common_pb2.NamedEntityIdentifier(project=project, domain=domain),
                filters=f"eq(version,{version})",
                limit=PAGE,
                token=token,
            )
            page = getattr(client, kind.list_page)(request)
            found |= {(kind.listed, one.id.name) for one in getattr(page, kind.listed)}
            token = page.token
            if not token:
                break
    return found


def create(client: RawSynchronousFlyteClient, entity: Entity) -> None:
    """Create an entity; nothing happens if the very same one stands already."""
    request = entity.kind.request(id=entity.id, spec=entity.spec)
    try:
        getattr(client, entity.kind.create)(request)
    except FlyteEntityAlreadyExistsException:
        return


def reason(error: BaseException) -> str:
    """Why the cluster gave no answer, on one line."""
    cause = error.__cause__
    if isinstance(cause, grpc.RpcError):
        return f"{cause.code().name} {cause.details()}"
    return " ".join(str(cause or error).split())


def register_all(
    client: RawSynchronousFlyteClient, entities: list[Entity], standing: set[tuple[str, str]]
) -> int:
    """Register what is missing; the number of entities that were.

    Args:
        client: of the cluster.
        entities: what the package holds.
        standing: what stands under its version already.

    Raises:
        click.ClickException: the version stands already, or was begun from another package.
    """
    name = entities[0].id
    there = [entity for entity in entities if entity.key in standing]
    if len(there) == len(entities):
        raise click.ClickException(
            f"version {name.version} exists already in {name.project}/{name.domain}, with all "
            f"{len(entities)} entities, and a version never changes; package under a new VERSION"
        )
    for entity in there:
        try:
            create(client, entity)
        except FlyteInvalidInputException:
            raise click.ClickException(
                f"version {name.version} exists already in {name.project}/{name.domain}: "
                f"{entity.id.name} was registered from another package; nothing was added, "
                "package under a new VERSION"
            ) from None
    missing = [entity for entity in entities if entity.key not in standing]
    for entity in missing:
        create(client, entity)
    return len(missing)


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--project", required=True, help="Project on the cluster.")
@click.option("--domain", required=True, help="Domain on the cluster.")
@click.option("--version", required=True, help="Version that everything gets.")
def main(package: Path, project: str, domain: str, version: str) -> None:
    """Register what `make package` wrote."""
    if not package.is_file():
        raise click.ClickException(f"there is no {package}; run make package VERSION={version}")
    entities = read_package(package, project, domain, version)
    client = connect()
    try:
        standing = registered(client, project, domain, version)
    except NOT_ANSWERED as error:
        raise click.ClickException(
            f"{client.url} does not say what is registered: {reason(error)}; are "
            "FLYTE_CREDENTIALS_CLIENT_ID, FLYTE_CREDENTIALS_CLIENT_SECRET and "
            "FLYTE_CREDENTIALS_AUTH_MODE right"
        ) from None
    try:
        n_added = register_all(client, entities, standing)
    except FlyteEntityNotExistException:
        raise click.ClickException(
            f"{client.url} has no project '{project}' with domain '{domain}'; create it first"
        ) from None
    except NOT_ANSWERED as error:
        raise click.ClickException(
            f"{client.url} stopped in the middle: {reason(error)}; nothing runs from version "
            f"{version} yet, and the same command completes it"
        ) from None
    click.echo(
        f"registered {n_added} of {len(entities)} entities in {project}/{domain} as {version}"
    )


if __name__ == "__main__":
    main()
