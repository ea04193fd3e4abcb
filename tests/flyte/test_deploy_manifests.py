"""Manifests and Helm values: right by Kubernetes' schemas, and agreeing with one another."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from flytekit import LaunchPlan
from kubernetes.utils import parse_quantity

from tasks import resources
from tasks.registry.locking import LOCK_URI
from tests.flyte.flyte_chart import CHART
from tests.flyte.kubernetes_schemas import faults, read_manifests
from tests.flyte.protocol.storage import ObjectStore
from workflows import launch_plans

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "containers" / "kubernetes"
DOCUMENT = (PROJECT / "docs" / "how_to" / "deploy.md").read_text()
MANIFESTS = {
    path.stem: read_manifests(path) for path in FOLDER.glob("*.yaml") if path.stem != "flyte"
}
FLYTE = yaml.safe_load((FOLDER / "flyte.yaml").read_text())
EVERYTHING = [one for manifests in MANIFESTS.values() for one in manifests]


def find(kind: str, name: str) -> dict[str, Any]:
    (found,) = (
        one for one in EVERYTHING if one["kind"] == kind and one["metadata"]["name"] == name
    )
    return found


@pytest.mark.parametrize(
    "manifest", EVERYTHING, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_manifests__are_what_kubernetes_takes(manifest: dict[str, Any]) -> None:
    assert faults(manifest) == []


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("replica",), 1, "Deployment.spec has no field 'replica'"),
        (("replicas",), "1", "Deployment.spec.replicas must be a int, got '1'"),
        (("template", "spec", "containers"), {}, "containers must be a list"),
        (("selector",), None, "spec.selector must have fields"),
    ],
)
def test_faults__finds_what_the_client_would_ignore(
    place: tuple[str, ...], value: object, fault: str
) -> None:
    manifest = yaml.safe_load(yaml.safe_dump(find("Deployment", "mlflow")))
    inner = manifest["spec"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert any(fault in one for one in faults(manifest))


def test_faults__finds_what_is_missing_or_unknown() -> None:
    manifest = yaml.safe_load(yaml.safe_dump(find("Deployment", "mlflow")))
    del manifest["spec"]["template"]["spec"]["containers"][0]["name"]
    assert any("name\n  Field required" in one for one in faults(manifest))
    assert faults({"kind": "Deploiment", "apiVersion": "apps/v1"})


def test_manifests__are_all_applied_by_the_document() -> None:
    for name in [*MANIFESTS, "flyte"]:
        assert f"containers/kubernetes/{name}.yaml" in DOCUMENT


def test_manifests__run_nothing_as_root_and_hold_no_secret() -> None:
    for manifest in EVERYTHING:
        assert manifest["kind"] != "Secret"
        if manifest["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        pod = manifest["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["limits"]["memory"]
    values = yaml.safe_dump(FLYTE)
    assert not re.search(r"(?i)(password|accessKey|secretKey):", values)


def test_manifests__selectors_find_their_pods() -> None:
    for kind, name in (("Deployment", "mlflow"), ("StatefulSet", "postgres")):
        spec = find(kind, name)["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels
        service = find("Service", name)["spec"]
        assert service["selector"] == labels
        ports = {one["name"] for one in spec["template"]["spec"]["containers"][0]["ports"]}
        assert {one.get("targetPort", one["name"]) for one in service["ports"]} <= ports
    policy = find("NetworkPolicy", "mlflow-from-tasks")["spec"]
    assert policy["podSelector"]["matchLabels"] == {"app": "mlflow"}
    (source,) = policy["ingress"][0]["from"]
    namespace = source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert find("Namespace", namespace)


def test_manifests__secrets_are_made_by_the_document_in_their_namespace() -> None:
    made = set(
        re.findall(r"create secret generic (\S+) --namespace (\S+)", DOCUMENT.replace("\\\n", " "))
    )
    made |= {
        (name, namespace)
        for name, where in made
        if where == "$namespace"
        for namespace in ("galaxyloop-services", "galaxyloop-production")
    }
    for manifest in EVERYTHING:
        for name in re.findall(
            r"(?:secretKeyRef|secretRef):.*?name: (\S+)", yaml.safe_dump(manifest), re.S
        ):
            assert (name, manifest["metadata"]["namespace"]) in made
    for name in FLYTE["configuration"]["inline"]["plugins"]["k8s"]["default-env-from-secrets"]:
        assert (name, "galaxyloop-production") in made


def test_tasks__reach_the_store_by_the_secret_that_the_document_makes() -> None:
    made = literals_of_secret("galaxyloop-s3")
    store = ObjectStore("http://127.0.0.1:9000", "bucket", "key", "secret")
    assert set(store.environment()) == set(made)


def literals_of_secret(name: str) -> dict[str, str]:
    """What the document puts into a secret."""
    (command,) = re.findall(rf"create secret generic {name} (?:.*\\\n)*.*", DOCUMENT)
    return dict(re.findall(r"--from-literal=(\w+)=\"(.*?)\"", command))


def test_tasks__meet_in_the_database_that_the_manifest_makes() -> None:
    ((variable, uri),) = literals_of_secret("galaxyloop-locks").items()
    assert variable == LOCK_URI
    place, port = urlsplit(uri), find("Service", "postgres")["spec"]["ports"][0]["port"]
    assert (place.hostname, place.port) == ("postgres.galaxyloop-services", port)
    scripts = find("ConfigMap", "postgres-databases")["data"]
    assert list(scripts) == sorted(scripts)
    assert f"CREATE ROLE {place.username} LOGIN" in scripts["2-locks.sh"]
    assert f"CREATE DATABASE {place.path[1:]};" in scripts["2-locks.sh"]
    (container,) = find("StatefulSet", "postgres")["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one.get("valueFrom") for one in container["env"]}
    key = given["LOCKS_PASSWORD"]["secretKeyRef"]
    assert literals_of_secret(key["name"])[key["key"]] == place.password == "$LOCKS_PASSWORD"


def test_document__names_the_disk_that_tasks_ask_for() -> None:
    paragraph = DOCUMENT.split("## 5. Nodes\n\n")[1].split("\n\n")[0]
    kinds = [one for one in vars(resources).values() if isinstance(one, resources.Resources)]
    asked = {size for one in kinds for size in one.ephemeral_storage or ()}
    assert set(re.findall(r"\d+Gi", paragraph)) == asked | {resources.NETWORK.mem[0]}


def test_document__names_a_flyte_that_maps_with_bound_lists() -> None:
    chart = re.findall(r'flyte-binary --version "~(\d+)\.(\d+)\.\d+"', DOCUMENT)
    least = re.findall(r"must be (\d+)\.(\d+)\.1 or later", DOCUMENT)
    assert [tuple(map(int, one)) for one in chart] > [tuple(map(int, one)) for one in least]


def k8s_plugin() -> dict[str, Any]:
    return FLYTE["configuration"]["inline"]["plugins"]["k8s"]


def test_mlflow__answers_under_the_name_that_tasks_call_it_by() -> None:
    pytest.importorskip("mlflow")
    from mlflow.server.security_utils import is_allowed_host_header

    (uri,) = (
        one["MLFLOW_TRACKING_URI"]
        for one in k8s_plugin()["default-env-vars"]
        if "MLFLOW_TRACKING_URI" in one
    )
    host = urlsplit(uri)
    service = find("Service", "mlflow")
    assert host.hostname == f"mlflow.{service['metadata']['namespace']}"
    assert host.port == service["spec"]["ports"][0]["port"]
    (hosts,) = (one for one in arguments_of_mlflow() if one.startswith("--allowed-hosts="))
    allowed = hosts.removeprefix("--allowed-hosts=").split(",")
    assert is_allowed_host_header(allowed, host.netloc)
    assert is_allowed_host_header(allowed, "localhost:5000")
    assert not is_allowed_host_header(allowed, "attacker.example.org")


def arguments_of_mlflow() -> list[str]:
    (container,) = find("Deployment", "mlflow")["spec"]["template"]["spec"]["containers"]
    return container["args"]


@pytest.mark.slow
def test_mlflow__takes_the_options_it_is_started_with() -> None:
    from mlflow.cli import cli

    program, command, *options = arguments_of_mlflow()
    assert program == "mlflow"
    known = {name for one in cli.commands[command].params for name in one.opts}
    assert {one.split("=")[0] for one in options} <= known
    variables = {name for one in cli.commands[command].params for name in one.envvar or ()} | {
        one.envvar for one in cli.commands[command].params if isinstance(one.envvar, str)
    }
    assert "MLFLOW_BACKEND_STORE_URI" in variables


@pytest.mark.parametrize("place", CHART)
def test_flyte_values__are_values_of_the_chart(place: str) -> None:
    inner = FLYTE
    for key in filter(None, place.split(".")):
        inner = inner[key]
    assert set(inner) <= CHART[place]
    for key, value in inner.items():
        deeper = f"{place}.{key}".lstrip(".")
        assert not isinstance(value, dict) or deeper in CHART, f"{deeper} is not looked at"


def test_flyte_values__allow_what_tasks_ask_for() -> None:
    limits = FLYTE["configuration"]["inline"]["task_resources"]["limits"]
    names = {"cpu": "cpu", "mem": "memory", "gpu": "gpu", "ephemeral_storage": "ephemeralStorage"}
    for asked in vars(resources).values():
        if not isinstance(asked, resources.Resources):
            continue
        for name, limit in names.items():
            stated = getattr(asked, name)
            for one in stated if isinstance(stated, tuple) else [stated]:
                assert one is None or parse_quantity(one) <= parse_quantity(limits[limit])


def test_flyte_values__put_gpu_tasks_on_the_nodes_that_the_document_labels() -> None:
    label = k8s_plugin()["gpu-device-node-label"]
    device = resources.ACCELERATOR.to_flyte_idl().device
    assert f"kubectl label nodes NODE {label}={device}" in DOCUMENT
    (tolerated,) = k8s_plugin()["resource-tolerations"]
    ((name, (toleration,)),) = tolerated.items()
    assert name == toleration["key"] == "nvidia.com/gpu"
    for one in [toleration, *k8s_plugin()["interruptible-tolerations"]]:
        assert faults_of_toleration(one) == []
    assert f"kubectl taint nodes NODE {name}=present:{toleration['effect']}" in DOCUMENT


def faults_of_toleration(toleration: dict[str, str]) -> list[str]:
    pod = {"containers": [{"name": "one"}], "tolerations": [toleration]}
    return faults({"apiVersion": "v1", "kind": "Pod", "spec": pod})


def test_flyte_values__run_the_kinds_of_tasks_that_are_packaged() -> None:
    plugins = FLYTE["enabled_plugins"]["tasks"]["task-plugins"]
    assert set(plugins["default-for-task-types"].values()) <= set(plugins["enabled-plugins"])
    (rule,) = FLYTE["rbac"]["extraRules"]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [rule]}
    assert faults(role) == []


def test_document__names_every_recipe_and_its_schedule() -> None:
    table = re.findall(r"^\| `(\w+)` \| `(\w+)` \|.*?\|([^|]*)\|$", DOCUMENT, re.M)
    told = {
        (plan.replace("SURVEY", "sdss"), name.replace("SURVEY", "sdss"), when.strip(" `"))
        for plan, name, when in table
    }
    made = {
        (value.name, name, value.schedule.cron_schedule.schedule if value.schedule else "")
        for name, value in vars(launch_plans).items()
        if isinstance(value, LaunchPlan) and "legacy" not in name
    }
    assert told == made
    lines = re.findall(r"^([\d* ]{9,}?)  +cd .*launch_plans.py (\w+)", DOCUMENT, re.M)
    assert {(name, when) for when, name in lines} == {
        (name, when) for _, name, when in made if when
    }
    assert f"more than {launch_plans.MAX_PARALLELISM} tasks" in DOCUMENT


def test_flyte_values__make_the_project_that_is_registered_to() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    (project,) = FLYTE["flyte-core-components"]["admin"]["seedProjects"]
    assert f"PROJECT ?= {project}\nDOMAIN ?= production\n" in makefile
    assert find("Namespace", f"{project}-production")
