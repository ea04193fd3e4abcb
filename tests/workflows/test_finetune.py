"""A table of labelled images becomes a registered model, as a person runs it."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from galaxyloop.cli import main
from tests.library.finetuning_data import save_encoder

PROJECT = Path(__file__).resolve().parents[2]
N_GALAXIES = 30
SMALL = {
    "cutouts": {"image_size_px": 32},
    "rounds": {"n_folds": 2},
    "finetuning": {"training": {"epochs": 1, "n_threads": 1}},
    "label_metrics": {"n_bootstrap": 20},
}


@dataclass
class Place:
    """Where images, results and the store lie."""

    root: Path

    def run(self, name: str, **inputs: object) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "GALAXYLOOP_STORE": str(self.root / "store"),
            "HOME": str(self.root / "home"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.root}/mlflow.db",
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "100",
        }
        file = self.root / "inputs.json"
        file.write_text(json.dumps(inputs))
        command = [str(Path(sys.executable).with_name("pyflyte")), "run", "workflows/finetune.py"]
        command += [name, "--inputs-file", str(file)]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=500
        )

    def finetune(self, **changes: object) -> subprocess.CompletedProcess[str]:
        inputs = {
            "manifest": str(self.root / "mine.csv"),
            "start": str(self.root / "start"),
            "model_name": "shapes",
            "output": str(self.root / "out"),
            **SMALL,
        }
        return self.run("finetune_and_register", **{**inputs, **changes})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("finetune")
    rng = np.random.default_rng(0)
    for i in range(N_GALAXIES):
        image = rng.integers(0, 60, (48, 48, 3)).astype(np.uint8)
        axes = (6, 6) if i % 3 else (14, 3)
        cv2.ellipse(image, (24, 24), axes, float(rng.integers(180)), 0, 360, (200, 180, 160), -1)
        cv2.imwrite(str(root / f"{i}.png"), image)
    table = pd.DataFrame({"id_str": [f"a{i}" for i in range(N_GALAXIES)]})
    table["image_uri"] = [f"{i}.png" for i in range(N_GALAXIES)]
    table["label"] = ["edge-on" if i % 3 == 0 else "face-on" for i in range(N_GALAXIES)]
    table.to_csv(root / "mine.csv", index=False)
    save_encoder(root / "start", image_size_px=32)
    return Place(root)


@pytest.fixture(scope="module")
def finetuned(place: Place) -> subprocess.CompletedProcess[str]:
    done = place.finetune()
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_finetune_and_register__leaves_what_it_says(
    place: Place, finetuned: subprocess.CompletedProcess[str]
) -> None:
    for name in ("report.html", "metrics.csv", "predictions.csv", "curves.png", "confusion.png"):
        assert f"{place.root}/out/{name}" in finetuned.stdout
        assert (place.root / "out" / name).is_file()
    page = (place.root / "out" / "report.html").read_text()
    assert '"Palatino Linotype"' in page
    assert "bands</td>" in page
    predictions = pd.read_csv(place.root / "out" / "predictions.csv")
    assert set(predictions["model"]) == {"finetuned", "probe", "baseline"}
    assert (predictions["model"].value_counts() == N_GALAXIES).all()
    assert "auc: finetuned " in finetuned.stdout
    assert "model       shapes/1" in finetuned.stdout


@pytest.mark.slow
def test_finetune_and_register__registers_the_model_that_trained_on_all(
    place: Place, finetuned: subprocess.CompletedProcess[str]
) -> None:
    with sqlite3.connect(place.root / "mlflow.db") as database:
        aliases = database.execute("select name, alias, version from registered_model_aliases")
        names = ("shapes", "shapes-array")
        assert sorted(aliases.fetchall()) == [(name, "challenger", 1) for name in names]
        tags = dict(database.execute("select key, value from model_version_tags").fetchall())
        metrics = dict(database.execute("select key, value from metrics").fetchall())
    assert metrics["baseline/auc"] == 0.5
    assert "finetuned/recall/edge-on" in metrics
    directory = place.root / "store" / "checkpoint" / tags["galaxyloop.checkpoint_digest"]
    config = json.loads((directory / "config.json").read_text())
    assert config["data"]["n_train"] == N_GALAXIES
    assert "galaxyloop.labels_digest" in tags


@pytest.mark.slow
def test_finetune_and_register__trains_nothing_twice(
    place: Place, finetuned: subprocess.CompletedProcess[str]
) -> None:
    kept = ("checkpoint", "label-evaluation", "cutout-shard")
    before = [sorted((place.root / "store" / kind).iterdir()) for kind in kept]
    stamps = {path: path.stat().st_mtime_ns for paths in before for path in paths}
    done = place.finetune(output=str(place.root / "again"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps if path.exists()}
    assert before == [sorted((place.root / "store" / kind).iterdir()) for kind in kept]
    assert "model       shapes/1" in done.stdout


@pytest.mark.slow
def test_predict_labels__says_it_of_every_galaxy(
    place: Place,
    finetuned: subprocess.CompletedProcess[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = place.run(
        "predict_labels",
        manifest=str(place.root / "mine.csv"),
        model="shapes@challenger",
        output=str(place.root / "survey"),
        cutouts=SMALL["cutouts"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_parquet(place.root / "survey" / "labels.parquet")
    assert table["id_str"].tolist() == sorted(f"a{i}" for i in range(N_GALAXIES))
    shares = table[["probability-edge-on", "probability-face-on"]].to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    footer = pq.read_metadata(place.root / "survey" / "labels.parquet").metadata
    assert footer[b"galaxyloop.model_name"] == b"shapes"
    assert main(["provenance", str(place.root / "survey" / "labels.parquet")]) == 0
    assert re.search(r"model_name +shapes\n", capsys.readouterr().out)


SMALL_CUTOUTS = {"cutouts": SMALL["cutouts"]}
REFUSALS = {
    "a label that is not declared": (
        {"label_checks": {"classes": ["edge-on", "ring"]}},
        "declared classes ['edge-on', 'ring']",
    ),
    "another column": ({"label_checks": {"column": "kind"}}, "has no column 'kind'"),
    "another size": ({"cutouts": {"image_size_px": 64}}, "set image_size_px=32"),
    "another encoder": ({"finetuning": {"encoder": "resnet18"}}, "'resnet_mini'"),
    "more layers than there are": (
        {"finetuning": {"trainable": "top", "n_blocks": 99}},
        "set n_blocks to at most",
    ),
    "a folder that is not there": ({"start": "/nowhere/checkpoint"}, "neither a folder"),
    "no encoder": ({"start": ""}, "give a checkpoint or a registered model"),
    "an unknown setting": ({"finetuning": {"epochs": 7}}, "has no setting 'epochs'"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSALS)
def test_finetune_and_register__refuses_in_one_screen(place: Place, name: str) -> None:
    changes, message = REFUSALS[name]
    refuses(place.finetune(**changes), message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutouts": {"image_size_px": 64}}, "set image_size_px=32"),
        ({"output": ""}, "output must name a folder or address"),
    ],
)
def test_predict_labels__refuses_before_images_are_read(
    place: Place,
    finetuned: subprocess.CompletedProcess[str],
    changes: dict[str, object],
    message: str,
) -> None:
    # A manifest that does not exist: what comes first is not about it.
    inputs = {"manifest": "nowhere.csv", "model": "shapes@challenger", "output": "unused"}
    refuses(place.run("predict_labels", **{**inputs, **SMALL_CUTOUTS, **changes}), message)


def refuses(done: subprocess.CompletedProcess[str], message: str) -> None:
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert message in said
    assert "Traceback" not in said
    assert len((done.stdout + done.stderr).splitlines()) < 24
