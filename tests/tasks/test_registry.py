import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import RegistryError
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from schemas.artefacts import (
    CheckpointDirectory,
    CutoutShardDirectory,
    EvaluationDirectory,
    ReportDirectory,
    SurveyVersionDirectory,
    VoteTableDirectory,
)
from schemas.model_version import ModelVersion
from tasks import registry
from tasks.registry.client import address_of, open_client
from tasks.registry.runs import DIGEST_TAG
from tests.tasks.fake_versions import evaluation, scores

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))
SURVEY = SurveyVersionDirectory(uri="/" + "5" * 64, digest="5" * 64)
VOTES = VoteTableDirectory(uri="/" + "7" * 64, digest="7" * 64)
SHARDS = [CutoutShardDirectory(uri="/" + "8" * 64, digest="8" * 64)]
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


def log(checkpoint: CheckpointDirectory, evaluation: EvaluationDirectory) -> str:
    run_id: str = registry.log_training(
        checkpoint=checkpoint,
        evaluation=evaluation,
        survey=SURVEY,
        shards=SHARDS,
        votes=VOTES,
        purpose="test",
    )
    return run_id


def register(directory: Path, seed: int, name: str) -> ModelVersion:
    checkpoint, evaluation = trained(directory, seed)
    run_id = log(checkpoint, evaluation)
    version: ModelVersion = registry.register_model(run_id=run_id, name=name, alias="challenger")
    return version


def test_register_model__is_idempotent(tmp_path: Path) -> None:
    first = register(tmp_path / "one", 0, "same")
    again = register(tmp_path / "two", 0, "same")
    assert first == again
    assert first.version == "1"


def test_register_model__moves_the_alias_to_a_new_checkpoint(tmp_path: Path) -> None:
    register(tmp_path / "one", 1, "moving")
    newer = register(tmp_path / "two", 2, "moving")
    _, newest = registry.resolve_model(model="moving@challenger")
    assert newest.version == newer.version == "2"


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
    run = tracking / "mlflow-artifacts" / version.run_id
    (config,) = run.rglob("model/artifacts/checkpoint/config.json")
    config.write_text(config.read_text().replace('"dropout_rate": 0.2', '"dropout_rate": 0.1'))
    with pytest.raises(RegistryError, match="changed after registration"):
        registry.resolve_model(model="changed@challenger")


def test_resolve_model__says_which_aliases_a_model_has(tmp_path: Path, tracking: Path) -> None:
    register(tmp_path, 6, "known")
    with pytest.raises(
        RegistryError, match=r"'known' has no alias 'best'; it has challenger \(version 1\)"
    ):
        registry.resolve_model(model="known@best")


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
    (by_name,) = registry.resolve_start(start="begun@challenger")
    (by_folder,) = registry.resolve_start(start=str(by_name.download()))
    assert by_name.digest == by_folder.digest == version.checkpoint_digest
    assert registry.resolve_start(start="") == []


def test_log_training__logs_a_new_evaluation_of_the_same_checkpoint(tmp_path: Path) -> None:
    checkpoint, evaluation = trained(tmp_path, 7)
    newer = tmp_path / ("4" * 64)
    newer.mkdir()
    pd.DataFrame({**METRICS, "value": [0.2]}).to_parquet(newer / "metrics.parquet")
    runs = [
        log(checkpoint, each)
        for each in (evaluation, EvaluationDirectory(uri=str(newer), digest=newer.name))
    ]
    assert runs[0] != runs[1]
    versions = [
        registry.register_model(run_id=run, name="twice", alias="challenger").version
        for run in runs
    ]
    assert versions == ["1", "1"]


def test_log_training__that_breaks_off_leaves_a_run_marked_as_failed(tmp_path: Path) -> None:
    checkpoint, evaluation = trained(tmp_path, 10)
    config = Path(checkpoint.uri) / "config.json"
    good = config.read_text()
    config.write_text(good.replace('"epochs"', '"epochs?"'))
    with pytest.raises(MlflowException, match=r"training\.epochs\?"):
        log(checkpoint, evaluation)
    config.write_text(good)
    finished, client = log(checkpoint, evaluation), open_client()
    condition = f"tags.`{DIGEST_TAG}` = '{checkpoint.digest}'"
    runs = client.search_runs([client.get_run(finished).info.experiment_id], condition)
    failed = {run.info.run_id: run.info.status for run in runs if run.info.run_id != finished}
    assert list(failed.values()) == ["FAILED"]
    assert client.get_run(finished).info.status == "FINISHED"


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


def test_register_model__of_the_champion_makes_it_no_challenger(tmp_path: Path) -> None:
    version = register(tmp_path / "one", 30, "crowned")
    registry.promote_by_hand(model="crowned@challenger", reason="the only one")
    assert register(tmp_path / "two", 30, "crowned") == version
    for name in ("crowned", "crowned-array"):
        aliases = open_client().get_registered_model(name).aliases
        assert {alias: str(number) for alias, number in aliases.items()} == {"champion": "1"}


def test_find_champion__gives_the_one_that_has_yet_to_be_scored(tmp_path: Path) -> None:
    champion = register(tmp_path / "one", 31, "judged")
    registry.promote_by_hand(model="judged@challenger", reason="the first")
    challenger = register(tmp_path / "two", 32, "judged")
    found = scores(0.0)
    champions, number, obstacle = registry.find_champion(
        model=challenger, evaluation=evaluation(found)
    )
    assert champions == [champion]
    assert (number, obstacle) == ("1", "")
    nothing = registry.find_champion(model=champion, evaluation=evaluation(found))
    assert tuple(nothing) == ([], "", "")
    ringed = DecisionTree("toy", (Question("ring-toy", ("yes", "no")),))
    cases = {
        "sees cutouts of 32 px, the challenger of 64 px": replace(found, image_size_px=64),
        "label columns are not the champion's: 2 new": scores(0.0, tree=ringed),
    }
    for told, offered in cases.items():
        champions, number, obstacle = registry.find_champion(
            model=challenger, evaluation=evaluation(offered)
        )
        assert (champions, number) == ([], "1")
        assert told in obstacle


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
