"""BYOL equals the paper's formulas, and lightly's parts where these are installed."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from galaxyloop.config import ConfigError
from galaxyloop.objectives import ByolConfig, ByolObjective
from galaxyloop.objectives.byol import byol_loss, decay_at
from galaxyloop.random_streams import seeded
from tests.library.objective_makers import (
    SMALL,
    image_model,
    loss_of,
    make_case,
    one_thread,  # noqa: F401 - of every test here
)

NO_LIGHTLY = "lightly, which the reference is made of, is not installed: pip install lightly"


def vectors(n_galaxies: int, n_numbers: int, seed: int) -> Tensor:
    return torch.randn(n_galaxies, n_numbers, generator=torch.Generator().manual_seed(seed))


def test_byol_loss__is_the_squared_distance_of_unit_vectors() -> None:
    prediction, target = vectors(9, 16, 0), 5 * vectors(9, 16, 1)
    expected = 0.0
    for p, t in zip(prediction.double(), target.double(), strict=True):
        expected += float(((p / p.square().sum().sqrt() - t / t.square().sum().sqrt()) ** 2).sum())
    assert byol_loss(prediction, target).item() == pytest.approx(expected / 9, rel=1e-6)


@pytest.mark.parametrize(("factor", "loss"), [(3.0, 0.0), (-0.5, 4.0)])
def test_byol_loss__is_0_for_equal_directions_and_4_for_opposite_ones(
    factor: float, loss: float
) -> None:
    prediction = vectors(5, 8, 0)
    assert byol_loss(prediction, factor * prediction).item() == pytest.approx(loss, abs=1e-6)


def test_byol_loss__is_finite_for_vectors_of_length_0() -> None:
    prediction = torch.zeros(2, 8, requires_grad=True)
    loss = byol_loss(prediction, torch.zeros(2, 8))
    loss.backward()
    assert loss.item() == 2
    assert prediction.grad.isfinite().all()


def test_decay_at__rises_from_base_to_1_along_half_a_cosine() -> None:
    assert decay_at(0, 100, 0.99) == pytest.approx(0.99, abs=1e-15)
    assert decay_at(50, 100, 0.99) == pytest.approx(0.995, abs=1e-15)
    assert decay_at(100, 100, 0.99) == 1
    decays = [decay_at(step, 100, 0.9) for step in range(101)]
    assert all(before < after for before, after in pairwise(decays))


def test_decay_at__the_last_and_an_only_step_still_move_the_target() -> None:
    assert decay_at(99, 100, 0.99) < 1
    assert decay_at(0, 1, 0.99) == pytest.approx(0.99, abs=1e-15)
    assert decay_at(5, 10, 1.0) == 1


def test_byol_objective__loss_is_symmetric_in_the_views() -> None:
    case = make_case("byol")
    one = case.objective.loss(case.views, case.labels)
    other = case.objective.loss(case.views[::-1], case.labels)
    torch.testing.assert_close(one, other, rtol=1e-6, atol=0)


def test_byol_objective__loss_is_the_mean_of_both_directions() -> None:
    objective, views, labels = make_case("byol")
    online = [objective.predictor(objective.projector(objective.model(v))) for v in views]
    normalised = [objective.model.normalise(view) for view in views]
    target = [objective.target_projector(objective.target_encoder(v)) for v in normalised]
    expected = (byol_loss(online[0], target[1]) + byol_loss(online[1], target[0])) / 2
    torch.testing.assert_close(objective.loss(views, labels), expected)


def test_byol_objective__the_target_starts_as_the_online_network() -> None:
    objective = ByolObjective(image_model(), ByolConfig(**SMALL))
    pairs = (
        (objective.target_encoder, objective.model.encoder),
        (objective.target_projector, objective.projector),
    )
    for target, online in pairs:
        assert target is not online
        states = zip(target.state_dict().items(), online.state_dict().items(), strict=True)
        assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in states)
        assert [m.training for m in target.modules()] == [m.training for m in online.modules()]


def test_byol_objective__first_weights_are_a_function_of_the_seed() -> None:
    def first(seed: int) -> Tensor:
        return ByolObjective(image_model(), ByolConfig(**SMALL), seed).projector[0].weight

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


def test_byol_objective__the_target_normalises_by_its_own_batch_in_training() -> None:
    case, other = make_case("byol"), make_case("byol")
    for module in other.objective.target_encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(1e3)
            module.running_var.fill_(1e-3)
    assert torch.equal(loss_of(case), loss_of(other))
    assert not torch.equal(loss_of(case._replace(objective=case.objective.eval())), loss_of(other))


def test_byol_objective__running_statistics_of_the_target_follow_its_own_activations() -> None:
    case = make_case("byol")
    network = case.objective.target_encoder.network
    means: list[Tensor] = []
    network.bn1.register_forward_pre_hook(lambda _, args: means.append(args[0].mean((0, 2, 3))))
    loss_of(case)
    case.objective.after_step(0, 10)
    assert len(means) == 2
    expected = 0.9 * 0.1 * means[0] + 0.1 * means[1]
    torch.testing.assert_close(network.bn1.running_mean, expected)
    assert not torch.equal(
        network.bn1.running_mean, case.objective.model.encoder.network.bn1.running_mean
    )


def test_byol_objective__dropout_of_the_encoder_is_on_in_both_networks() -> None:
    model = image_model()
    model.encoder.network.global_pool = nn.Sequential(
        model.encoder.network.global_pool, nn.Dropout(0.5)
    )
    objective = ByolObjective(model, ByolConfig(**SMALL)).train()
    zeros: list[int] = []
    for encoder in (model.encoder, objective.target_encoder):
        encoder.register_forward_hook(lambda _, args, out: zeros.append(int((out == 0).sum())))
    views = [torch.rand(6, 3, 16, 16) for _ in range(2)]
    losses = []
    for seed in (1, 1, 2):
        with seeded(seed):
            losses.append(objective.loss(views, torch.zeros(6, 0)).item())
    assert losses[0] == losses[1] != losses[2]
    assert min(zeros) > 0.4 * 6 * 256
    objective.eval()
    objective.loss(views, torch.zeros(6, 0))
    assert max(zeros[-4:]) < min(zeros[:-4])


def test_byol_objective__labels_change_nothing() -> None:
    case = make_case("byol")
    labelled = make_case("byol")._replace(labels=torch.rand(6, 5))
    assert torch.equal(loss_of(case), loss_of(labelled))


def test_byol_objective__validation_sums_divide_to_the_loss_and_feed_the_monitors() -> None:
    objective, views, labels = make_case("byol")
    objective.eval()
    objective.reset_monitors()
    assert objective.monitors() == {}
    total, divisor = objective.validation_sums(views[0], views, labels)
    torch.testing.assert_close(total / divisor, objective.loss(views, labels))
    monitors = objective.monitors()
    assert set(monitors) == {"feature_std", "effective_rank"}
    assert 1 <= monitors["effective_rank"] <= 6


def test_byol_objective__refuses_a_training_batch_of_one() -> None:
    objective, views, labels = make_case("byol")
    one = [view[:1] for view in views]
    with pytest.raises(ConfigError, match=r"must have >= 2 galaxies .* got 1; set batch_size"):
        objective.loss(one, labels[:1])
    assert objective.eval().loss(one, labels[:1]).isfinite()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be >= 1, got 0"),
        ({"projection_size": 0}, "projection_size must be >= 1, got 0"),
        ({"base_decay": 1.5}, r"base_decay must be in \[0, 1\], got 1\.5"),
    ],
)
def test_byol_config__refuses_what_cannot_be(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ByolConfig(**setting)


def test_byol_objective__equals_lightly_in_loss_and_gradients() -> None:
    loss_module = pytest.importorskip("lightly.loss", reason=NO_LIGHTLY)
    heads = pytest.importorskip("lightly.models.modules", reason=NO_LIGHTLY)
    objective, views, labels = make_case("byol")
    hidden, size = SMALL["hidden_size"], SMALL["projection_size"]
    projector = heads.BYOLProjectionHead(objective.model.encoder.n_features, hidden, size)
    predictor = heads.BYOLPredictionHead(size, hidden, size)
    target_projector = heads.BYOLProjectionHead(objective.model.encoder.n_features, hidden, size)
    for theirs, ours in (
        (projector, objective.projector),
        (predictor, objective.predictor),
        (target_projector, objective.target_projector),
    ):
        # Theirs has one bias more, after the last layer; where it is 0 the heads are the same.
        missing, unexpected = theirs.layers.load_state_dict(ours.state_dict(), strict=False)
        assert (missing, unexpected) == (["3.bias"], [])
        nn.init.zeros_(theirs.layers[3].bias)

    encoder, target_encoder = objective.model.encoder, objective.target_encoder
    normalised = [objective.model.normalise(view) for view in views]
    predictions = [predictor(projector(encoder(view))) for view in normalised]
    with torch.no_grad():
        targets = [target_projector(target_encoder(view)) for view in normalised]
    criterion = loss_module.NegativeCosineSimilarity()
    pairs = ((predictions[0], targets[1]), (predictions[1], targets[0]))
    theirs = 0.5 * sum(criterion(*pair) for pair in pairs)
    theirs.backward()
    expected = [p.grad.clone() for p in encoder.parameters()]
    objective.zero_grad()
    ours = objective.loss(views, labels)
    ours.backward()
    # Theirs is the mean of -cos, ours the paper's mean of 2 - 2 cos.
    assert ours.item() == pytest.approx(2 + 2 * theirs.item(), abs=1e-6)
    for parameter, gradient in zip(encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient, rtol=1e-4, atol=1e-6)
    named = dict(predictor.layers.named_parameters())
    for name, parameter in objective.predictor.named_parameters():
        torch.testing.assert_close(parameter.grad, 2 * named[name].grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("step", [0, 4, 9])
def test_byol_objective__moves_its_target_as_lightly_does(step: int) -> None:
    utils = pytest.importorskip("lightly.models.utils", reason=NO_LIGHTLY)
    scheduler = pytest.importorskip("lightly.utils.scheduler", reason=NO_LIGHTLY)
    objective, other = make_case("byol").objective, make_case("byol").objective
    # Theirs reaches the end one step before the last, so that a run of one step more is ours.
    decay = scheduler.cosine_schedule(step, 10 + 1, objective.config.base_decay, 1.0)
    assert decay_at(step, 10, objective.config.base_decay) == pytest.approx(decay, abs=1e-15)
    assert math.isclose(decay_at(10, 10, 0.9), scheduler.cosine_schedule(10, 11, 0.9, 1.0))
    utils.update_momentum(other.model.encoder, other.target_encoder, m=decay)
    utils.update_momentum(other.projector, other.target_projector, m=decay)
    objective.after_step(step, 10)
    pairs = zip(objective.named_parameters(), other.named_parameters(), strict=True)
    for (name, ours), (_, theirs) in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8, msg=name)
