"""How fast a BYOL step goes, beside the one that lightly's example takes.

Both take two views that are in memory already through four forward passes, backward, SGD and the
moving average, in the same process and in turn; theirs with their own heads, loss and moving
average on contiguous images, as their example does. A step is the same mathematics on both sides:
views are not concatenated, because that would give both one batch's statistics.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from benchmarks.harness import Gate, Ratio, at_least, finish, parse_arguments, time_pairs
from galaxyloop.encoders import build_encoder
from galaxyloop.layout import bands_innermost
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.objectives import ByolConfig, ByolObjective
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import TrainingConfig
from galaxyloop.training.environment import choose_precision

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZE_PX, LEARNING_RATE, N_STEPS = 64, 0.06, 100_000
CONFIG = ByolConfig()
ENCODERS = ("resnet18", "resnet_mini")


class OurStep:
    """The objective as the training loop drives it."""

    def __init__(self, encoder_name: str) -> None:
        """The network and its optimiser."""
        with seeded(0):
            encoder = build_encoder(encoder_name)
            model = GalaxyEncoder(encoder, SIZE_PX, Normalisation())
            objective = ByolObjective(model, CONFIG)
        self.objective = objective.to(DEVICE)
        trained = [p for p in objective.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE)

    def __call__(self, views: list[Tensor], precision: str) -> None:
        """One step."""
        views = [view.contiguous(memory_format=torch.channels_last) for view in views]
        self.objective.before_step(0, N_STEPS)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = self.objective.loss(views, views[0].new_zeros(len(views[0]), 0))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.objective.after_step(0, N_STEPS)


class LightlyStep:
    """What lightly's example does, from the parts it is made of."""

    def __init__(self, encoder_name: str) -> None:
        """The same encoder and the same sizes of heads; theirs is torchvision's where it can be."""
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead

        sizes = CONFIG.hidden_size, CONFIG.projection_size
        with seeded(0):
            if encoder_name == "resnet18":
                backbone, n_features = nn.Sequential(*list(resnet18().children())[:-1]), 512
            else:
                encoder = build_encoder(encoder_name)
                backbone, n_features = nn.Sequential(encoder.network), encoder.n_features
            online = nn.Sequential(backbone, nn.Flatten(), BYOLProjectionHead(n_features, *sizes))
            self.predictor = BYOLPredictionHead(CONFIG.projection_size, *sizes).to(DEVICE)
        self.online = online.to(DEVICE)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.criterion = NegativeCosineSimilarity()
        trained = [*self.online.parameters(), *self.predictor.parameters()]
        self.optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE)

    def __call__(self, views: list[Tensor], precision: str) -> None:
        """One step."""
        from lightly.models.utils import update_momentum

        update_momentum(self.online, self.target, m=CONFIG.base_decay)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bfloat16"):
            predictions = [self.predictor(self.online(view)) for view in views]
            targets = [self.target(view).detach() for view in views]
            first = self.criterion(predictions[0], targets[1])
            loss = (first + self.criterion(predictions[1], targets[0])) / 2
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def compare(
    encoder_name: str, precisions: tuple[str, str], sizes: tuple[int, int, int]
) -> tuple[Ratio, float]:
    """Lightly's step against ours, and our galaxies a second.

    Args:
        encoder_name: on both sides.
        precisions: lightly's and ours.
        sizes: galaxies a batch, steps a round, rounds.
    """
    batch_size, n_steps, n_rounds = sizes
    generator = torch.Generator().manual_seed(1)
    shape = (batch_size, 3, SIZE_PX, SIZE_PX)
    views = [torch.rand(shape, generator=generator).to(DEVICE) for _ in range(2)]
    theirs, ours = LightlyStep(encoder_name), OurStep(encoder_name)

    def repeat(step: Callable[[list[Tensor], str], None], precision: str) -> None:
        for _ in range(n_steps):
            step(views, precision)
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    with bands_innermost(ours.objective, DEVICE, precisions[1]):
        ratio = time_pairs(
            lambda: repeat(theirs, precisions[0]), lambda: repeat(ours, precisions[1]), n_rounds
        )
    return ratio, batch_size * n_steps / ratio.candidate_s


def lightly_version() -> str | None:
    """Its version; None where it is not installed."""
    try:
        import lightly
    except ImportError:
        return None
    return str(lightly.__version__)


def main() -> None:
    """Measure and gate."""
    arguments = parse_arguments(__doc__ or "")
    sizes = (32, 1, 3) if arguments.quick else (32, 2, 15)
    has_bfloat16 = choose_precision(TrainingConfig(), DEVICE) == "bfloat16"
    version = lightly_version()
    figures: dict[str, object] = {
        "lightly": version or "absent: install lightly to be compared with it",
        "image_size_px": SIZE_PX,
        "batch_size": sizes[0],
        "n_rounds": sizes[2],
        "processor_has_bfloat16": has_bfloat16,
    }
    gates: list[Gate] = []
    if version is None:
        print("lightly is not installed: pip install --no-deps lightly, see CONTRIBUTING.md")
        gates.append(at_least("lightly to compare with", 0, 1))
        finish("byol_step", figures, gates, arguments)
    for name in ENCODERS:
        ratio, speed = compare(name, ("float32", "float32"), sizes)
        figures[f"{name}_float32"], figures[f"{name}_float32_galaxies_per_s"] = ratio, speed
        gates.append(at_least(f"{name}_float32", ratio.median, 1.0))
        if not has_bfloat16:
            continue
        ratio, speed = compare(name, ("bfloat16", "bfloat16"), sizes)
        figures[f"{name}_bfloat16"], figures[f"{name}_bfloat16_galaxies_per_s"] = ratio, speed
        gates.append(at_least(f"{name}_bfloat16", ratio.median, 1.0))
        ratio, _ = compare(name, ("float32", "bfloat16"), sizes)
        figures[f"{name}_bfloat16_against_float32"] = ratio
        gates.append(at_least(f"{name}_bfloat16_against_float32", ratio.median, 1.3))
    finish("byol_step", figures, gates, arguments)


if __name__ == "__main__":
    main()
