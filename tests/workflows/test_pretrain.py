"""Pretraining on images, and on images and votes, as a person runs it."""

import subprocess

import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from galaxyloop.checkpoint import load_checkpoint_config
from galaxyloop.synthetic import SimulationConfig, write_survey
from tests.workflows.place import SMALL, Place

SHORT = {"training": {"epochs": 2, "batch_size": 32, "n_threads": 1}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("pretrain")
    config = SimulationConfig(n_galaxies=120, image_size_px=48, seed=5)
    write_survey(config, root / "survey", progress=False)
    return Place(root)


def pretrain(place: Place, workflow: str, **changes: object) -> subprocess.CompletedProcess[str]:
    inputs = {
        "manifest": str(place.root / "survey" / "manifest.csv"),
        **{name: SMALL[name] for name in ("cutouts", "ingest")},
        "run": SHORT,
        **changes,
    }
    file = place.root / "inputs.yaml"
    file.write_text(yaml.safe_dump(inputs))
    done = place.run("pretrain", workflow, "--inputs-file", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_pretrain_hybrid__goes_on_from_a_registered_byol_encoder(place: Place) -> None:
    pretrain(place, "pretrain_byol")
    client = MlflowClient(f"sqlite:///{place.root}/mlflow.db")
    byol = client.get_model_version_by_alias("galaxyloop-byol", "challenger")
    run = client.get_run(byol.run_id)
    assert {"train_loss", "feature_std", "effective_rank"} <= run.data.metrics.keys()
    votes = str(place.root / "survey" / "votes.csv")
    pretrain(
        place,
        "pretrain_hybrid",
        votes=[{"uri": votes, "campaign": "gz2"}],
        start="galaxyloop-byol@challenger",
        **{name: SMALL[name] for name in ("vote_checks", "metrics", "posterior")},
    )
    hybrid = client.get_model_version_by_alias("galaxyloop-hybrid", "champion")
    digests = {version.tags["galaxyloop.checkpoint_digest"] for version in (byol, hybrid)}
    checkpoints = {path.name: path for path in (place.root / "store" / "checkpoint").iterdir()}
    assert set(checkpoints) == digests
    config = load_checkpoint_config(checkpoints[hybrid.tags["galaxyloop.checkpoint_digest"]])
    assert config["data"]["start_digest"] == byol.tags["galaxyloop.checkpoint_digest"]
    log = pd.read_parquet(checkpoints[hybrid.tags["galaxyloop.checkpoint_digest"]] / "log.parquet")
    assert log["feature_std"].gt(0.01).all()


@pytest.mark.slow
def test_pretrain_byol__is_not_run_again(place: Place) -> None:
    pretrain(place, "pretrain_byol")
    again = pretrain(place, "pretrain_byol")
    assert "Epoch" not in again.stderr
    changed = pretrain(place, "pretrain_byol", run={"training": {**SHORT["training"], "seed": 1}})
    assert "Epoch 2/2" in changed.stderr
