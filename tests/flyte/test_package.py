"""What a cluster is told: every entity of the package that ``make package`` writes, offline."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flyteidl.core.tasks_pb2 import Resources
from flyteidl.core.types_pb2 import SimpleType
from kubernetes.utils import parse_quantity

from containers.register import Entity, main, read_package
from tasks.resources import CODE_VERSIONS, RETRIES
from tests.flyte.flyte_admin import FlyteAdmin, key_of, running_admin

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
REGISTRY = "registry.example.org/galaxies"
CPU, GPU = f"{REGISTRY}/galaxyloop-cpu:7", f"{REGISTRY}/galaxyloop-gpu:7"


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a person types, with this Python and nothing of theirs in the environment."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"REGISTRY", "VERSION", "MAKEFLAGS"} and not name.startswith("FLYTE_")
    }
    command = ["make", "--no-print-directory", "INSTALLED="]
    return subprocess.run(
        [*command, f"BIN={Path(sys.executable).parent}", *arguments],
        cwd=PROJECT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "galaxyloop.tgz"
    done = make("package", f"REGISTRY={REGISTRY}", "VERSION=7", f"PACKAGE={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.fixture(scope="module")
def entities(archive: Path) -> list[Entity]:
    return read_package(archive, "galaxyloop", "production", "7")


def of_kind(entities: list[Entity], kind: str) -> dict[str, Entity]:
    return {entity.id.name: entity for entity in entities if entity.kind.listed == kind}


@pytest.fixture(scope="module")
def tasks(entities: list[Entity]) -> dict[str, Entity]:
    return of_kind(entities, "tasks")


def amounts(stated: list[Resources.ResourceEntry]) -> dict[str, float]:
    return {
        Resources.ResourceName.Name(one.name): float(parse_quantity(one.value)) for one in stated
    }


def test_package__holds_every_task_and_workflow_of_the_code(entities: list[Entity]) -> None:
    defined = {"tasks": set(), "workflows": set()}
    for folder in ("tasks", "workflows"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            module = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
            for line in re.finditer(
                r"^@(task|dynamic|workflow)\b.*?^def (\w+)", path.read_text(), re.M | re.S
            ):
                kind = "workflows" if line[1] == "workflow" else "tasks"
                defined[kind].add(f"{module}.{line[2]}")
    assert len(defined["tasks"]) > 40
    assert set(of_kind(entities, "tasks")) == defined["tasks"]
    assert set(of_kind(entities, "workflows")) == defined["workflows"]
    assert set(of_kind(entities, "launch_plans")) > defined["workflows"]


def test_package__a_task_with_a_gpu_has_the_gpu_image_and_the_others_the_cpu_image(
    tasks: dict[str, Entity],
) -> None:
    for name, entity in tasks.items():
        template = entity.spec.template
        has_gpu = "GPU" in amounts(template.container.resources.requests)
        assert template.container.image == (GPU if has_gpu else CPU), name
        device = template.extended_resources.gpu_accelerator.device
        assert bool(device) == has_gpu, f"{name} must name its accelerator, and only if it has one"
    assert {entity.spec.template.container.image for entity in tasks.values()} == {CPU, GPU}


def test_package__every_task_states_what_it_needs(tasks: dict[str, Entity]) -> None:
    for name, entity in tasks.items():
        requests = amounts(entity.spec.template.container.resources.requests)
        limits = amounts(entity.spec.template.container.resources.limits)
        assert requests.get("CPU", 0) >= 1, name
        assert requests.get("MEMORY", 0) >= 2**30, name
        assert limits.keys() == requests.keys(), name
        assert all(limits[kind] >= asked for kind, asked in requests.items()), name
        assert limits["MEMORY"] == requests["MEMORY"], f"{name} may be killed for what it may have"
        assert limits.get("GPU") == requests.get("GPU"), f"{name}: Kubernetes shares no GPU"


def test_package__cache_versions_are_those_of_the_code(tasks: dict[str, Entity]) -> None:
    cached = {}
    for name, entity in tasks.items():
        metadata = entity.spec.template.metadata
        assert metadata.discoverable == bool(metadata.discovery_version), name
        if metadata.discoverable:
            assert metadata.cache_serializable, f"{name}: two runs would compute the same at once"
            assert entity.spec.template.interface.outputs.variables, f"{name} would never hit"
            ignored = set(metadata.cache_ignore_input_vars)
            assert ignored < set(entity.spec.template.interface.inputs.variables), name
            cached[name] = metadata.discovery_version
    assert sorted(cached.values()) == sorted(CODE_VERSIONS.values())
    for name, version in cached.items():
        assert version in {
            known for task, known in CODE_VERSIONS.items() if task.split("_")[0] in name
        }


def test_package__a_task_that_may_be_interrupted_is_tried_again(tasks: dict[str, Entity]) -> None:
    for name, entity in tasks.items():
        metadata = entity.spec.template.metadata
        assert metadata.retries.retries in {0, RETRIES}, name
        if metadata.interruptible:
            assert metadata.retries.retries == RETRIES, name


def test_package__what_is_never_hidden_behind_a_hit(tasks: dict[str, Entity]) -> None:
    kept = [name for name in tasks if name.startswith(("tasks.registry", "tasks.report"))]
    assert len(kept) >= 5
    for name in kept:
        assert not tasks[name].spec.template.metadata.discoverable, name


def test_package__every_container_runs_the_task_of_its_name(tasks: dict[str, Entity]) -> None:
    for name, entity in tasks.items():
        arguments = list(entity.spec.template.container.args)
        module, task = name.rsplit(".", 1)
        assert arguments[0] == "pyflyte-execute"
        assert arguments[-4:] == ["task-module", module, "task-name", task]


def test_package__everything_says_what_it_is(entities: list[Entity]) -> None:
    for kind in ("tasks", "workflows"):
        for name, entity in of_kind(entities, kind).items():
            assert entity.spec.description.short_description, f"{name} has no docstring"
    for name, entity in of_kind(entities, "workflows").items():
        for key, variable in entity.spec.template.interface.inputs.variables.items():
            assert variable.description not in {"", key}, f"{name} says nothing of {key}"


def test_package__a_schedule_runs_without_a_person(entities: list[Entity]) -> None:
    workflows = of_kind(entities, "workflows")
    scheduled = 0
    for name, entity in of_kind(entities, "launch_plans").items():
        plan = entity.spec
        inputs = workflows[plan.workflow_id.name].spec.template.interface.inputs.variables
        schedule = plan.entity_metadata.schedule
        assert set(plan.default_inputs.parameters) | set(plan.fixed_inputs.literals) == set(inputs)
        if not schedule.ByteSize():
            continue
        scheduled += 1
        assert plan.labels.values["galaxyloop/survey"] in name
        assert plan.max_parallelism > 0
        assert re.fullmatch(r"(\S+ ){4}\S+", schedule.cron_schedule.schedule), name
        required = {key for key, one in plan.default_inputs.parameters.items() if one.required}
        kickoff = schedule.kickoff_time_input_arg
        assert required == ({kickoff} if kickoff else set()), f"{name} would never start"
        if kickoff:
            assert inputs[kickoff].type.simple == SimpleType.DATETIME, name
    assert scheduled >= 6


@pytest.fixture
def nothing_written() -> Iterator[None]:
    before = set((PROJECT / "dist").glob("*"))
    yield
    assert set((PROJECT / "dist").glob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["VERSION=7"], "say where the images are kept: make package REGISTRY="),
        ([f"REGISTRY={REGISTRY}"], "say which version: make package VERSION="),
    ],
)
@pytest.mark.usefixtures("nothing_written")
def test_package__refuses_without_the_name_of_the_images(
    arguments: list[str], message: str
) -> None:
    done = make("package", *arguments)
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stderr


def register(archive: Path, where: dict[str, str], version: str = "7") -> tuple[int, str]:
    """As ``make register``, in this process."""
    arguments = [str(archive), "--project=galaxyloop", "--domain=production"]
    done = CliRunner(env=where).invoke(main, [*arguments, f"--version={version}"])
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, done.output


def test_register__registers_everything_once_and_switches_nothing_on(
    archive: Path, entities: list[Entity]
) -> None:
    admin = FlyteAdmin()
    with running_admin(admin) as where:
        done = make("register", "VERSION=7", f"PACKAGE={archive}", **where)
        assert done.returncode == 0, done.stdout + done.stderr
        told = done.stdout
        assert f"registered {len(entities)} of {len(entities)} entities" in told
        assert admin.n_entities == len(entities)
        assert not admin.active
        status, told = register(archive, where)
        assert status != 0
        assert "version 7 exists already in galaxyloop/production" in told
        status, told = register(archive, where, version="8")
        assert status == 0, told
    assert admin.n_entities == 2 * len(entities)


def test_register__completes_what_was_cut_off(archive: Path, entities: list[Entity]) -> None:
    admin = FlyteAdmin(breaks_after=len(entities) // 2)
    with running_admin(admin) as where:
        status, told = register(archive, where)
        assert status != 0
        assert "stopped in the middle" in told
        assert "the cluster is gone" in told
        assert admin.n_entities == len(entities) // 2
        admin.breaks_after = -1
        status, told = register(archive, where)
        assert status == 0, told
    assert admin.n_entities == len(entities)


def test_register__adds_nothing_to_a_version_of_another_package(
    archive: Path, entities: list[Entity]
) -> None:
    admin = FlyteAdmin()
    other = next(entity for entity in entities if entity.kind.listed == "tasks")
    spec = type(other.spec).FromString(other.spec.SerializeToString())
    spec.template.container.image = "another"
    admin.tasks[key_of(other.id)] = spec
    with running_admin(admin) as where:
        status, told = register(archive, where)
    assert status != 0
    assert "was registered from another package; nothing was added" in told
    assert admin.n_entities == 1


def test_register__refuses_what_it_cannot_reach(archive: Path, tmp_path: Path) -> None:
    nowhere = {"FLYTE_PLATFORM_URL": "127.0.0.1:9", "FLYTE_PLATFORM_INSECURE": "true"}
    status, told = register(archive, nowhere)
    assert status != 0
    assert "no Flyte cluster answers at 127.0.0.1:9 without TLS within 10 s" in told
    status, told = register(tmp_path / "absent.tgz", nowhere)
    assert status != 0
    assert "run make package VERSION=7" in told


@pytest.mark.parametrize(
    ("admin", "message"),
    [
        (FlyteAdmin(is_locked=True), "does not say what is registered"),
        (FlyteAdmin(projects=("another",)), "has no project 'galaxyloop'"),
    ],
)
def test_register__refuses_what_the_cluster_refuses(
    archive: Path, admin: FlyteAdmin, message: str
) -> None:
    with running_admin(admin) as where:
        status, told = register(archive, where)
    assert status != 0
    assert message in told
    assert admin.n_entities == 0
