"""What the catalogue's benchmark compares with is what it says it is."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torchvision.transforms import v2

from benchmarks.catalogue_peer import N_DRAWS, FiveDraws
from benchmarks.catalogue_speed import BareEncoder, CountCalls
from benchmarks.catalogue_survey import (
    GALAXIES_DIFFER_BY,
    SAMPLES_DIFFER_BY,
    Case,
    Jobs,
    case_model,
    one_core,
    posterior,
    shard_of_noise,
)
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import dropout_masks
from galaxyloop.shards import CutoutShard

CASE = Case("resnet_mini", 16, 4)
TREE = DecisionTree(
    "short", (Question("smooth", ("yes", "no")), Question("bar", ("weak", "strong", "none")))
)
N_IMAGES = 6


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    return Jobs(tmp_path_factory.mktemp("benchmark"), N_IMAGES)


@pytest.fixture(scope="module")
def model(work: Jobs) -> GalaxyModel:
    return case_model(CASE, CutoutShard.open(work.cut_out(16)).images, TREE)


def draws_of(model: GalaxyModel, work: Jobs, is_random: bool) -> np.ndarray:
    peer = FiveDraws(model, CASE.batch_size)
    peer.n_workers = 0
    if not is_random:
        steps = [v2.ToImage(), v2.Resize((16, 16)), v2.ToDtype(torch.float32, scale=True)]
        peer.transform = v2.Compose(steps)
    uris = work.chunk["image_uri"].tolist()
    table = pd.read_csv(peer(uris, work.place(".csv")), dtype={"file": str})
    assert table["file"].tolist() == work.chunk["id_str"].tolist()
    cells = table.drop(columns="file").map(json.loads).to_numpy().tolist()
    return np.array(cells)


def test_five_draws__differ_by_dropout_and_view(work: Jobs, model: GalaxyModel) -> None:
    draws = draws_of(model, work, is_random=True)
    assert draws.shape == (N_IMAGES, 5, N_DRAWS)
    assert draws.std(axis=2).min() > 0
    # The network keeps its mode, so that ours is measured as it was.
    assert not model.training


def test_five_draws__without_randomness_are_the_model_itself(work: Jobs, tmp_path: Path) -> None:
    model = case_model(CASE, CutoutShard.open(work.cut_out(16)).images, TREE)
    model.head.dropout_rate = 0.0
    draws = draws_of(model, work, is_random=False)
    np.testing.assert_allclose(draws, np.repeat(draws[..., :1], N_DRAWS, axis=2), rtol=1e-4)
    config = posterior(CASE, 1, precision="float32")
    ours = pd.read_parquet(work.from_jpegs(model, config))
    fractions = draws[:, :2, 0] / draws[:, :2, 0].sum(axis=1, keepdims=True)
    # Images are shrunk in another way, so only nearly.
    np.testing.assert_allclose(fractions[:, 0], ours["smooth_yes_fraction"], atol=0.05)


def test_case_model__differs_between_galaxies_and_samples_as_it_says(
    work: Jobs, model: GalaxyModel
) -> None:
    images = torch.from_numpy(np.array(CutoutShard.open(work.cut_out(16)).images))
    masks = dropout_masks(500, model.head.linear.in_features, model.head.dropout_rate, 0)
    with torch.no_grad():
        logits = model.head.logits(model.features(images.permute(0, 3, 1, 2)), masks)
    between_galaxies = float(logits.mean(dim=0).std(dim=0).mean())
    assert between_galaxies == pytest.approx(GALAXIES_DIFFER_BY, rel=0.1)
    between_samples = float(logits.std(dim=0).median())
    assert between_samples == pytest.approx(SAMPLES_DIFFER_BY, rel=0.2)


def test_bare_encoder_and_count_calls__see_every_batch_once(tmp_path: Path) -> None:
    images = CutoutShard.open(shard_of_noise(tmp_path / "shard", 10, 16)).images
    bare = BareEncoder(case_model(CASE, images, TREE), images, "float32", CASE.batch_size)
    assert [len(batch) for batch in bare.batches] == [4, 4, 2]
    with CountCalls(bare) as count:
        bare()
    bare()
    assert count.n_calls == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be bound here")
def test_one_core__binds_threads_that_run_already_and_lets_them_go_again() -> None:
    before = os.sched_getaffinity(0)
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(threading.get_native_id).result()
        with one_core():
            bound = [os.sched_getaffinity(number) for number in (0, thread)]
            begun = ThreadPoolExecutor(1).submit(os.sched_getaffinity, 0).result()
        assert [*bound, begun] == 3 * [{min(before)}]
        assert [os.sched_getaffinity(number) for number in (0, thread)] == [before, before]
