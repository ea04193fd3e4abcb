"""A registry as a cluster has it: MLflow's server, whose files go through it into the store."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.registry.locking import LOCK_URI
from tests.flyte.protocol.cluster import Cluster
from tests.flyte.protocol.storage import SERVER
from tests.tasks.registry_servers import running_mlflow
from tests.tasks.test_registry import SHARDS, SURVEY, VOTES, trained

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SERVER not in os.environ, reason="it takes minutes: make test-s3"),
]


def test_registering__puts_the_model_into_the_object_store(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cluster.store
    checkpoint, evaluation = trained(tmp_path, 1)
    for made in (checkpoint, evaluation):
        store.put_folder(Path(made.uri), f"{store.address}/{made.digest}")
    there = {
        one.digest: replace(one, uri=f"{store.address}/{one.digest}")
        for one in (checkpoint, evaluation, SURVEY, VOTES, *SHARDS)
    }
    inputs = {
        "checkpoint": there[checkpoint.digest],
        "evaluation": there[evaluation.digest],
        "survey": there[SURVEY.digest],
        "shards": [there[one.digest] for one in SHARDS],
        "votes": there[VOTES.digest],
        "purpose": "test",
    }
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    registered = f"{store.address}/registered"
    with running_mlflow(f"sqlite:///{tmp_path}/mlflow.db", tmp_path, registered) as server:
        lock = {LOCK_URI: f"file://{tmp_path}/locks"}
        cluster = replace(cluster, environment={"MLFLOW_TRACKING_URI": server, **lock})
        run = cluster.execute_task("tasks.registry.runs.log_training", **inputs)
        versions = "tasks.registry.versions"
        named = {"run_id": run["o0"], "name": "far", "alias": "challenger"}
        cluster.execute_task(f"{versions}.register_model", **named)
        found = cluster.execute_task(f"{versions}.resolve_model", model="far@challenger")
    assert found["o0"].hash == checkpoint.digest
    assert any(name.endswith("/weights.safetensors") for name in store.names(registered))
    assert not (tmp_path / "a").exists()
