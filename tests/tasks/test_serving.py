"""A registered model is loaded in a line and says of images what the catalogue says."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import CatalogueProvenance, catalogue_columns, write_catalogue
from galaxyloop.checkpoint import checkpoint_digest, load_checkpoint
from galaxyloop.errors import CheckpointError
from galaxyloop.finetuning.catalogue import predict_label_shard
from galaxyloop.finetuning.model import load_label_model
from galaxyloop.finetuning.targets import Target
from galaxyloop.inference import predict_shard
from galaxyloop.models import GalaxyEncoder
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.representations.config import RepresentationConfig
from galaxyloop.representations.encoding import represent
from galaxyloop.shards import CutoutShard
from schemas.model_version import ModelVersion
from tasks import registry
from tasks.registry.client import open_client
from tasks.registry.exporting import export_version
from tasks.registry.packaging import CHECKPOINT, mirror_aliases
from tests.library.training_data import TREE
from tests.tasks.serving_models import (
    make_label_model,
    make_vote_model,
    register,
    request,
    write_images,
    write_shard,
)

TARGETS = [
    Target("binary", "bar", ["no bar", "bar"]),
    Target("multiclass", "shape", ["round", "disc", "odd"]),
    Target("regression", "size", mean=3.0, std=0.5),
]
PROVENANCE = CatalogueProvenance(
    *("votes", "1", "0" * 64, TREE.name, "test", "2026-01-01", "5" * 64)
)


@pytest.fixture(scope="module", autouse=True)
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One database for all tests of this file."""
    directory = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(directory / "store"))
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        yield directory


@pytest.fixture(scope="module")
def chunk(tracking: Path) -> pd.DataFrame:
    """Galaxies with images."""
    return write_images(tracking / "images")


@pytest.fixture(scope="module")
def shard(tracking: Path, chunk: pd.DataFrame) -> CutoutShard:
    """Their cutouts."""
    return CutoutShard.open(write_shard(chunk, tracking / "shard"))


@pytest.fixture(scope="module")
def votes(tracking: Path) -> ModelVersion:
    """A registered model of votes, whose champion it is."""
    version = register(tracking / "votes", make_vote_model(), "votes")
    client = open_client()
    client.set_registered_model_alias("votes", "champion", version.version)
    mirror_aliases(client, "votes")
    return version


@pytest.fixture(scope="module")
def catalogue(tracking: Path, votes: ModelVersion, shard: CutoutShard) -> pd.DataFrame:
    """What the catalogue's job says of the galaxies."""
    checkpoint, _ = registry.resolve_model(model="votes/1")
    model, information = load_checkpoint(checkpoint.download()), InformationConfig()
    predictions, path = tracking / "predictions.parquet", tracking / "catalogue.parquet"
    predict_shard(model, shard, PosteriorConfig(), information, predictions)
    write_catalogue([predictions], TREE, PROVENANCE, path)
    return pd.read_parquet(path)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(
        found, expected, check_dtype=False, check_exact=False, rtol=1e-5, atol=1e-5
    )


def folder(tracking: Path, version: ModelVersion, place: str = "model") -> Path:
    return tracking / "mlflow-artifacts" / version.run_id / "artifacts" / place


def test_load_model__says_of_images_what_the_catalogue_says(
    votes: ModelVersion, chunk: pd.DataFrame, catalogue: pd.DataFrame
) -> None:
    found = mlflow.pyfunc.load_model("models:/votes@champion").predict(request(chunk))
    assert_same(found, catalogue)
    assert found["bright-toy_yes_fraction"].nunique() == len(chunk)


def test_load_model__for_arrays_says_the_same_of_cutouts(
    votes: ModelVersion, shard: CutoutShard, catalogue: pd.DataFrame
) -> None:
    found = mlflow.pyfunc.load_model("models:/votes-array@champion").predict(np.array(shard.images))
    assert_same(found.iloc[:, 3:], catalogue.iloc[:, 3:])
    assert found["id_str"].tolist() == [str(i) for i in range(len(found))]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: str(target.kind))
def test_load_model__of_labels_says_what_their_catalogue_says(
    target: Target, tracking: Path, tmp_path: Path, chunk: pd.DataFrame, shard: CutoutShard
) -> None:
    register(tracking / target.name, make_label_model(target), target.name)
    checkpoint, _ = registry.resolve_model(model=f"{target.name}/1")
    predict_label_shard(load_label_model(checkpoint.download()), shard, tmp_path / "p")
    expected = pd.read_parquet(tmp_path / "p").drop(columns="image_digest")
    found = mlflow.pyfunc.load_model(f"models:/{target.name}/1").predict(request(chunk))
    assert_same(found, expected)


def test_load_model__of_an_encoder_gives_representations(
    tracking: Path, chunk: pd.DataFrame, shard: CutoutShard
) -> None:
    model = make_vote_model(4)
    encoder = GalaxyEncoder(model.encoder, model.image_size_px, model.normalisation).eval()
    register(tracking / "encoder", encoder, "encoder")
    found = mlflow.pyfunc.load_model("models:/encoder/1").predict(request(chunk))
    expected = represent(encoder, np.array(shard.images), RepresentationConfig())
    np.testing.assert_allclose(np.stack(found["representation"]), expected, atol=1e-5)


def test_load_model__takes_the_catalogues_settings(
    votes: ModelVersion, chunk: pd.DataFrame, catalogue: pd.DataFrame
) -> None:
    settings = {"n_samples": 5, "n_augmentations": 2}
    model = mlflow.pyfunc.load_model("models:/votes@champion", model_config=settings)
    found = model.predict(request(chunk))
    column = "bright-toy_yes_fraction"
    difference = (found[column] - catalogue[column]).abs().max()
    assert 1e-5 < difference < 0.05


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
def test_load_model__refuses_one_changed_byte(
    name: str, votes: ModelVersion, tracking: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder(tracking, votes), tmp_path / "model")
    path = copy / CHECKPOINT / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    found = checkpoint_digest(path.parent)
    with pytest.raises(CheckpointError, match=f"{votes.checkpoint_digest}.*{found}"):
        mlflow.pyfunc.load_model(str(copy))


def test_write_model__leaves_no_pickle_and_no_path_of_this_machine(
    votes: ModelVersion, tracking: Path
) -> None:
    for place in ("model", "model-array"):
        files = [path for path in folder(tracking, votes, place).rglob("*") if path.is_file()]
        assert {"MLmodel", "MODEL_CARD.md", "weights.safetensors", "decision_tree.json"} <= {
            path.name for path in files
        }
        for path in files:
            content = path.read_bytes()
            assert not content.startswith(b"\x80"), path
            assert not zipfile.is_zipfile(path), path
            for own in (Path.cwd(), tracking, Path(sys.prefix), Path.home()):
                assert f"{own}/".encode() not in content, path


def test_write_model__states_signature_and_digest(votes: ModelVersion) -> None:
    info = mlflow.models.get_model_info("models:/votes@champion")
    assert info.metadata["galaxyloop_checkpoint_digest"] == votes.checkpoint_digest
    assert info.signature.inputs.input_names() == ["image", "id_str", "ra_deg", "dec_deg"]
    assert info.signature.outputs.input_names() == list(catalogue_columns(TREE))
    arrays = mlflow.models.get_model_info("models:/votes-array@champion").signature
    assert arrays.inputs.inputs[0].shape == (-1, 32, 32, 3)


def test_register_model__registers_both_models_once(
    votes: ModelVersion, tracking: Path, tmp_path: Path
) -> None:
    again = register(tmp_path, make_vote_model(), "votes")
    assert again.version == votes.version == "1"
    for name in ("votes", "votes-array"):
        (version,) = open_client().search_model_versions(f"name = '{name}'")
        assert version.tags["galaxyloop.checkpoint_digest"] == votes.checkpoint_digest


def test_resolve_model__reads_versions_whose_source_is_the_checkpoint(votes: ModelVersion) -> None:
    client = open_client()
    run = client.get_run(votes.run_id)
    client.create_registered_model("old")
    client.create_model_version(
        "old",
        source=f"{run.info.artifact_uri}/checkpoint",
        run_id=votes.run_id,
        tags={"galaxyloop.checkpoint_digest": votes.checkpoint_digest},
    )
    checkpoint, _ = registry.resolve_model(model="old/1")
    assert checkpoint_digest(checkpoint.download()) == votes.checkpoint_digest


def test_mirror_aliases__follows_a_move_and_a_removal(tracking: Path, votes: ModelVersion) -> None:
    register(tracking / "newer", make_vote_model(7), "votes")
    client = open_client()
    client.set_registered_model_alias("votes", "previous", "1")
    client.set_registered_model_alias("votes", "champion", "2")
    mirror_aliases(client, "votes")
    aliases = client.get_registered_model("votes-array").aliases
    assert {name: str(version) for name, version in aliases.items()} == {
        "champion": "2",
        "challenger": "2",
        "previous": "1",
    }
    client.delete_registered_model_alias("votes", "previous")
    client.set_registered_model_alias("votes", "champion", "1")
    mirror_aliases(client, "votes")
    aliases = client.get_registered_model("votes-array").aliases
    assert "previous" not in aliases
    assert str(aliases["champion"]) == "1"


ALONE = """
import importlib.util, json, socket, sys
sys.path = [path for path in sys.path if path not in ("", {project!r})]
sys.meta_path = [one for one in sys.meta_path if "editable" not in str(one)]
assert importlib.util.find_spec("galaxyloop") is None
def refuse(*_): raise OSError("there is no network")
socket.socket.connect = refuse
import mlflow, pandas, pathlib
frame = pandas.DataFrame({{"image": [pathlib.Path(one).read_bytes() for one in {images!r}]}})
answer = mlflow.pyfunc.load_model({folder!r}).predict(frame)
import galaxyloop
assert galaxyloop.__file__.startswith({folder!r}), galaxyloop.__file__
print(json.dumps(answer["bright-toy_yes_fraction"].tolist()))
"""


def test_load_model__needs_neither_the_project_nor_a_network(
    votes: ModelVersion,
    tracking: Path,
    tmp_path: Path,
    chunk: pd.DataFrame,
    catalogue: pd.DataFrame,
) -> None:
    copy = shutil.copytree(folder(tracking, votes), tmp_path / "model")
    project = str(Path(__file__).resolve().parents[2])
    images = chunk["image_uri"].tolist()
    code = ALONE.format(project=project, images=images, folder=str(copy))
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout.splitlines()[-1])
    np.testing.assert_allclose(found, catalogue["bright-toy_yes_fraction"], atol=1e-5)


def test_export_version__puts_a_program_beside_the_models(
    votes: ModelVersion, shard: CutoutShard
) -> None:
    address = export_version("votes/1")
    path = Path(address.removeprefix("file://"))
    images = torch.from_numpy(np.array(shard.images)).permute(0, 3, 1, 2)
    program = torch.export.load(path / "model.pt2").module()
    checkpoint, _ = registry.resolve_model(model="votes/1")
    with torch.no_grad():
        expected = load_checkpoint(checkpoint.download())(images)
        torch.testing.assert_close(program(images), expected)
    assert (path / "timm" / "model.safetensors").is_file()
    assert open_client().get_model_version("votes", "1").tags["galaxyloop.exported"] == address
