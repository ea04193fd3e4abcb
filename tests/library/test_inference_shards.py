"""A shard's predictions: one mixture of members, views and samples, however they are computed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from galaxyloop import devices, predictions
from galaxyloop.acquisition import InformationConfig, expected_information
from galaxyloop.encoders import Encoder
from galaxyloop.encoding import turned
from galaxyloop.errors import CheckpointError
from galaxyloop.feature_reference import fit_reference
from galaxyloop.flags import FLAGS
from galaxyloop.heads import VoteHead
from galaxyloop.inference import predict_shard
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.posterior import PosteriorConfig, predict_concentrations, summarise
from galaxyloop.random_streams import seeded
from tests.library.shard_files import random_images, write_shard
from tests.library.training_data import TREE
from tests.reference.trees import flat_tree

INFORMATION = InformationConfig(expected_votes=8)
POSTERIOR = PosteriorConfig(3, batch_size=8, precision="float32", n_threads=1)


def make_model(seed: int = 0, n_bands: int = 12) -> GalaxyModel:
    with seeded(seed):
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, n_bands, 5, stride=2),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
        )
        head = VoteHead(4 * n_bands, len(TREE.columns))
    return GalaxyModel(Encoder("small", network, 4 * n_bands), head, TREE, 16, Normalisation())


def constant_model(first: float) -> GalaxyModel:
    """Says the same of every galaxy and under every mask: the fraction of the first answer."""
    model = make_model()
    torch.nn.init.zeros_(model.head.linear.weight)
    shares = torch.tensor([first, 1 - first, 0.2, 0.3, 0.5]).clamp(0.005, 0.985)
    with torch.no_grad():
        model.head.linear.bias.copy_((shares / (1 - shares)).log())
    return model


def values_of(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path).set_index("id_str")
    return table.drop(columns="image_digest")


def assert_close(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-5, equal_nan=True)


def test_predict_shard__writes_the_summaries_of_the_mixture(tmp_path: Path) -> None:
    shard, model = write_shard(tmp_path / "shard", random_images(30)), make_model()
    assert predict_shard([model], shard, POSTERIOR, INFORMATION, tmp_path / "p.parquet") == 30
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert tuple(table.columns) == predictions.prediction_columns(TREE)
    assert table["image_digest"].tolist() == shard.index["image_digest"].tolist()
    samples = predict_concentrations(model, shard.images, POSTERIOR)
    summary = summarise(samples, TREE, POSTERIOR)
    nats = expected_information(samples, summary.asked, TREE, INFORMATION)
    for i, column in enumerate(TREE.columns):
        for name, values in (("", summary.fraction), ("_p05", summary.p05), ("_p95", summary.p95)):
            np.testing.assert_allclose(table[f"{column}_fraction{name}"], values[:, i], atol=1e-5)
    for i, question in enumerate(TREE.question_names):
        np.testing.assert_allclose(table[f"{question}_asked"], summary.asked[:, i], atol=1e-5)
        np.testing.assert_allclose(table[f"{question}_information_nats"], nats[:, i], atol=1e-5)
    assert table["ra_deg"].tolist() == shard.index["ra_deg"].tolist()
    assert table["dec_deg"].isna().all()


def test_predict_shard__depends_on_no_batch_order_or_shard(tmp_path: Path) -> None:
    images, models = random_images(45), [make_model(0), make_model(1, n_bands=7)]
    ids = [f"g{i}" for i in range(45)]
    order = np.random.default_rng(0).permutation(45)[:20]
    whole = write_shard(tmp_path / "whole", images, ids)
    part = write_shard(tmp_path / "part", images[order], [ids[i] for i in order])
    config = replace(POSTERIOR, n_augmentations=3)
    paths = [tmp_path / f"{i}.parquet" for i in range(3)]
    predict_shard(models, whole, config, INFORMATION, paths[0])
    predict_shard(models, whole, replace(config, batch_size=7), INFORMATION, paths[1])
    predict_shard(models, part, config, INFORMATION, paths[2])
    one, other, some = (values_of(path) for path in paths)
    assert_close(other, one)
    some = some.drop(columns="ra_deg")
    assert_close(some, one.loc[some.index, some.columns])


def test_predict_shard__equal_members_are_one_member(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "shard", random_images(9))
    for name, models in (("one", [make_model()]), ("three", [make_model() for _ in range(3)])):
        predict_shard(models, shard, POSTERIOR, INFORMATION, tmp_path / name)
    assert_close(values_of(tmp_path / "three"), values_of(tmp_path / "one"))


def test_predict_shard__members_that_contradict_each_other_give_a_wide_interval(
    tmp_path: Path,
) -> None:
    shard = write_shard(tmp_path / "shard", random_images(2))
    models = [constant_model(0.02), constant_model(0.98)]
    predict_shard(models, shard, POSTERIOR, INFORMATION, tmp_path / "p")
    row = pd.read_parquet(tmp_path / "p").iloc[0]
    assert row[f"{TREE.columns[0]}_fraction"] == pytest.approx(0.5, abs=0.02)
    assert row[f"{TREE.columns[0]}_fraction_p05"] < 0.05
    assert row[f"{TREE.columns[0]}_fraction_p95"] > 0.95
    question = TREE.question_names[0]
    # Votes would tell the two members apart: nearly a bit.
    assert row[f"{question}_information_nats"] == pytest.approx(np.log(2), abs=0.02)


def test_predict_concentrations__orders_components_by_member_view_and_sample() -> None:
    images, models = random_images(5), [make_model(0), make_model(1)]
    config = replace(POSTERIOR, n_augmentations=8)
    found = predict_concentrations(models, images, config).view(2, 8, 3, 5, -1)
    for member, model in enumerate(models):
        for turn in range(8):
            view = turned(torch.from_numpy(images), turn).numpy()
            expected = predict_concentrations(model, view, POSTERIOR)
            torch.testing.assert_close(found[member, turn], expected, rtol=1e-5, atol=1e-5)


def test_predict_concentrations__of_all_eight_views_does_not_depend_on_the_galaxy_s_turn() -> None:
    images, config = random_images(4), replace(POSTERIOR, n_augmentations=8)
    upright, turned_over = (
        predict_concentrations(make_model(), each, config).sort(dim=0).values
        for each in (images, np.ascontiguousarray(np.rot90(images, axes=(1, 2))[:, ::-1]))
    )
    torch.testing.assert_close(upright, turned_over, rtol=1e-5, atol=1e-5)


def test_predict_shard__runs_each_encoder_once_a_batch_and_view(tmp_path: Path) -> None:
    shard, models = write_shard(tmp_path / "s", random_images(19)), [make_model(0), make_model(1)]
    calls = [0, 0]

    def count(member: int) -> None:
        calls[member] += 1

    for i, model in enumerate(models):
        model.encoder.register_forward_hook(lambda *_, i=i: count(i))
    config = replace(POSTERIOR, n_augmentations=5, n_samples=40)
    predict_shard(models, shard, config, INFORMATION, tmp_path / "p")
    assert calls == [3 * 5, 3 * 5]


def test_predict_shard__tells_how_far_off_a_galaxy_is_and_what_its_image_is_like(
    tmp_path: Path,
) -> None:
    images = random_images(200)
    images[7] = 255 * (np.indices((16, 16)).sum(axis=0) % 2)[..., None]
    images[8] = 0
    model = make_model()
    features = [
        model.features(torch.from_numpy(part).permute(0, 3, 1, 2)).detach()
        for part in (images[20:120], images[120:])
    ]
    model.reference = fit_reference(*features)
    shard = write_shard(tmp_path / "shard", images)
    predict_shard([model], shard, POSTERIOR, INFORMATION, tmp_path / "p")
    table = pd.read_parquet(tmp_path / "p")
    assert table["flags"].dtype == np.int32
    is_far = (table["flags"] & FLAGS["out_of_distribution"]) > 0
    assert is_far.tolist() == (table["feature_distance"] > 1).tolist()
    assert is_far[7]
    assert is_far[120:].sum() == 0
    assert table["flags"][8] & FLAGS["partly_empty"]
    expected = model.reference.distance(features[1])
    np.testing.assert_allclose(table["feature_distance"][120:], expected, rtol=1e-4)
    # An ensemble knows a distance if all its members do.
    predict_shard([model, make_model(1)], shard, POSTERIOR, INFORMATION, tmp_path / "q")
    assert pd.read_parquet(tmp_path / "q")["feature_distance"].isna().all()


def test_predict_shard__writes_full_row_groups_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "ROW_GROUP_ROWS", 10)
    shard = write_shard(tmp_path / "shard", random_images(37))
    for batch_size in (4, 64):
        config = replace(POSTERIOR, batch_size=batch_size)
        predict_shard([make_model()], shard, config, INFORMATION, tmp_path / "p")
        found = pq.read_metadata(tmp_path / "p")
        assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [10, 10, 10, 7]
        fraction = found.row_group(0).column(4)
        assert "BYTE_STREAM_SPLIT" in fraction.encodings
        assert fraction.compression == "ZSTD"
        assert not fraction.has_dictionary_page


@pytest.mark.parametrize(("has_bfloat16", "taken"), [(True, "bfloat16"), (False, "float32")])
def test_predict_shard__says_which_precision_the_device_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool, taken: str
) -> None:
    monkeypatch.setattr(devices, "choose_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: has_bfloat16)
    shard = write_shard(tmp_path / "shard", random_images(9))
    for asked, expected in (("auto", taken), ("float32", "float32"), ("bfloat16", "bfloat16")):
        config = replace(POSTERIOR, precision=asked)
        predict_shard([make_model()], shard, config, INFORMATION, tmp_path / asked)
        assert predictions.read_precision(tmp_path / asked) == expected
    assert (tmp_path / "auto").read_bytes() == (tmp_path / taken).read_bytes()


def test_predict_shard__of_no_galaxies_is_an_empty_table(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "shard", random_images(0))
    assert predict_shard([make_model()], shard, POSTERIOR, INFORMATION, tmp_path / "p") == 0
    assert tuple(pd.read_parquet(tmp_path / "p").columns) == predictions.prediction_columns(TREE)


_KILLED = """
import os, signal, sys
from pathlib import Path
from galaxyloop.inference import predict_shard
from galaxyloop.shards import CutoutShard
from tests.library.test_inference_shards import INFORMATION, POSTERIOR, make_model

folder, model = Path(sys.argv[1]), make_model()
calls = []
def kill(*_):
    calls.append(1)
    if len(calls) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "killed":
    model.encoder.register_forward_hook(kill)
predict_shard([model], CutoutShard.open(folder / "shard"), POSTERIOR, INFORMATION, folder / "p")
"""


@pytest.mark.slow
def test_predict_shard__killed_leaves_no_file_and_then_gives_the_same_row_groups(
    tmp_path: Path,
) -> None:
    write_shard(tmp_path / "shard", random_images(100))
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    killed = subprocess.run([*command, "killed"], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "p").exists()
    subprocess.run([*command, "through"], env=environment, check=True)
    again = (tmp_path / "p").read_bytes()
    (tmp_path / "p").unlink()
    subprocess.run([*command, "through"], env=environment, check=True)
    assert (tmp_path / "p").read_bytes() == again
    assert [path.name for path in tmp_path.iterdir() if path.name != "shard"] == ["p"]


def test_predict_shard__failing_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    shard, model = write_shard(tmp_path / "shard", random_images(30)), make_model()

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    model.encoder.register_forward_hook(fail)
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError, match="out of memory"):
        predict_shard([model], shard, POSTERIOR, INFORMATION, tmp_path / "out" / "p")
    assert [*(tmp_path / "out").iterdir()] == []


def test_predict_shard__refuses_models_that_do_not_go_together(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "shard", random_images(2))
    with pytest.raises(CheckpointError, match="at least one model, got none"):
        predict_shard([], shard, POSTERIOR, INFORMATION, tmp_path / "p")
    other = make_model()
    other.tree = flat_tree([2, 3])
    with pytest.raises(CheckpointError, match=r"one tree, got .*toy"):
        predict_shard([make_model(), other], shard, POSTERIOR, INFORMATION, tmp_path / "p")
    large = make_model()
    large.image_size_px = 32
    with pytest.raises(CheckpointError, match="cutouts of 32 px, these have 16 px"):
        predict_shard([make_model(), large], shard, POSTERIOR, INFORMATION, tmp_path / "p")


@pytest.mark.parametrize("n_views", [0, 9])
def test_posterior_config__refuses_views_that_there_are_not(n_views: int) -> None:
    with pytest.raises(ValueError, match=rf"n_augmentations must be in 1 to 8, got {n_views}"):
        PosteriorConfig(n_augmentations=n_views)
