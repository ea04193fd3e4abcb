"""What a cluster is told at registration: tasks, workflows and launch plans, from an archive."""

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from flyteidl.admin.launch_plan_pb2 import LaunchPlan, LaunchPlanSpec
from flyteidl.admin.task_pb2 import TaskSpec
from flyteidl.admin.workflow_pb2 import WorkflowSpec
from flyteidl.core.tasks_pb2 import TaskTemplate

PROJECT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Registration:
    """What is registered, by name."""

    tasks: dict[str, TaskTemplate] = field(default_factory=dict)
    workflows: dict[str, WorkflowSpec] = field(default_factory=dict)
    plans: dict[str, LaunchPlanSpec] = field(default_factory=dict)


def package(folder: Path, *options: str) -> Path:
    """Write the archive of all workflows, as a person does; offline."""
    archive = folder / "workflows.tgz"
    images = ("--image", "example.org/cpu:v1")
    images += ("--image", "cpu=example.org/cpu:v1", "--image", "gpu=example.org/gpu:v1")
    command = [str(PROGRAMS / "pyflyte"), "--pkgs", "workflows", "package", *images]
    command += ["--source", str(PROJECT), "--force", "--output", str(archive), *options]
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return archive


def read_archive(archive: Path) -> Registration:
    """Unpack an archive; the end of a file's name says what is in it."""
    read = Registration()
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            kind = member.name.removesuffix(".pb").rsplit("_", 1)[-1]
            if file is None or not member.name.endswith(".pb"):
                continue
            content = file.read()
            if kind == "1":
                task = TaskSpec.FromString(content).template
                read.tasks[task.id.name] = task
            elif kind == "2":
                workflow = WorkflowSpec.FromString(content)
                read.workflows[workflow.template.id.name] = workflow
            else:
                plan = LaunchPlan.FromString(content)
                read.plans[plan.id.name] = plan.spec
    return read


def fast_registration(archive: Path, distribution: str) -> Registration:
    """The registration of an archive whose tasks fetch their code from an address first."""
    read = read_archive(archive)
    filled = {"{{ .remote_package_path }}": distribution, "{{ .dest_dir }}": "."}
    for task in read.tasks.values():
        task.container.args[:] = [filled.get(one, one) for one in task.container.args]
    return read


def read_distribution(archive: Path) -> tuple[str, bytes]:
    """Name and content of the code that a fast registration uploads."""
    with tarfile.open(archive) as tar:
        (member,) = (one for one in tar if one.name.endswith(".tar.gz"))
        file = tar.extractfile(member)
        assert file is not None
        return Path(member.name).name, file.read()
