"""Training ends with a reference: of sound images of the galaxies that it was trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from galaxyloop.augment import plain_views
from galaxyloop.checkpoint import load_checkpoint, load_checkpoint_config
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import build_encoder
from galaxyloop.encoding import encoding
from galaxyloop.feature_reference import FeatureReference, fit_reference
from galaxyloop.finetuning.config import FinetuneRun, FinetuneTraining
from galaxyloop.finetuning.training import FinetuneData, finetune
from galaxyloop.flags import image_flags
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyEncoder, GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies
from galaxyloop.training import SupervisedRun, TrainingConfig, pretrain_supervised
from galaxyloop.training.data import LabelledCutouts
from galaxyloop.training.reference import add_reference
from tests.library.training_data import TREE, ArrayCutouts, toy_survey

SHORT = TrainingConfig(epochs=1, batch_size=16, n_threads=1, precision="float32", device="cpu")
SIZE_PX = 32


def untrained(tree: DecisionTree = TREE) -> GalaxyModel:
    with seeded(0):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(tree.columns))
    return GalaxyModel(encoder, head, tree, SIZE_PX, Normalisation([0.12] * 3, [0.15] * 3))


def galaxies_of(images: np.ndarray) -> LabelledCutouts:
    ids = np.array([f"g{i}" for i in range(len(images))])
    labels = np.zeros((len(images), 0), np.float32)
    return LabelledCutouts(ArrayCutouts(images, ids), np.arange(len(images)), labels)


@torch.no_grad()
def distances(model: GalaxyModel, images: np.ndarray) -> np.ndarray:
    views = plain_views(torch.from_numpy(np.ascontiguousarray(images)))
    return model.reference.distance(model.eval().features(views)).numpy()


def assert_same(one: FeatureReference, other: FeatureReference) -> None:
    assert one.is_fitted
    for name, values in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], values, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    config = SimulationConfig(n_galaxies=1000, image_size_px=SIZE_PX, seed=3)
    return simulate_galaxies(config).images


@pytest.fixture(scope="module")
def fitted(images: np.ndarray) -> GalaxyModel:
    """A network that has learnt nothing tells strange images apart already."""
    model = untrained()
    add_reference(model, galaxies_of(images[:500]), galaxies_of(images[500:750]))
    return model


def test_add_reference__finds_shifted_images(fitted: GalaxyModel, images: np.ndarray) -> None:
    test = images[750:]
    is_sound = image_flags(test) == 0
    assert np.mean(distances(fitted, test[is_sound]) > 1) <= 0.02
    few = test[is_sound][:50]
    rng = np.random.default_rng(0)
    close_up = few[:, 12:20, 12:20].repeat(4, axis=1).repeat(4, axis=2)
    noise = rng.integers(0, 256, few.shape, dtype=np.uint8)
    for name, strange, at_least in (
        ("inverted", 255 - few, 1.0),
        ("noise", noise, 1.0),
        ("close up", close_up, 0.5),
    ):
        assert np.mean(distances(fitted, strange) > 1) >= at_least, name
    sky = rng.normal(30, 5, few.shape).clip(0, 255).astype(np.uint8)
    for blank in (np.zeros_like(few), np.full_like(few, 90), sky):
        assert np.all((image_flags(blank) > 0) | (distances(fitted, blank) > 1))


def test_add_reference__does_not_count_images_with_flags(
    fitted: GalaxyModel, images: np.ndarray
) -> None:
    blank = np.zeros((40, SIZE_PX, SIZE_PX, 3), np.uint8)
    train, validation = (
        galaxies_of(np.concatenate([some, blank])) for some in (images[:500], images[500:750])
    )
    model = untrained()
    add_reference(model, train, validation)
    assert_same(model.reference, fitted.reference)


def test_add_reference__counts_all_images_where_most_have_flags(images: np.ndarray) -> None:
    dark = np.where(images[:200] < 60, 0, images[:200])
    assert np.mean(image_flags(dark) > 0) > 0.5
    model = untrained()
    add_reference(model, galaxies_of(dark[:150]), galaxies_of(dark[150:]))
    assert int(model.reference.n_held_out) == 50
    assert distances(model, dark[150:]).max() == pytest.approx(1, abs=1e-4)


def test_add_reference__holds_every_tenth_out_without_validation(images: np.ndarray) -> None:
    sound = images[image_flags(images) == 0][:100]
    model = untrained().train()
    add_reference(model, galaxies_of(sound), galaxies_of(sound[:0]))
    assert model.training
    with encoding(model) as encode:
        features = encode(torch.from_numpy(sound))
    is_held_out = np.arange(100) % 10 == 9
    assert_same(fit_reference(features[~is_held_out], features[is_held_out]), model.reference)


def test_add_reference__leaves_models_without_a_tree_alone(images: np.ndarray) -> None:
    model = untrained()
    encoder = GalaxyEncoder(model.encoder, SIZE_PX, model.normalisation)
    before = set(encoder.state_dict())
    add_reference(encoder, galaxies_of(images[:20]), galaxies_of(images[20:30]))
    assert set(encoder.state_dict()) == before


def test_pretraining_and_finetuning__write_the_reference(tmp_path: Path) -> None:
    cutouts, votes, splits = toy_survey(64)
    run = SupervisedRun(training=SHORT)
    start = pretrain_supervised(cutouts, votes, splits, TREE, run, tmp_path / "pretrained")
    pretrained = load_checkpoint(start)
    validation = cutouts.images[(splits["split"] == "validation").to_numpy()]
    assert int(pretrained.reference.n_held_out) == 16
    assert distances(pretrained, validation).max() == pytest.approx(1, abs=1e-3)
    assert load_checkpoint_config(start)["reference_axes"] == 6  # of 48 galaxies
    data = FinetuneData(cutouts, votes, splits[splits["split"] == "train"], TREE)
    few = FinetuneTraining(epochs=1, batch_size=16, n_threads=1, precision="float32", device="cpu")
    tuned = finetune(data, FinetuneRun(training=few), tmp_path / "tuned", start=start)
    assert int(load_checkpoint(tuned).reference.n_held_out) == 4  # every tenth of 48
