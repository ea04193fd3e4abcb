"""Predictions and evaluations do not depend on batches, neighbours or stored order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.devices import predicting
from galaxyloop.encoders import Encoder, build_encoder
from galaxyloop.errors import CheckpointError, NoTrainingDataError
from galaxyloop.evaluation import Evaluation, evaluate_checkpoint
from galaxyloop.heads import VoteHead
from galaxyloop.metrics import MetricsConfig, add_average_ratio, evaluate_predictions
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.random_streams import seeded
from galaxyloop.shards import CutoutCollection
from tests.library.training_data import TREE, toy_survey

POSTERIOR = PosteriorConfig(n_samples=3, n_threads=1)
METRICS = MetricsConfig(n_bootstrap=10, min_votes=3)


def make_model(image_size_px: int = 16) -> GalaxyModel:
    with seeded(0):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(TREE.columns))
    return GalaxyModel(encoder, head, TREE, image_size_px, Normalisation())


class Collection(CutoutCollection):
    """Cutouts in memory."""

    def __init__(self, images: np.ndarray, id_strs: np.ndarray) -> None:
        self.images, self.id_strs = images, id_strs
        self.image_size_px = images.shape[1]

    def read(self, positions: np.ndarray) -> np.ndarray:
        return self.images[positions]


def held_out_survey() -> tuple[Collection, pd.DataFrame, pd.DataFrame]:
    cutouts, votes, splits = toy_survey(60)
    splits["split"] = splits["split"].replace("validation", "test")
    return Collection(cutouts.images, cutouts.id_strs), votes, splits


def test_evaluate_checkpoint__is_the_same_whatever_lies_beside(tmp_path: Path) -> None:
    cutouts, votes, splits = held_out_survey()
    settings = (POSTERIOR, METRICS)
    model = make_model()
    digest = evaluate_checkpoint(model, cutouts, votes, splits, settings, tmp_path / "a")
    order = np.random.default_rng(0).permutation(80)
    images = np.concatenate([cutouts.images, cutouts.images[:20]])[order]
    ids = np.concatenate([cutouts.id_strs, [f"new{i}" for i in range(20)]])[order]
    grown = Collection(images, ids)
    again = evaluate_checkpoint(model, grown, votes, splits, settings, tmp_path / "b")
    assert again == digest
    # Batches of another size change no more than the last digits.
    smaller = (replace(POSTERIOR, batch_size=4), METRICS)
    evaluate_checkpoint(model, cutouts, votes, splits, smaller, tmp_path / "c")
    one, other = (Evaluation.open(tmp_path / name) for name in "ac")
    np.testing.assert_allclose(one.fractions, other.fractions, atol=1e-5)


def test_evaluate_checkpoint__keeps_its_settings_and_the_metrics_they_give(tmp_path: Path) -> None:
    cutouts, votes, splits = held_out_survey()
    model = make_model()
    evaluate_checkpoint(model, cutouts, votes, splits, (POSTERIOR, METRICS), tmp_path / "a")
    evaluation = Evaluation.open(tmp_path / "a")
    assert evaluation.config == METRICS
    assert evaluation.tree == TREE
    rows = votes.set_index("id_str")
    training = rows.loc[splits.loc[splits["split"] == "train", "id_str"]].to_numpy(np.int64)
    positions = pd.Index(cutouts.id_strs).get_indexer(evaluation.id_strs)
    samples = predict_concentrations(model, cutouts.images[positions], POSTERIOR)
    expected = evaluate_predictions(samples, evaluation.votes, training, TREE, METRICS)
    expected = add_average_ratio(expected, TREE)
    pd.testing.assert_frame_equal(evaluation.metrics, expected)


def test_evaluate_checkpoint__keeps_the_scores_of_each_galaxy(tmp_path: Path) -> None:
    cutouts, votes, splits = held_out_survey()
    splits["group_id"] = [f"pair{number // 2}" for number in range(len(splits))]
    settings = (POSTERIOR, METRICS)
    evaluate_checkpoint(make_model(), cutouts, votes, splits, settings, tmp_path / "a")
    evaluation = Evaluation.open(tmp_path / "a")
    table = evaluation.scores.table
    means = table.groupby("question")[["log_likelihood", "coverage"]].mean()
    stated = evaluation.metrics.pivot_table("value", "question", "metric")
    for name, one in means.iterrows():
        assert one["log_likelihood"] == pytest.approx(stated.loc[name, "log_likelihood"])
        assert one["coverage"] == pytest.approx(stated.loc[name, "coverage_90"])
    total = table["log_likelihood"].sum() / table["id_str"].nunique()
    assert total == pytest.approx(stated.loc["all", "log_likelihood"])
    assert dict(zip(table["id_str"], table["group_id"], strict=True))["toy4"] == "pair2"


def test_evaluate_checkpoint__tells_held_out_galaxies_apart_by_digest(tmp_path: Path) -> None:
    cutouts, votes, splits = held_out_survey()
    held_out = splits["split"] == "test"
    darker, other_votes, fewer = cutouts.images.copy(), votes.copy(), splits.copy()
    darker[np.flatnonzero(held_out)[0], 0, 0, 0] ^= 1
    other_votes.loc[np.flatnonzero(held_out)[0], TREE.columns[0]] += 1
    fewer.loc[np.flatnonzero(held_out)[0], "split"] = "train"
    grouped = splits.assign(group_id="one")
    retrained = votes.copy()
    retrained.loc[np.flatnonzero(~held_out)[0], TREE.columns[0]] += 1
    more = replace(POSTERIOR, n_samples=POSTERIOR.n_samples + 1)
    faster = replace(POSTERIOR, batch_size=4)
    changes = [
        (cutouts, votes, splits, POSTERIOR),
        (cutouts, retrained, splits, faster),
        (Collection(darker, cutouts.id_strs), votes, splits, POSTERIOR),
        (cutouts, other_votes, splits, POSTERIOR),
        (cutouts, votes, fewer, POSTERIOR),
        (cutouts, votes, grouped, POSTERIOR),
        (cutouts, votes, splits, more),
    ]
    model, digests = make_model(), []
    for number, (*galaxies, posterior) in enumerate(changes):
        evaluate_checkpoint(model, *galaxies, (posterior, METRICS), tmp_path / str(number))
        digests.append(Evaluation.open(tmp_path / str(number)).scores.digest)
    # What only training galaxies or the speed depend on leaves it as it is.
    assert digests[0] == digests[1]
    assert len(set(digests)) == len(digests) - 1


def test_evaluate_checkpoint__refuses_another_size_and_an_empty_test(tmp_path: Path) -> None:
    cutouts, votes, splits = held_out_survey()
    settings = (POSTERIOR, METRICS)
    with pytest.raises(CheckpointError, match=r"cutouts of 32 px, these have 16 px"):
        evaluate_checkpoint(make_model(32), cutouts, votes, splits, settings, tmp_path / "a")
    splits["split"] = "train"
    with pytest.raises(NoTrainingDataError, match="'test'"):
        evaluate_checkpoint(make_model(), cutouts, votes, splits, settings, tmp_path / "a")


class Dropping(torch.nn.Module):
    """A network with dropout of its own."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(images.mean(dim=(2, 3)), 0.5, self.training)


def test_predict_concentrations__silences_an_encoders_own_dropout() -> None:
    head = VoteHead(3, len(TREE.columns))
    model = GalaxyModel(Encoder("dropping", Dropping(), 3), head, TREE, 16, Normalisation())
    model.train()
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    first, second = (predict_concentrations(model, images, POSTERIOR) for _ in range(2))
    assert torch.equal(first, second)
    assert model.training
    assert not first.requires_grad


def test_predicting__leaves_model_and_threads_as_they_were() -> None:
    model = make_model()
    before = torch.get_num_threads()
    with predicting(model, before + 1):
        assert torch.get_num_threads() == before + 1
        has_cuda = torch.cuda.is_available()
        assert next(model.parameters()).is_cuda == has_cuda
    assert torch.get_num_threads() == before
    assert next(model.parameters()).device.type == "cpu"
