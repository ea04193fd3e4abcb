"""The objectives of finetuning against torch's own losses, and against numbers worked by hand."""

import math

import pytest
import torch
from torch import nn

from galaxyloop.finetuning.objectives import LabelsObjective
from tests.library.finetuning_data import BRIGHT, SHADES, VALUE, make_label_model

IMAGES = torch.rand(6, 3, 16, 16)


def test_labels_objective__is_torchs_cross_entropy() -> None:
    model = make_label_model(SHADES).eval()
    labels = torch.tensor([[0.0], [1.0], [2.0], [2.0], [0.0], [1.0]])
    outputs = model(IMAGES)
    expected = nn.functional.cross_entropy(outputs, labels.squeeze(1).long())
    torch.testing.assert_close(LabelsObjective(model).loss([IMAGES], labels), expected)


def test_labels_objective__two_classes_by_one_logit_or_two_cost_the_same() -> None:
    model = make_label_model(BRIGHT).eval()
    labels = torch.tensor([[0.0], [1.0], [1.0], [0.0], [0.0], [1.0]])
    logits = model(IMAGES)
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    expected = nn.functional.cross_entropy(both, labels.squeeze(1).long())
    torch.testing.assert_close(LabelsObjective(model).loss([IMAGES], labels), expected)


def test_labels_objective__weighs_classes() -> None:
    model = make_label_model(BRIGHT).eval()
    nn.init.zeros_(model.head.linear.weight)
    nn.init.constant_(model.head.linear.bias, math.log(3))
    labels = torch.tensor([[1.0], [1.0], [1.0], [1.0], [0.0], [0.0]])
    loss = LabelsObjective(model, [1.5, 0.75]).loss([IMAGES], labels)
    expected = (4 * 0.75 * math.log(4 / 3) + 2 * 1.5 * math.log(4)) / 6
    torch.testing.assert_close(loss, torch.tensor(expected))


def test_labels_objective__is_the_squared_error_of_values() -> None:
    model = make_label_model(VALUE).eval()
    labels = torch.randn(6, 1)
    expected = nn.functional.mse_loss(model(IMAGES), labels)
    torch.testing.assert_close(LabelsObjective(model).loss([IMAGES], labels), expected)


@pytest.mark.parametrize("target", [BRIGHT, SHADES, VALUE])
def test_labels_objective__validation_sums_divide_to_the_loss(target) -> None:  # noqa: ANN001
    objective = LabelsObjective(make_label_model(target).eval())
    labels = torch.tensor([[0.0], [1.0]] * 3)
    total, divisor = objective.validation_sums(IMAGES, [], labels)
    torch.testing.assert_close(total / divisor, objective.loss([IMAGES], labels))


@pytest.mark.parametrize("target", [BRIGHT, SHADES, VALUE])
def test_labels_objective__is_float32_under_autocast_and_reaches_every_parameter(target) -> None:  # noqa: ANN001
    objective = LabelsObjective(make_label_model(target)).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective.loss([IMAGES], torch.tensor([[0.0], [1.0]] * 3))
    assert loss.dtype == torch.float32
    loss.backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert torch.count_nonzero(parameter.grad) > 0, name


def test_labels_objective__refuses_weights_of_other_classes() -> None:
    with pytest.raises(ValueError, match=r"one for each of 3 classes, got 2"):
        LabelsObjective(make_label_model(SHADES), [1.0, 1.0])
