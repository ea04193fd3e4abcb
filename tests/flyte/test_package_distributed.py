"""What a cluster is told of trainings by several processes, and one of them run by its command."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from flyteidl.core.tasks_pb2 import Resources, TaskTemplate
from google.protobuf.json_format import MessageToDict

from galaxyloop.checkpoint import checkpoint_digest
from galaxyloop.config import ConfigError
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig, write_survey
from galaxyloop.training import SupervisedRun
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import Artefact
from tasks.pretrain import digest_labels, pretrain_supervised
from tasks.resources import CODE_VERSIONS, RETRIES, read_count
from tasks.votes import read_votes, split_galaxies
from tests.flyte.protocol.cluster import Cluster
from tests.flyte.protocol.pods import FreshPods
from tests.flyte.protocol.registration import PROGRAMS, PROJECT, Registration, read_archive
from tests.flyte.protocol.storage import ObjectStore
from workflows.ingest import ingest_survey

TRAININGS = {
    "tasks.pretrain.pretrain_supervised": "pretrain_supervised",
    "tasks.pretrain.pretrain_byol": "pretrain_byol",
    "tasks.pretrain.pretrain_hybrid": "pretrain_hybrid",
    "tasks.finetune.finetune": "finetune",
}
RUN = SupervisedRun.from_dict(
    {
        # Without batch normalisation, so that one process has the same losses.
        "encoder": "test_convnext",
        "objective": {"dropout_rate": 0.0},
        "training": {
            "epochs": 2,
            "batch_size": 32,
            "save_every_steps": 1,
            "n_threads": 1,
            "precision": "float32",
            "learning_rate": 5e-4,
        },
    }
)


def package(folder: Path, **told: str) -> Registration:
    """The workflows that train, packaged as ``make package`` does with these settings."""
    archive = folder / "workflows.tgz"
    command = [str(PROGRAMS / "pyflyte"), "--pkgs", "workflows.pretrain"]
    command += ["--pkgs", "workflows.finetune", "package", "--source", str(PROJECT)]
    command += ["--force", "--output", str(archive), "--image", "example.org/cpu:v1"]
    command += ["--image", "cpu=example.org/cpu:v1", "--image", "gpu=example.org/gpu:v1"]
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(PROJECT), **told}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return read_archive(archive)


@pytest.fixture(scope="module")
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> Registration:
    told = {"GALAXYLOOP_NODES": "1", "GALAXYLOOP_PROCESSES": "2"}
    return package(tmp_path_factory.mktemp("one"), **told)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Registration:
    told = {"GALAXYLOOP_NODES": "2", "GALAXYLOOP_PROCESSES": "4"}
    return package(tmp_path_factory.mktemp("several"), **told)


def settings_of(task: TaskTemplate) -> tuple[str, str]:
    found = {one.key: one.value for one in task.container.env}
    return found["GALAXYLOOP_NODES"], found["GALAXYLOOP_PROCESSES"]


def n_gpus(task: TaskTemplate) -> set[str]:
    stated = (*task.container.resources.requests, *task.container.resources.limits)
    return {one.value for one in stated if one.name == Resources.ResourceName.GPU}


@pytest.mark.slow
def test_package__processes_on_one_machine_are_an_ordinary_task(one_machine: Registration) -> None:
    for name, function in TRAININGS.items():
        task = one_machine.tasks[name]
        assert task.type == "python-task", name
        assert settings_of(task) == ("1", "2")
        assert n_gpus(task) == {"2"}
        assert task.extended_resources.HasField("shared_memory")
        assert task.metadata.discovery_version == CODE_VERSIONS[function]
        assert task.metadata.retries.retries == RETRIES
    for name, task in one_machine.tasks.items():
        if name not in TRAININGS:
            assert task.type == "python-task", name
            assert n_gpus(task) <= {"1"}, name


@pytest.mark.slow
def test_package__several_machines_are_a_job_of_the_training_operator(
    machines: Registration,
) -> None:
    for name in TRAININGS:
        task = machines.tasks[name]
        assert task.type == "pytorch", name
        told = MessageToDict(task.custom)
        assert told["workerReplicas"]["replicas"] == 2
        elastic = told["elasticConfig"]
        assert (elastic["minReplicas"], elastic["maxReplicas"]) == (2, 2)
        assert (elastic["nprocPerNode"], elastic["rdzvBackend"]) == (4, "c10d")
        assert settings_of(task) == ("2", "4")
        assert n_gpus(task) == {"4"}
        assert task.extended_resources.HasField("shared_memory")
    others = {name: task.type for name, task in machines.tasks.items() if name not in TRAININGS}
    assert set(others.values()) == {"python-task"}


@pytest.mark.slow
def test_package__what_makes_trainings_at_run_time_makes_the_same(machines: Registration) -> None:
    assert settings_of(machines.tasks["workflows.finetune.finetune_rounds"]) == ("2", "4")


@pytest.mark.parametrize("told", ["0", "-1", "two", "1.5", ""])
def test_read_count__refuses_what_is_no_number_of_processes(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXYLOOP_PROCESSES", told)
    with pytest.raises(ConfigError, match=f"GALAXYLOOP_PROCESSES must be .* got '{told}'"):
        read_count("GALAXYLOOP_PROCESSES")


@pytest.fixture(scope="module")
def learnt_from(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a training on votes takes, but for its settings; made on this machine."""
    directory = tmp_path_factory.mktemp("simulated") / "survey"
    config = SimulationConfig(
        n_galaxies=90, image_size_px=40, n_broken_images=0, n_broken_votes=0, seed=5
    )
    write_survey(config, directory, progress=False)
    survey, shards = ingest_survey(
        manifest=str(directory / "manifest.csv"),
        ingest=IngestConfig(chunk_size=50),
        cutouts=CutoutConfig(image_size_px=32),
        previous="",
    )
    source = VoteSource(uri=str(directory / "votes.csv"), campaign="gz2")
    votes = read_votes(sources=[source], checks=VotesConfig())
    splits = split_galaxies(survey=survey, votes=votes, config=SplitConfig())
    inputs = {"survey": survey, "shards": shards, "votes": votes, "splits": splits}
    return {**inputs, "data_digest": digest_labels(**inputs)}


def uploaded(store: ObjectStore, artefact: Artefact) -> Artefact:
    address = f"{store.address}/made/{artefact.digest}"
    store.put_folder(Path(artefact.uri), address)
    return type(artefact)(uri=address, digest=artefact.digest)


@pytest.mark.slow
def test_pretrain_supervised__two_processes_by_the_containers_command_learn_what_one_does(
    one_machine: Registration,
    object_store: ObjectStore,
    learnt_from: dict[str, object],
    tmp_path: Path,
) -> None:
    inputs = {
        **learnt_from,
        "survey": uploaded(object_store, learnt_from["survey"]),
        "shards": [uploaded(object_store, shard) for shard in learnt_from["shards"]],
        "votes": uploaded(object_store, learnt_from["votes"]),
    }
    cluster = Cluster(one_machine, object_store, FreshPods(), tmp_path / "cluster")
    outputs = cluster.execute_task("tasks.pretrain.pretrain_supervised", run=RUN, **inputs)
    address = outputs["o0"].scalar.blob.uri
    trained = tmp_path / "trained"
    for name in object_store.names(address):
        object_store.fetch(name, trained / Path(name).name)
    assert checkpoint_digest(trained) == Path(address).name
    assert json.loads((trained / "environment.json").read_text())["n_processes"] == 2
    (ended,) = cluster.attempts
    assert object_store.names(ended.pod.checkpoint), "the first process has saved its state"
    assert ended.log.count("Epoch 2/2: 100%") == 1
    alone = Path(pretrain_supervised(run=RUN, **learnt_from).uri)
    logs = [
        pd.read_parquet(one / "log.parquet").drop(columns="seconds") for one in (trained, alone)
    ]
    pd.testing.assert_frame_equal(*logs, rtol=1e-4, atol=1e-6)
