"""A survey's representations by a registered encoder, as a person gets them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from flytekit.core.local_cache import LocalTaskCache

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.encoders import build_encoder
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.representations.config import (
    AnomalyConfig,
    GalleryConfig,
    RepresentationConfig,
)
from galaxyloop.representations.table import Representations, read_representations
from galaxyloop.shards import CutoutShard
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig, write_survey
from schemas.artefacts import (
    CheckpointDirectory,
    CutoutShardDirectory,
    SurveyVersionDirectory,
)
from tasks import local_run
from tasks.embed import _say, shards_of
from tasks.opening import open_survey
from tasks.registry import log_pretraining, promote_by_hand, register_model
from workflows.embed import embed_survey

pytestmark = pytest.mark.slow

N_GALAXIES = 40
ELSEWHERE = SurveyVersionDirectory(uri="/" + "5" * 64, digest="5" * 64)
LOG = {"epoch": 0, "seconds": 1.5, "train_loss": 2.0, "validation_loss": 1.9, "learning_rate": 0.1}


@dataclass
class Place:
    """A simulated survey, a registered encoder, and where results go."""

    root: Path

    def embed(self, folder: str, **changes: object) -> str:
        inputs = {
            "manifest": str(self.root / "survey" / "manifest.csv"),
            "model": "seeing@champion",
            "output": str(self.root / folder),
            "ingest": IngestConfig(chunk_size=25, max_image_reject_rate=0.5),
            "cutouts": CutoutConfig(image_size_px=32),
            "representation": RepresentationConfig(n_threads=1),
            "anomalies": AnomalyConfig(n_neighbours=3),
            "galleries": GalleryConfig(n_queries=2, n_neighbours=3, n_anomalies=8),
            **changes,
        }
        told: str = embed_survey(**inputs)
        return told

    def read(self, output: str) -> Representations:
        return read_representations(self.root / output / "representations.parquet")

    def shard_files(self) -> dict[str, int]:
        paths = (self.root / "store" / "representations").iterdir()
        return {path.name: path.stat().st_mtime_ns for path in paths}


def register_encoder(root: Path) -> str:
    """An encoder that nobody trained, without a head; its digest."""
    with seeded(0):
        encoder = build_encoder("resnet_mini")
    model = GalaxyEncoder(encoder, 32, Normalisation())
    records = CheckpointRecords({"training": {"epochs": 1}}, {}, pd.DataFrame([LOG]))
    digest = checkpoint_digest(save_checkpoint(model, root / "new", records))
    (root / "new").rename(root / digest)
    checkpoint = CheckpointDirectory(uri=str(root / digest), digest=digest)
    run_id = log_pretraining(checkpoint=checkpoint, survey=ELSEWHERE, shards=[], purpose="test")
    register_model(run_id=run_id, name="seeing", alias="challenger")
    promote_by_hand(model="seeing@challenger", reason="nobody trained it")
    return digest


def newest_survey(root: Path) -> SurveyVersionDirectory:
    """The survey version that was read last."""
    paths = (root / "store" / "survey-version").iterdir()
    newest = max(paths, key=lambda path: path.stat().st_mtime_ns)
    return SurveyVersionDirectory(uri=str(newest), digest=newest.name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("embed")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(root / "store"))
        local_run.install()
        LocalTaskCache.initialize()
        config = SimulationConfig(n_galaxies=N_GALAXIES, image_size_px=40, seed=3)
        write_survey(config, root / "survey", progress=False)
        place = Place(root)
        (root / "digest").write_text(register_encoder(root))
        (root / "told").write_text(place.embed("first"))
        yield place
    local_run.install()
    LocalTaskCache.initialize()
    torch.set_num_threads(n_threads)


def test_embed_survey__writes_a_row_an_image_with_its_origin(place: Place) -> None:
    read = place.read("first")
    manifest = pd.read_csv(place.root / "survey" / "manifest.csv", dtype={"id_str": str})
    broken = pd.read_csv(place.root / "survey" / "broken.csv", dtype=str)
    unusable = set(broken.loc[broken["table"] == "manifest.csv", "id_str"])
    assert set(read.galaxies["id_str"]) == set(manifest["id_str"]) - unusable
    assert read.vectors.shape == (len(read.galaxies), 256)
    assert read.footer["checkpoint_digest"] == (place.root / "digest").read_text()
    assert read.footer["encoder"] == "resnet_mini"
    assert {"survey_digest", "code_version", "model_name", "date"} <= set(read.footer)
    percentiles = read.galaxies.sort_values("anomaly_score")["anomaly_percentile"]
    assert percentiles.iloc[-1] == 100
    assert percentiles.is_monotonic_increasing


def test_embed_survey__leaves_what_it_says(place: Place) -> None:
    told = (place.root / "told").read_text()
    for name in ("representations.parquet", "similar.png", "anomalies.png"):
        assert f"{place.root}/first/{name}" in told
        assert (place.root / "first" / name).is_file()
    assert "encoder resnet_mini" in told
    assert f"galaxyloop similar {place.root}/first/representations.parquet ID" in told
    picture = cv2.imread(str(place.root / "first" / "similar.png"))
    assert picture is not None
    # Cutouts, not blank paper: the sky is dark.
    assert (picture.max(axis=2) < 90).mean() > 0.3


def test_embed_survey__represents_nothing_again(place: Place) -> None:
    before = place.shard_files()
    query = place.read("first").galaxies["id_str"].iloc[5]
    place.embed("again", galleries=GalleryConfig(queries=[query]))
    after = place.shard_files()
    assert after == before
    first, again = place.read("first"), place.read("again")
    np.testing.assert_array_equal(first.vectors, again.vectors)
    pd.testing.assert_frame_equal(first.galaxies, again.galaxies)


def test_embed_survey__refuses_a_query_that_is_not_in_the_survey(place: Place) -> None:
    with pytest.raises(Exception, match="there is no galaxy '5877'; choose one of: 5877"):
        place.embed("refused", galleries=GalleryConfig(queries=["5877"]))
    assert not (place.root / "refused").exists()


def test_embed_survey__refuses_a_query_whose_image_was_rejected(place: Place) -> None:
    broken = pd.read_csv(place.root / "survey" / "broken.csv", dtype=str)
    survey = open_survey(newest_survey(place.root)).galaxies["id_str"]
    rejected = sorted(set(survey) - set(place.read("first").galaxies["id_str"]))
    assert set(rejected) <= set(broken["id_str"])
    with pytest.raises(Exception, match=f"'{rejected[0]}' is a galaxy .* image was rejected"):
        place.embed("refused", galleries=GalleryConfig(queries=[rejected[0]]))
    assert not (place.root / "refused").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cutouts": CutoutConfig(image_size_px=40)},
            "trained on cutouts of 32 px, these have 40 px",
        ),
        ({"output": ""}, "output must name a folder or address"),
    ],
)
def test_embed_survey__refuses_before_an_image_is_read(
    place: Place, changes: dict[str, object], message: str
) -> None:
    # Not even the manifest is looked for.
    with pytest.raises(Exception, match=message):
        place.embed("refused", manifest="nowhere.csv", **changes)


def test_shards_of__fetches_no_pixels(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    survey = newest_survey(place.root)
    folders = [
        path
        for path in sorted((place.root / "store" / "cutout-shard").iterdir())
        if CutoutShard.open(path).summary.image_size_px == 32
    ]
    shards = [CutoutShardDirectory(uri=str(path), digest=path.name) for path in folders]
    assert len(shards) == 2

    def refuse(_: object) -> Path:
        raise AssertionError("pixels were fetched")

    ids = [CutoutShard.open(path).index["id_str"] for path in folders]
    monkeypatch.setattr(CutoutShardDirectory, "download", refuse)
    assert shards_of([ids[1].iloc[0]], shards, survey) == [shards[1]]
    assert shards_of([ids[0].iloc[3], ids[1].iloc[0]], shards, survey) == shards
    assert shards_of(["nobody"], shards, survey) == []


@pytest.mark.parametrize("folder", ["s3://bucket/seen", "seen"])
def test_say__names_commands_that_work(folder: str) -> None:
    names = ("representations.parquet", "similar.png", "anomalies.png")
    told = _say([f"{folder}/{name}" for name in names], 7, "resnet_mini")
    assert f"{folder}/representations.parquet (7 galaxies" in told
    here = "representations.parquet" if "://" in folder else "seen/representations.parquet"
    assert f"galaxyloop similar {here} ID" in told
    assert f"galaxyloop anomalies {here}" in told
    assert ("copy all three" in told) == ("://" in folder)
