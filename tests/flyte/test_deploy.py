"""``docs/how_to/deploy.md``, run from top to bottom on a machine with no cluster.

``kubectl``, ``helm``, ``aws``, ``docker`` and ``openssl`` are stand-ins that write down how they
are called; Flyte is one that keeps what it is told. ``make`` and ``pyflyte`` are the real ones.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal

from galaxyloop.vote_tables.settings import VoteSource
from tests.flyte.flyte_admin import FlyteAdmin, running_admin
from tests.flyte.flyte_chart import CHART
from tests.flyte.kubernetes_schemas import read_manifests
from tests.flyte.test_deploy_manifests import DOCUMENT, FLYTE, MANIFESTS, PROJECT

pytestmark = pytest.mark.slow

STAND_IN = """#!{python}
import json, pathlib, sys
called = dict(program=pathlib.Path(sys.argv[0]).name, arguments=sys.argv[1:], files={{}})
for name in sys.argv[1:]:
    if pathlib.Path(name).is_file():
        called["files"][name] = pathlib.Path(name).read_text()
with open("{log}", "a") as log:
    log.write(json.dumps(called) + chr(10))
if called["program"] == "openssl":
    print("0123456789abcdef")
"""
OPTIONS = {
    "aws s3": set(),
    "docker build": {"--file", "--target", "--build-arg", "--tag"},
    "docker push": set(),
    "helm repo": set(),
    "helm upgrade": {"--install", "--namespace", "--version", "--values", "--wait"},
    "kubectl apply": {"--filename", "--server-side", "--kustomize"},
    "kubectl create": {"--namespace", "--from-literal"},
    "kubectl label": set(),
    "kubectl port-forward": {"--namespace"},
    "kubectl rollout": {"--namespace"},
    "kubectl taint": set(),
    "openssl rand": {"-hex"},
}
"""The options that may be used, of each program's first word."""
KUBECTL = {
    "kubectl create": "kubectl create secret generic",
    "kubectl rollout": "kubectl rollout status",
}
"""Whose help says so where it is not that of the first word."""


@dataclass(frozen=True)
class Call:
    """How a stand-in was called, and what was in the files that it was given."""

    program: str
    arguments: list[str]
    files: dict[str, str]

    def all_of(self, option: str) -> list[str]:
        """The values that an option was given."""
        pairs = zip(self.arguments, self.arguments[1:], strict=False)
        spaced = [value for name, value in pairs if name == option]
        joined = [one.split("=", 1)[1] for one in self.arguments if one.startswith(f"{option}=")]
        return spaced + joined

    def starts(self, *words: str) -> bool:
        return [self.program, *self.arguments][: len(words)] == list(words)


@dataclass(frozen=True)
class Deployment:
    """What running the document left."""

    calls: list[Call]
    admin: FlyteAdmin
    told: str
    folder: Path

    def of(self, *words: str) -> list[Call]:
        found = [call for call in self.calls if call.starts(*words)]
        assert found, f"the document never calls {' '.join(words)}"
        return found


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)


def prepare(folder: Path, log: Path) -> dict[str, str]:
    """A folder that looks like the checkout, and an environment where others' programs are not."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("kubectl", "helm", "aws", "docker", "openssl"):
        (programs / name).write_text(STAND_IN.format(python=sys.executable, log=log))
        (programs / name).chmod(0o755)
    (programs / "make").write_text(f'#!/bin/sh\nexec /usr/bin/make -C {PROJECT} "$@"\n')
    (programs / "make").chmod(0o755)
    (folder / "containers").symlink_to(PROJECT / "containers")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for name in ("manifest.parquet", "votes.parquet"):
        (folder / name).touch()
    settings = f"--no-print-directory -- INSTALLED= PACKAGE={folder}/package.tgz"
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "MAKEFLAGS": f"{settings} BIN={sys.prefix}/bin",
    }


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("deploy")
    log = folder / "calls.jsonl"
    environment = prepare(folder, log)
    admin = FlyteAdmin()
    with running_admin(admin) as where:
        address = where["FLYTE_PLATFORM_URL"]
        script = "set -euo pipefail\n" + "\n".join(code_blocks(DOCUMENT))
        assert "FLYTE_PLATFORM_URL=localhost:8089" in script
        script = script.replace(
            "FLYTE_PLATFORM_URL=localhost:8089", f"FLYTE_PLATFORM_URL={address}"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    calls = [Call(**json.loads(line)) for line in log.read_text().splitlines()]
    return Deployment(calls, admin, done.stdout, folder)


def test_deploy__registers_and_schedules_what_it_says(deployment: Deployment) -> None:
    admin = deployment.admin
    assert f"registered {admin.n_entities} of {admin.n_entities} entities" in deployment.told
    assert {version for *_, version in admin.tasks} == {"1"}
    # The last line stops the nightly plan again.
    assert admin.active == {"weekly_check_sdss": "1", "weekly_pretraining_sdss": "1"}
    train, night = admin.executions
    assert train.spec.launch_plan.name == "weekly_pretraining_sdss"
    assert not train.inputs.literals
    assert night.spec.launch_plan.name == "nightly_catalogue_sdss"
    assert night.inputs.literals["kickoff"].scalar.primitive.datetime.seconds > 0


def test_deploy__plans_look_where_the_document_puts_the_survey(deployment: Deployment) -> None:
    uploaded = {call.arguments[-1] for call in deployment.of("aws", "s3", "cp")}
    plans = {key[2]: plan for key, plan in deployment.admin.plans.items()}
    plan, training = plans["nightly_catalogue_sdss"], plans["weekly_pretraining_sdss"]
    (source,) = training.default_inputs.parameters["votes"].default.collection.literals
    votes = TypeEngine.to_python_value(
        FlyteContext.current_context(), Literal.from_flyte_idl(source), VoteSource
    )
    inputs = plan.default_inputs.parameters
    manifest = inputs["manifest"].default.scalar.primitive.string_value
    assert uploaded == {manifest, votes.uri}
    (listed,) = (call.arguments[-1] for call in deployment.of("aws", "s3", "ls"))
    assert listed == inputs["output"].default.scalar.primitive.string_value + "/"
    assert plan.entity_metadata.schedule.cron_schedule.schedule == "45 2 * * *"
    assert "At 02:45 UTC" in DOCUMENT


def test_deploy__makes_the_buckets_that_are_used(deployment: Deployment) -> None:
    made = {call.arguments[-1].removeprefix("s3://") for call in deployment.of("aws", "s3", "mb")}
    storage = FLYTE["configuration"]["storage"]
    used = {storage["metadataContainer"], storage["userDataContainer"]}
    manifests = yaml.safe_dump_all([one for part in MANIFESTS.values() for one in part])
    used |= set(re.findall(r"s3://([\w-]+)", manifests))
    used |= set(re.findall(r"GALAXYLOOP_ROOT=s3://([\w-]+)", DOCUMENT))
    assert made == used


def test_deploy__builds_and_pushes_the_images_that_are_used(deployment: Deployment) -> None:
    built = {call.all_of("--tag")[0] for call in deployment.of("docker", "build")}
    pushed = {call.arguments[-1] for call in deployment.of("docker", "push")}
    used = {spec.template.container.image for spec in deployment.admin.tasks.values()}
    (server,) = re.findall(
        r"image: (\S+galaxyloop-mlflow\S+)", yaml.safe_dump_all(MANIFESTS["mlflow"])
    )
    assert built == pushed == used | {server}
    targets = {call.all_of("--target")[0] for call in deployment.of("docker", "build")}
    dockerfile = (PROJECT / "containers" / "Dockerfile").read_text()
    assert targets <= set(re.findall(r"^FROM .* AS (\S+)$", dockerfile, re.M))


def test_deploy__applies_namespaces_before_what_lies_in_them(deployment: Deployment) -> None:
    namespaces = {"kube-system"}
    for call in deployment.calls:
        for name in call.all_of("--filename"):
            for manifest in read_manifests(deployment.folder / name):
                if manifest["kind"] == "Namespace":
                    namespaces.add(manifest["metadata"]["name"])
                else:
                    assert manifest["metadata"]["namespace"] in namespaces
        assert set(call.all_of("--namespace")) <= namespaces


def test_deploy__asks_only_for_what_the_manifests_make(deployment: Deployment) -> None:
    made = {
        (f"{one['kind'].lower()}/{one['metadata']['name']}", one["metadata"].get("namespace"))
        for part in MANIFESTS.values()
        for one in part
    }
    # Services of the chart are called after its release.
    made |= {
        (f"service/{call.arguments[2]}-{kind}", call.all_of("--namespace")[0])
        for call in deployment.of("helm", "upgrade")
        for kind in ("http", "grpc")
    }
    asked = deployment.of("kubectl", "rollout", "status")
    asked += deployment.of("kubectl", "port-forward")
    for call in asked:
        (thing,) = (one for one in call.arguments if "/" in one)
        assert (thing, call.all_of("--namespace")[0]) in made


def test_deploy__keeps_secrets_out_of_files(deployment: Deployment) -> None:
    flyte = next(call for call in deployment.of("helm", "upgrade") if call.all_of("--values"))
    (values, secrets) = (yaml.safe_load(flyte.files[name]) for name in flyte.all_of("--values"))
    assert values == FLYTE
    assert secrets["configuration"]["database"]["password"] == "0123456789abcdef"
    for place in ("configuration.database", "configuration.storage.providerConfig.s3"):
        inner = secrets
        for key in place.split("."):
            inner = inner[key]
        assert set(inner) <= CHART[place]
    assert all(secrets["configuration"]["storage"]["providerConfig"]["s3"].values())
    assert not list(deployment.folder.glob("*secrets*"))


def test_deploy__databases_are_reached_by_their_passwords(deployment: Deployment) -> None:
    given = {
        call.arguments[3]: call.all_of("--from-literal")
        for call in deployment.of("kubectl", "create", "secret", "generic")
    }
    word = "0123456789abcdef"
    assert given["postgres-password"] == [f"password={word}", f"locks={word}"]
    (uri,) = given["mlflow-database"]
    database = FLYTE["configuration"]["database"]
    server = f"{database['host']}:{database['port']}"
    assert uri == f"uri=postgresql+psycopg://{database['username']}:{word}@{server}/mlflow"
    assert given["galaxyloop-locks"] == [
        f"GALAXYLOOP_LOCK_URI=postgresql://locks:{word}@{server}/locks"
    ]
    assert {one.split("=")[0] for one in given["galaxyloop-s3"]} == {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"),
    }


def test_deploy__uses_options_that_there_are(deployment: Deployment) -> None:
    for call in deployment.calls:
        used = {one.split("=")[0] for one in call.arguments if re.match(r"--?[a-z]", one)}
        assert used <= OPTIONS[f"{call.program} {call.arguments[0]}"], call
    charts = [call.arguments[3] for call in deployment.of("helm", "upgrade")]
    added = {call.arguments[2] for call in deployment.of("helm", "repo", "add")}
    assert {chart.split("/")[0] for chart in charts} <= added


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl, for its help")
@pytest.mark.parametrize("command", [one for one in OPTIONS if one.startswith("kubectl")])
def test_deploy__options_of_kubectl_are_in_its_help(command: str) -> None:
    asked = [*KUBECTL.get(command, command).split(), "--help"]
    told = subprocess.run(asked, capture_output=True, text=True).stdout
    told += subprocess.run(["kubectl", "options"], capture_output=True, text=True).stdout
    for option in OPTIONS[command]:
        assert f"{option}=" in told, f"{command} has no {option}"


def test_deploy__quotes_what_the_programs_say() -> None:
    programs = ("Makefile", "containers/register.py")
    said = " ".join((PROJECT / name).read_text() for name in programs)
    said = re.sub(r"\{[\w.]+\}", "1", said).replace("say $(2)", "say where the images are kept")
    (_, rest) = DOCUMENT.split("| it says | do |\n")
    table = re.findall(r"^\| `([^`]+)` \|", rest.split("\n\n")[0], re.M)
    assert len(table) >= 5
    for message in table:
        assert message.removesuffix(" ...") in said, f"nothing says '{message}'"
