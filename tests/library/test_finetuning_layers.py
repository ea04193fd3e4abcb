"""Layers: every parameter once, lower ones slower, frozen ones not at all."""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from galaxyloop.config import ConfigError
from galaxyloop.encoders import build_encoder
from galaxyloop.finetuning.layers import (
    count_layers,
    freeze_layers,
    layer_groups,
    layer_numbers,
)
from galaxyloop.finetuning.objectives import LabelsObjective
from tests.library.finetuning_data import make_label_model

N_LAYERS = {
    "resnet_mini": 5,
    "resnet18": 5,
    "convnext_atto": 5,
    "efficientnet_b0": 8,
    "vit_tiny_patch16_224": 13,
}
"""The stem, and four stages, seven stages or twelve blocks."""


@pytest.mark.parametrize("name", N_LAYERS)
def test_layer_numbers__every_parameter_has_one_and_the_last_is_near_the_features(
    name: str,
) -> None:
    encoder = build_encoder(name)
    numbers = layer_numbers(encoder)
    assert set(numbers) == {name for name, _ in encoder.network.named_parameters()}
    assert set(numbers.values()) == set(range(N_LAYERS[name]))
    assert count_layers(encoder) == N_LAYERS[name]
    names = [name for name, _ in encoder.network.named_parameters()]
    assert numbers[names[0]] == 0
    assert numbers[names[-1]] == N_LAYERS[name] - 1


@pytest.mark.parametrize("name", N_LAYERS)
def test_layer_groups__hold_every_parameter_once_at_a_rate_that_falls_from_the_head(
    name: str,
) -> None:
    model = make_label_model(encoder=name)
    groups = layer_groups(model, 0.1, 0.5)
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(id(parameter) for parameter in model.parameters())
    shares = [group["learning_rate_share"] for group in groups]
    assert shares == sorted(shares)
    assert set(shares) == {0.5**depth for depth in range(N_LAYERS[name] + 1)}
    head = {id(parameter) for parameter in model.head.parameters()}
    for group in groups:
        is_head = {id(parameter) for parameter in group["params"]} <= head
        assert is_head == (group["learning_rate_share"] == 1.0)
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


@pytest.mark.parametrize("name", ["resnet_mini", "convnext_atto", "efficientnet_b0"])
@pytest.mark.parametrize("n_trained", [0, 1])
def test_freeze_layers__frozen_ones_get_no_gradient_and_keep_their_statistics(
    name: str, n_trained: int
) -> None:
    model = make_label_model(encoder=name)
    freeze_layers(model, n_trained, frozen_normalisation=False)
    model.train()
    network = model.encoder.network
    numbers = layer_numbers(model.encoder)
    frozen = {name for name, n in numbers.items() if n < N_LAYERS[model.encoder.name] - n_trained}
    before = {name: value.clone() for name, value in network.state_dict().items()}
    objective = LabelsObjective(model)
    optimizer = torch.optim.AdamW(objective.parameter_groups(0.1), lr=0.1)
    for _ in range(2):
        loss = objective.loss([torch.rand(4, 3, 32, 32)], torch.tensor([[0.0], [1.0]] * 2))
        loss.backward()
        optimizer.step()
    for parameter_name, parameter in network.named_parameters():
        assert (parameter.grad is None) == (parameter_name in frozen)
        assert torch.equal(parameter, before[parameter_name]) == (parameter_name in frozen)
    parents = {name.rsplit(".", 1)[0] for name in frozen}
    for buffer_name, value in network.named_buffers():
        if buffer_name.rsplit(".", 1)[0] in parents:
            assert torch.equal(value, before[buffer_name]), buffer_name
    assert all(not part.training for part in network.modules() if _is_all_in(part, frozen, network))
    assert model.head.training


def test_freeze_layers__normalisations_of_trained_layers_stay_only_if_asked() -> None:
    for is_frozen in (False, True):
        model = make_label_model()
        freeze_layers(model, N_LAYERS["resnet_mini"], frozen_normalisation=is_frozen)
        model.train()
        parts = [part for part in model.modules() if isinstance(part, _BatchNorm)]
        assert {part.training for part in parts} == {not is_frozen}
        assert {part.weight.requires_grad for part in parts} == {not is_frozen}
        kernels = [p for p in model.encoder.parameters() if p.ndim > 1]
        assert all(kernel.requires_grad for kernel in kernels)


def test_freeze_layers__keeps_names_and_outputs() -> None:
    model, same = make_label_model().eval(), make_label_model().eval()
    freeze_layers(model, 1, frozen_normalisation=True)
    assert list(model.state_dict()) == list(same.state_dict())
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(model(images), same(images))
    assert model.describe() == same.describe()


def test_freeze_layers__refuses_more_layers_than_there_are() -> None:
    with pytest.raises(ConfigError, match=r"has 5 layers with its stem, got 9 to train"):
        freeze_layers(make_label_model(), 9, frozen_normalisation=False)


def _is_all_in(part: torch.nn.Module, frozen: set[str], network: torch.nn.Module) -> bool:
    """Whether a module has parameters, all of them frozen."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    own = [names[id(parameter)] for parameter in part.parameters()]
    return bool(own) and set(own) <= frozen
