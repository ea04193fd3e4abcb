"""Exact intervals against bisection with scipy, and thirty posterior samples against one pass."""

import numpy as np
import timm
import torch
from torch import Tensor, nn

from benchmarks.harness import Gate, Ratio, at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.dirichlet import sum_by_answer
from galaxyloop.heads import VoteHead
from galaxyloop.posterior import PosteriorConfig, mixture_interval, predict_concentrations
from tests.reference.trees import flat_tree
from tests.reference.vote_models import mixture_quantile

CAMPAIGN = flat_tree([3, 2, 2, 2, 4, 5, 3, 4, 3, 6])


class BenchmarkModel(nn.Module):
    """A small encoder with random weights and a vote head; counts the encoder's calls."""

    def __init__(self) -> None:
        """Build both."""
        super().__init__()
        self.encoder = timm.create_model("resnet18", num_classes=0)
        self.head = VoteHead(self.encoder.num_features, len(CAMPAIGN.columns), 0.2)
        self.n_calls = 0

    def features(self, images: Tensor) -> Tensor:
        """Encode."""
        self.n_calls += 1
        encoded: Tensor = self.encoder(images.float() / 255)
        return encoded


def scipy_interval(concentrations: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Both ends by bisection of the mixture of incomplete Beta functions, all cells together."""
    alpha = concentrations.double()
    rest = (sum_by_answer(alpha, CAMPAIGN) - alpha).numpy()
    low = mixture_quantile(alpha.numpy(), rest, 0.05)
    return low, mixture_quantile(alpha.numpy(), rest, 0.95)


def harsh_concentrations(n_samples: int, n_galaxies: int) -> Tensor:
    """Samples that contradict one another, most of them at the ends of (1, 101)."""
    unit = np.random.default_rng(0).beta(0.3, 0.3, (n_samples, n_galaxies, len(CAMPAIGN.columns)))
    return torch.as_tensor(np.clip(1 + 100 * unit, 1.0001, 100.9999), dtype=torch.float32)


def measure_intervals(n_galaxies: int, n_rounds: int) -> tuple[dict[str, object], list[Gate]]:
    """Speed and error with 5 samples, error with 30 too."""
    figures: dict[str, object] = {}
    gates = []
    for n_samples in (5, 30):
        harsh = harsh_concentrations(n_samples, 60)
        pairs = zip(mixture_interval(harsh, CAMPAIGN), scipy_interval(harsh), strict=True)
        error = np.concatenate([np.abs(fast.numpy() - exact).ravel() for fast, exact in pairs])
        name = f"p99_error_{n_samples}_samples"
        figures[f"median_error_{n_samples}_samples"] = float(np.median(error))
        gates.append(at_most(name, float(np.quantile(error, 0.99)), 2e-3))
        figures[name] = gates[-1].value
    unit = np.random.default_rng(1).random((5, n_galaxies, len(CAMPAIGN.columns)))
    usual = torch.as_tensor(1 + 100 * unit, dtype=torch.float32)
    ratio = time_pairs(
        lambda: scipy_interval(usual), lambda: mixture_interval(usual, CAMPAIGN), n_rounds
    )
    figures["interval_speed_up_34_answers_5_samples"] = ratio
    figures["interval_galaxies_per_second"] = n_galaxies / ratio.candidate_s
    gates.append(at_least("interval_speed_up_34_answers_5_samples", ratio.median, 15))
    return figures, gates


def measure_samples(n_galaxies: int, n_rounds: int) -> tuple[dict[str, object], list[Gate]]:
    """Time of 30 samples over that of one, and how often the encoder ran."""
    model = BenchmarkModel()
    shape = (n_galaxies, 64, 64, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    one, thirty = (PosteriorConfig(n_samples=n, batch_size=32) for n in (1, 30))
    ratio: Ratio = time_pairs(
        lambda: predict_concentrations(model, images, thirty),
        lambda: predict_concentrations(model, images, one),
        n_rounds,
    )
    model.n_calls = 0
    predict_concentrations(model, images, thirty)
    extra_calls = model.n_calls - n_galaxies // 32
    figures: dict[str, object] = {"time_of_30_samples_over_1": ratio}
    return figures, [
        at_most("time_of_30_samples_over_1", ratio.median, 1.15),
        at_most("encoder_calls_beyond_one_a_batch", extra_calls, 0),
    ]


def main() -> None:
    """Time, compare, judge."""
    arguments = parse_arguments(__doc__)
    n_galaxies, n_rounds = (100, 5) if arguments.quick else (300, 9)
    figures, gates = measure_intervals(n_galaxies, n_rounds)
    sample_figures, sample_gates = measure_samples(128, n_rounds)
    finish("posterior", figures | sample_figures, gates + sample_gates, arguments)


if __name__ == "__main__":
    main()
