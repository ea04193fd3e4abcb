"""What must hold for every objective: its gradients, its moving average, its precision."""

import numpy as np
import pytest
import torch
from torch import Tensor

from galaxyloop.objectives import OBJECTIVES, Objective
from tests.library.objective_makers import (
    MAKERS,
    Case,
    loss_of,
    make_case,
    one_thread,  # noqa: F401 - of every test here
)

NAMES = sorted(MAKERS)


def targets_of(objective: Objective) -> dict[str, Tensor]:
    """What is not learnt, by name."""
    return {name: p for name, p in objective.named_parameters() if not p.requires_grad}


def learnt_by(objective: Objective) -> dict[str, Tensor]:
    return {name: p for name, p in objective.named_parameters() if p.requires_grad}


def online_name(target_name: str) -> str:
    """The parameter that a target's one follows."""
    assert target_name.startswith("target_")
    name = target_name.removeprefix("target_")
    return f"model.{name}" if name.startswith("encoder.") else name


def test_objectives__all_of_them_are_tested_here() -> None:
    assert set(OBJECTIVES) <= set(MAKERS)
    for name, kind in OBJECTIVES.items():
        assert isinstance(make_case(name).objective, kind)


@pytest.mark.parametrize("name", NAMES)
def test_objective__every_learnt_parameter_gets_a_gradient_beyond_rounding(name: str) -> None:
    case = make_case(name)
    loss_of(case).backward()
    norms = {}
    for parameter_name, parameter in learnt_by(case.objective).items():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        norms[parameter_name] = parameter.grad.norm().item()
    largest = max(norms.values())
    # What cancels exactly, such as a bias before batch normalisation, leaves about 1e-8 of it.
    assert {key: norm for key, norm in norms.items() if norm < 1e-5 * largest} == {}


@pytest.mark.parametrize("name", NAMES)
def test_objective__what_is_learnt_is_what_the_optimiser_gets(name: str) -> None:
    objective = make_case(name).objective
    groups = objective.parameter_groups(0.1)
    given = [id(p) for group in groups for p in group["params"]]
    assert len(set(given)) == len(given)
    assert set(given) == {id(p) for p in learnt_by(objective).values()}


@pytest.mark.parametrize("name", NAMES)
def test_objective__targets_are_other_objects_without_gradient(name: str) -> None:
    case = make_case(name)
    parameters = dict(case.objective.named_parameters())
    loss_of(case).backward()
    optimizer = torch.optim.AdamW(case.objective.parameter_groups(0.1), lr=1e-3)
    before = {key: target.clone() for key, target in targets_of(case.objective).items()}
    optimizer.step()
    for target_name, target in targets_of(case.objective).items():
        online = parameters[online_name(target_name)]
        assert target is not online
        assert target.data_ptr() != online.data_ptr()
        assert target.shape == online.shape
        assert target.grad is None
        assert torch.equal(target, before[target_name])
    storages = {p.untyped_storage().data_ptr() for p in parameters.values()}
    buffers = [b for b in case.objective.buffers() if b.numel()]
    storages |= {b.untyped_storage().data_ptr() for b in buffers}
    assert len(storages) == len(parameters) + len(buffers)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [0, 3, 8, 9])
def test_objective__targets_move_by_exactly_the_moving_average(name: str, step: int) -> None:
    objective = make_case(name).objective
    parameters = dict(objective.named_parameters())
    before = {key: p.detach().numpy().copy() for key, p in parameters.items()}
    buffers = {key: b.clone() for key, b in objective.named_buffers()}
    objective.after_step(step, 10)
    for key, parameter in parameters.items():
        after = parameter.detach().numpy()
        if parameter.requires_grad:
            assert np.array_equal(after, before[key])
            continue
        target, online = before[key], before[online_name(key)]
        cosine = np.cos(np.pi * step / 10)
        share = (1 - objective.config.base_decay) * (cosine + 1) / 2
        moved = target + np.float32(share) * (online - target)
        one_ulp = np.spacing(np.maximum(np.abs(target), np.abs(after)))
        assert np.all(np.abs(after - moved) <= one_ulp), key
        # The same as the paper writes it, without rounding in between.
        exact = (1 - share) * target.astype(np.float64) + share * online.astype(np.float64)
        one_ulp = np.spacing(np.maximum(np.abs(target), np.abs(online)))
        assert np.all(np.abs(after - exact) <= one_ulp), key
        assert not np.array_equal(after, before[key]), key
    for key, buffer in objective.named_buffers():
        assert torch.equal(buffer, buffers[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_objective__loss_and_gradients_are_finite_under_bfloat16(name: str) -> None:
    case = make_case(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(case)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    loss.backward()
    for parameter_name, parameter in learnt_by(case.objective).items():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.count_nonzero() > 0, parameter_name
    torch.testing.assert_close(loss, loss_of(make_case(name)), rtol=0.05, atol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_objective__same_seed_gives_the_same_bits_and_leaves_the_generator_alone(name: str) -> None:
    state = torch.get_rng_state()
    gradients = []
    for _ in range(2):
        case = make_case(name)
        loss = loss_of(case)
        loss.backward()
        grads = [p.grad for p in learnt_by(case.objective).values()]
        gradients.append([loss.detach(), *grads, *case.objective.buffers()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_objective__its_state_gives_the_same_loss_again(name: str) -> None:
    case = make_case(name)
    case.objective.after_step(0, 10)
    fresh, labels = MAKERS[name]()
    fresh.load_state_dict(case.objective.state_dict())
    restored = Case(fresh.train(), case.views, labels)
    assert torch.equal(loss_of(restored), loss_of(case))
