import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import RegistryError
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from schemas.artefacts import (
    CheckpointDirectory,
    EvaluationDirectory,
    ReportDirectory,
    SurveyVersionDirectory,
    VoteTableDirectory,
)
from schemas.model_version import ModelVersion
from tasks import registry
from tasks.registry.client import address_of, open_client

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))
SURVEY = SurveyVersionDirectory(uri="/" + "5" * 64, digest="5" * 64)
VOTES = VoteTableDirectory(uri="/" + "7" * 64, digest="7" * 64)
LOG = {"epoch": 0, "seconds": 1.5, "train_loss": 2.0, "validation_loss": 1.9, "learning_rate": 0.1}
METRICS = {"question": ["bar-toy"], "metric": ["rmse"], "value": [0.25]}


@pytest.fixture(scope="module", autouse=True)
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One database for all tests of this file: making one takes seconds."""
    directory = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(directory / "store"))
        yield directory


def trained(directory: Path, seed: int) -> tuple[CheckpointDirectory, EvaluationDirectory]:
    with seeded(seed):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, 2)
    model = GalaxyModel(encoder, head, TREE, 32, Normalisation())
    data = {"train_digest": "9" * 64, "n_train": 3}
    records = CheckpointRecords({"training": {"epochs": 1}}, data, pd.DataFrame([LOG]))
    digest = checkpoint_digest(save_checkpoint(model, directory / "new", records))
    (directory / "new").rename(directory / digest)
    evaluation = directory / ("3" * 64)
    evaluation.mkdir()
    pd.DataFrame(METRICS).to_parquet(evaluation / "metrics.parquet")
    return (
        CheckpointDirectory(uri=str(directory / digest), digest=digest),
        EvaluationDirectory(uri=str(evaluation), digest=evaluation.name),
    )


def register(directory: Path, seed: int, name: str) -> ModelVersion:
    checkpoint, evaluation = trained(directory, seed)
    run_id = registry.log_training(
        checkpoint=checkpoint, evaluation=evaluation, survey=SURVEY, votes=VOTES, purpose="test"
    )
    version: ModelVersion = registry.register_model(run_id=run_id, name=name, alias="champion")
    return version


def test_register_model__is_idempotent(tmp_path: Path) -> None:
    first = register(tmp_path / "one", 0, "same")
    again = register(tmp_path / "two", 0, "same")
    assert first == again
    assert first.version == "1"


def test_register_model__moves_the_alias_to_a_new_checkpoint(tmp_path: Path) -> None:
    register(tmp_path / "one", 1, "moving")
    newer = register(tmp_path / "two", 2, "moving")
    _, champion = registry.resolve_model(model="moving@champion")
    assert champion.version == newer.version == "2"


def test_register_model__logs_settings_curves_metrics_datasets_and_files(tmp_path: Path) -> None:
    version = register(tmp_path, 3, "logged")
    run = open_client().get_run(version.run_id)
    assert run.data.params["training.epochs"] == "1"
    assert run.data.metrics["validation_loss"] == 1.9
    assert run.data.metrics["bar-toy/rmse"] == 0.25
    assert run.data.tags["galaxyloop.votes_digest"] == VOTES.digest
    named = {given.dataset.name: given.dataset.source for given in run.inputs.dataset_inputs}
    assert set(named) == {"survey", "votes", "train_digest"}
    assert VOTES.digest in named["votes"]
    files = {file.path for file in open_client().list_artifacts(version.run_id, "checkpoint")}
    assert "checkpoint/weights.safetensors" in files


def test_resolve_model__gives_back_the_checkpoint(tmp_path: Path) -> None:
    version = register(tmp_path, 4, "resolved")
    checkpoint, found = registry.resolve_model(model="resolved/1")
    assert found == version
    assert checkpoint_digest(checkpoint.download()) == version.checkpoint_digest


def test_resolve_model__refuses_files_changed_after_registration(
    tmp_path: Path, tracking: Path
) -> None:
    version = register(tmp_path, 5, "changed")
    (config,) = (tracking / "mlflow-artifacts" / version.run_id).rglob("config.json")
    config.write_text(config.read_text().replace('"dropout_rate": 0.2', '"dropout_rate": 0.1'))
    with pytest.raises(RegistryError, match="changed after registration"):
        registry.resolve_model(model="changed@champion")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nobody@champion", "there is no model 'nobody@champion'.*registered models: "),
        ("nobody/1", "there is no model 'nobody/1'"),
        ("nobody", "name@alias or name/version, got 'nobody'"),
    ],
)
def test_resolve_model__refuses(model: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        registry.resolve_model(model=model)


@pytest.mark.parametrize(
    "start", ["/nowhere/model", "s3://bucket/model", "models/mine", "./mine", "mine", "a@b/c"]
)
def test_resolve_start__refuses_what_is_neither_folder_nor_name(start: str) -> None:
    with pytest.raises(RegistryError, match="neither a folder that exists nor a registered"):
        registry.resolve_start(start=start)


def test_resolve_start__takes_a_folder_or_a_name(tmp_path: Path) -> None:
    version = register(tmp_path, 9, "begun")
    (by_name,) = registry.resolve_start(start="begun@champion")
    (by_folder,) = registry.resolve_start(start=str(by_name.download()))
    assert by_name.digest == by_folder.digest == version.checkpoint_digest
    assert registry.resolve_start(start="") == []


def test_log_training__logs_a_new_evaluation_of_the_same_checkpoint(tmp_path: Path) -> None:
    checkpoint, evaluation = trained(tmp_path, 7)
    newer = tmp_path / ("4" * 64)
    newer.mkdir()
    pd.DataFrame({**METRICS, "value": [0.2]}).to_parquet(newer / "metrics.parquet")
    runs = [
        registry.log_training(
            checkpoint=checkpoint, evaluation=each, survey=SURVEY, votes=VOTES, purpose="test"
        )
        for each in (evaluation, EvaluationDirectory(uri=str(newer), digest=newer.name))
    ]
    assert runs[0] != runs[1]
    versions = [
        registry.register_model(run_id=run, name="twice", alias="champion").version for run in runs
    ]
    assert versions == ["1", "1"]


def test_log_training__in_a_copied_folder_leaves_the_original_alone(
    tmp_path: Path, tracking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register(tmp_path / "model", 8, "copied")
    before = sorted(tracking.rglob("*"))
    shutil.copytree(tracking, tmp_path / "copy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/copy/mlflow.db")
    again = register(tmp_path / "again", 8, "copied")
    assert again.run_id != version.run_id
    assert list((tmp_path / "copy" / "mlflow-artifacts" / again.run_id).rglob("config.json"))
    assert sorted(tracking.rglob("*")) == before


def test_client__needs_a_server_in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI must name the MLflow server"):
        open_client()


def test_attach_report__puts_the_page_beside_the_training(tmp_path: Path) -> None:
    version = register(tmp_path / "model", 6, "reported")
    page = tmp_path / "abc" / "report.html"
    page.parent.mkdir()
    page.write_text("<html></html>")
    report = ReportDirectory(uri=str(page.parent), digest="abc")
    registry.attach_report(model=version, report=report)
    (file,) = open_client().list_artifacts(version.run_id, "report")
    assert file.path == "report/report.html"


def test_address__hides_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        tracking_uri = "https://maria:secret@mlflow.example.org/x"

    assert address_of(Client()) == "https://mlflow.example.org/x"
