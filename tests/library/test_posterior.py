from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import beta, betabinom
from torch import Tensor, nn

from galaxyloop.config import ConfigError
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.encoders import Encoder
from galaxyloop.posterior import (
    PosteriorConfig,
    asked_probability,
    dropout_masks,
    mixture_interval,
    predict_concentrations,
    summarise,
    vote_count_probability,
)
from tests.reference.trees import flat_tree, spiral_tree
from tests.reference.vote_models import mixture_quantile


def harsh_concentrations(n_samples: int, n_galaxies: int, tree: DecisionTree) -> Tensor:
    """Samples that contradict one another, mostly at the ends of (1, 101)."""
    rng = np.random.default_rng(n_samples)
    unit = rng.beta(0.3, 0.3, (n_samples, n_galaxies, len(tree.columns)))
    return torch.as_tensor(np.clip(1 + 100 * unit, 1.0001, 100.9999), dtype=torch.float32)


@pytest.mark.parametrize("n_grid", [64, 128])
@pytest.mark.parametrize("n_samples", [1, 5, 30])
def test_mixture_interval__equals_bisection_on_a_harsh_set(n_samples: int, n_grid: int) -> None:
    tree = flat_tree([2, 3, 4, 6])
    concentrations = harsh_concentrations(n_samples, 100, tree)
    low, high = mixture_interval(concentrations, tree, (0.05, 0.95), n_grid)
    alpha = concentrations.double().numpy()
    rest = alpha / vote_fractions(concentrations.double(), tree).numpy() - alpha
    for result, level in ((low, 0.05), (high, 0.95)):
        error = np.abs(result.numpy() - mixture_quantile(alpha, rest, level))
        assert np.quantile(error, 0.99) < (5e-4 if n_grid == 64 else 5e-5)
        assert error.max() < 2e-3


def test_mixture_interval__spans_two_samples_that_contradict_each_other() -> None:
    concentrations = torch.tensor([[[1.2, 60.0]], [[60.0, 1.2]]])
    low, high = mixture_interval(concentrations, flat_tree([2]))
    assert low[0, 0] < 0.01
    assert high[0, 0] > 0.99


def test_mixture_interval__of_one_sample_is_the_beta_interval() -> None:
    low, high = mixture_interval(torch.tensor([[[3.0, 5.0, 2.0]]]), flat_tree([3]), (0.16, 0.84))
    np.testing.assert_allclose(low[0].numpy(), beta.ppf(0.16, [3, 5, 2], [7, 5, 8]), atol=1e-5)
    np.testing.assert_allclose(high[0].numpy(), beta.ppf(0.84, [3, 5, 2], [7, 5, 8]), atol=1e-5)


def test_mixture_interval__of_two_answers_is_mirrored() -> None:
    low, high = mixture_interval(harsh_concentrations(5, 50, flat_tree([2])), flat_tree([2]))
    torch.testing.assert_close(low[:, 0], 1 - high[:, 1], atol=1e-3, rtol=0)


def test_mixture_interval__does_not_depend_on_neighbours_or_chunks() -> None:
    tree = flat_tree([2, 3, 4, 6])
    concentrations = harsh_concentrations(3, 400, tree)
    together = torch.stack(mixture_interval(concentrations, tree))
    alone = torch.stack(mixture_interval(concentrations[:, 250:251], tree))
    torch.testing.assert_close(together[:, 250:251], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("levels", [(0.0, 0.9), (0.9, 0.1), (0.1, 1.5)])
def test_mixture_interval__refuses_levels_outside_zero_to_one(
    levels: tuple[float, float],
) -> None:
    with pytest.raises(ValueError, match=rf"levels must rise .*{levels[1]}"):
        mixture_interval(torch.ones(1, 1, 2), flat_tree([2]), levels)


def test_asked_probability__sums_over_every_path_by_hand() -> None:
    #                            smooth feat. art. edge no   arms                 ring none
    fractions = torch.tensor([0.5, 0.3, 0.2, 0.25, 0.75, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    asked = asked_probability(fractions, spiral_tree())
    torch.testing.assert_close(asked, torch.tensor([1.0, 0.3, 0.3 * 0.75, 0.5 + 0.3]))


def test_summarise__averages_the_probability_asked_over_samples_not_over_fractions() -> None:
    tree = spiral_tree()
    concentrations = harsh_concentrations(2, 20, tree)
    summary = summarise(concentrations, tree, PosteriorConfig())
    fractions = vote_fractions(concentrations, tree)
    by_sample = torch.stack([asked_probability(one, tree) for one in fractions])
    torch.testing.assert_close(summary.asked, by_sample.mean(0))
    product_of_means = asked_probability(summary.fraction, tree)
    assert (summary.asked - product_of_means).abs().max() > 0.05


def test_summarise__brackets_the_mean_with_fractions_that_sum_to_one() -> None:
    tree = spiral_tree()
    summary = summarise(10 + harsh_concentrations(8, 50, tree), tree, PosteriorConfig())
    assert (summary.p05 < summary.fraction).all()
    assert (summary.fraction < summary.p95).all()
    for part in tree.slices.values():
        torch.testing.assert_close(summary.fraction[:, part].sum(-1), torch.ones(50))


def test_dropout_masks__keep_the_mean_and_drop_at_the_rate() -> None:
    masks = dropout_masks(200, 500, 0.2, seed=1)
    assert set(masks.unique().tolist()) == {0.0, 1.25}
    assert (masks == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


def test_dropout_masks__come_from_the_seed_alone() -> None:
    torch.manual_seed(3)
    masks = dropout_masks(5, 40, 0.5, seed=1)
    torch.manual_seed(4)
    torch.testing.assert_close(dropout_masks(8, 40, 0.5, seed=1)[:5], masks)
    assert not torch.equal(dropout_masks(5, 40, 0.5, seed=2), masks)


def test_dropout_masks__refuse_a_rate_of_one() -> None:
    with pytest.raises(ValueError, match=r"dropout_rate must be .* got 1\.0"):
        dropout_masks(2, 3, 1.0, seed=0)


class TinyHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dropout_rate = 0.3
        self.linear = nn.Linear(16, 11)

    def forward(self, features: Tensor, masks: Tensor) -> Tensor:
        logits: Tensor = self.linear(features * masks[:, None])
        return 1 + 100 * logits.sigmoid()


class TinyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nn.Sequential(
                nn.Conv2d(3, 16, 5, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.5)
            )
            self.encoder = Encoder("tiny", network, 16)
            self.head = TinyHead()
        self.n_calls = 0

    def features(self, images: Tensor) -> Tensor:
        self.n_calls += 1
        encoded: Tensor = self.encoder.network(images.float() / 255)
        return encoded.mean(dim=(2, 3))


def random_images(n_galaxies: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n_galaxies, 20, 20, 3), dtype=np.uint8)


def test_predict_concentrations__does_not_depend_on_batch_order_or_neighbours() -> None:
    images, model = random_images(30), TinyModel()
    config = PosteriorConfig(n_samples=7, batch_size=30, precision="float32")
    together = predict_concentrations(model, images, config)
    order = np.random.default_rng(0).permutation(30)
    shuffled = predict_concentrations(model, images[order], replace(config, batch_size=4))
    torch.testing.assert_close(shuffled, together[:, order], rtol=1e-5, atol=1e-5)
    alone = predict_concentrations(model, images[17:18], config)
    torch.testing.assert_close(alone, together[:, 17:18], rtol=1e-5, atol=1e-5)


def test_predict_concentrations__runs_the_encoder_once_a_batch() -> None:
    model = TinyModel()
    result = predict_concentrations(model, random_images(10), PosteriorConfig(50, batch_size=4))
    assert model.n_calls == 3
    assert result.shape == (50, 10, 11)
    assert len(torch.unique(result[:, 0, 0])) > 1


def test_predict_concentrations__takes_batches_as_they_come() -> None:
    images, model = random_images(10), TinyModel()
    config = PosteriorConfig(3, precision="float32")

    def stream() -> Iterator[np.ndarray]:
        yield images[:7]
        yield images[7:7]
        yield images[7:]

    streamed = predict_concentrations(model, stream(), config)
    torch.testing.assert_close(
        streamed, predict_concentrations(model, images, config), rtol=1e-5, atol=1e-5
    )


def test_predict_concentrations__has_the_spread_of_ordinary_dropout() -> None:
    model, images = TinyModel(), random_images(3)
    config = PosteriorConfig(4000, precision="float32")
    result = predict_concentrations(model, images, config).log()
    model.eval()
    with torch.no_grad():
        features = model.features(torch.as_tensor(images).permute(0, 3, 1, 2))
    generator = torch.Generator().manual_seed(99)
    keep = torch.rand(4000, 3, 16, generator=generator) >= 0.3
    with torch.no_grad():
        logits = model.head.linear(features * keep / 0.7)
    independent = (1 + 100 * logits.sigmoid()).log()
    ratio = result.std(dim=0) / independent.std(dim=0)
    assert (ratio - 1).abs().max() < 0.08
    error = (result.mean(0) - independent.mean(0)) / (independent.std(0) * (2 / 4000) ** 0.5)
    assert error.abs().max() < 4.5


def test_predict_concentrations__gives_the_model_back_in_its_mode() -> None:
    model = TinyModel().train()
    predict_concentrations(model, random_images(2), PosteriorConfig(2))
    assert model.training
    assert model.encoder.network[1].num_batches_tracked == 0


def test_predict_concentrations__in_bfloat16_stays_near_float32() -> None:
    model, images = TinyModel(), random_images(20)
    full = predict_concentrations(model, images, PosteriorConfig(5, precision="float32"))
    half = predict_concentrations(model, images, PosteriorConfig(5, precision="bfloat16"))
    assert half.dtype == torch.float32
    tree = spiral_tree()
    difference = vote_fractions(full, tree).mean(0) - vote_fractions(half, tree).mean(0)
    assert difference.abs().max() < 5e-3


def test_predict_concentrations__refuses_no_images() -> None:
    with pytest.raises(ValueError, match="at least one image, got none"):
        predict_concentrations(TinyModel(), [], PosteriorConfig())


def test_vote_count_probability__equals_scipy_for_each_sample() -> None:
    concentrations = torch.tensor([[3.0, 7.0], [100.0, 1.5]], dtype=torch.float64)
    result = vote_count_probability(concentrations, 40)
    for row, (answer, rest) in zip(result, concentrations, strict=True):
        expected = betabinom.pmf(np.arange(41), 40, answer.item(), rest.item())
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-8)


def test_vote_count_probability__of_no_votes_is_certain() -> None:
    assert vote_count_probability(torch.tensor([2.0, 3.0]), 0).tolist() == [1.0]


def test_vote_count_probability__refuses_negative_votes() -> None:
    with pytest.raises(ValueError, match="n_votes must be >= 0, got -2"):
        vote_count_probability(torch.tensor([2.0, 3.0]), -2)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("n_samples", 0), ("seed", -1), ("n_grid", 4), ("batch_size", 0), ("precision", "int8")],
)
def test_posterior_config__refuses_values_out_of_range(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"{setting} must be .*{value}"):
        PosteriorConfig.from_dict({setting: value})
