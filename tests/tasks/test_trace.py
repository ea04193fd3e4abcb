"""From a table back to what made it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.checkpoint import (
    CheckpointRecords,
    checkpoint_digest,
    load_checkpoint,
    save_checkpoint,
)
from galaxyloop.errors import CatalogueError
from galaxyloop.finetuning.footer import write_labels
from schemas.artefacts import CheckpointDirectory
from schemas.model_version import ModelVersion
from tasks import registry
from tests.tasks.test_registry import LOG, SHARDS, SURVEY, VOTES, register


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("trace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(directory / "store"))
        yield directory


@pytest.fixture(scope="module")
def model(place: Path) -> ModelVersion:
    return register(place / "first", 1, "traced")


def table_of(model: ModelVersion, directory: Path, **other: str) -> str:
    """Labels of two galaxies that this model predicted."""
    provenance = {
        "model_name": model.name,
        "model_version": model.version,
        "checkpoint_digest": model.checkpoint_digest,
        "survey_digest": SURVEY.digest,
        **other,
    }
    path = directory / "labels.parquet"
    write_labels(pd.DataFrame({"id_str": ["a", "b"], "label": ["x", "y"]}), provenance, path)
    return str(path)


def traced(table: str, folder: Path, id_str: str = "") -> str:
    text: str = registry.trace_lineage(product=table, id_str=id_str, output=str(folder))
    return text


def test_trace_lineage__tells_model_training_votes_and_shards(
    model: ModelVersion, tmp_path: Path
) -> None:
    text = traced(table_of(model, tmp_path), tmp_path / "lineage", "b")
    for told in (
        "row b",
        "model traced version 1",
        f"training {model.run_id}",
        f"votes {VOTES.digest}",
        f"survey {SURVEY.digest}",
        f"shard {SHARDS[0].digest}",
        f"train cutouts and labels {'9' * 64}",
        "code_version: 0.1.0",
    ):
        assert told in text
    assert (tmp_path / "lineage" / "lineage.txt").read_text() == text + "\n"
    assert json.loads((tmp_path / "lineage" / "lineage.json").read_text())["name"] == "b"
    assert (tmp_path / "lineage" / "lineage.png").read_bytes().startswith(b"\x89PNG")


def test_trace_lineage__tells_what_a_model_started_from(
    model: ModelVersion, place: Path, tmp_path: Path
) -> None:
    checkpoint = registry.resolve_start(start="traced/1")[0]
    data = {"start_digest": model.checkpoint_digest}
    records = CheckpointRecords({}, data, pd.DataFrame([LOG]))
    new = save_checkpoint(load_checkpoint(checkpoint.download()), tmp_path / "new", records)
    digest = checkpoint_digest(new)
    new.rename(tmp_path / digest)
    started = CheckpointDirectory(uri=str(tmp_path / digest), digest=digest)
    run_id = registry.log_pretraining(
        checkpoint=started, survey=SURVEY, shards=[], purpose="further"
    )
    further = registry.register_model(run_id=run_id, name="further", alias="challenger")
    text = traced(table_of(further, tmp_path), tmp_path / "lineage")
    assert text.index("purpose: further") < text.index(f"start {model.checkpoint_digest}")
    assert text.index(f"start {model.checkpoint_digest}") < text.index(f"training {model.run_id}")


def test_trace_lineage__does_not_mistake_another_registrys_version(
    model: ModelVersion, tmp_path: Path
) -> None:
    table = table_of(model, tmp_path, checkpoint_digest="e" * 64)
    text = traced(table, tmp_path / "lineage")
    assert "not in this registry: set MLFLOW_TRACKING_URI" in text
    assert model.run_id not in text


def test_trace_lineage__traces_each_member_of_an_ensemble(
    model: ModelVersion, place: Path, tmp_path: Path
) -> None:
    other = register(place / "second", 2, "member")
    members = f"member/{other.version} {other.checkpoint_digest}"
    text = traced(table_of(model, tmp_path, members=members), tmp_path / "lineage")
    assert f"training {model.run_id}" in text
    assert f"training {other.run_id}" in text


def test_trace_lineage__refuses_a_row_that_is_not_there(
    model: ModelVersion, tmp_path: Path
) -> None:
    with pytest.raises(CatalogueError, match="has no row 'z'"):
        traced(table_of(model, tmp_path), tmp_path / "lineage", "z")


def test_trace_lineage__refuses_a_table_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    pd.DataFrame({"id_str": ["a"]}).to_parquet(path)
    with pytest.raises(CatalogueError, match="in its footer"):
        traced(str(path), tmp_path / "lineage")
