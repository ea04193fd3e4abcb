"""The vote head: bounded concentrations, and dropout that a caller can hold in hand."""

import pytest
import torch

from galaxyloop.heads import VoteHead


def test_vote_head__is_the_scaled_sigmoid_of_a_linear_layer() -> None:
    head = VoteHead(8, 5, dropout_rate=0.3).eval()
    features = torch.randn(4, 8)
    expected = 1 + 100 / (1 + torch.exp(-(features @ head.linear.weight.T + head.linear.bias)))
    torch.testing.assert_close(head(features), expected)


def test_vote_head__stays_between_1_and_101_in_float32_under_autocast() -> None:
    head = VoteHead(8, 5)
    features = 1e4 * torch.randn(64, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        concentrations = head(features.bfloat16())
    assert concentrations.dtype == torch.float32
    assert concentrations.min() >= 1
    assert concentrations.max() <= 101


def test_vote_head__masks_of_one_equal_no_dropout_and_each_mask_is_one_network() -> None:
    head = VoteHead(8, 5, dropout_rate=0.5).eval()
    features = torch.randn(3, 8)
    masks = torch.cat([torch.ones(1, 8), 2.0 * torch.randint(0, 2, (6, 8))])
    samples = head(features, masks)
    assert samples.shape == (7, 3, 5)
    torch.testing.assert_close(samples[0], head(features))
    for mask, sample in zip(masks, samples, strict=True):
        torch.testing.assert_close(sample, head(features * mask))


def test_vote_head__drops_features_in_training_only() -> None:
    head = VoteHead(64, 5, dropout_rate=0.5)
    features = torch.randn(3, 64)
    assert not torch.equal(head(features), head(features))
    head.eval()
    assert torch.equal(head(features), head(features))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_vote_head__refuses_a_dropout_rate_out_of_range(rate: float) -> None:
    with pytest.raises(ValueError, match=rf"\[0, 1\), got {rate}"):
        VoteHead(8, 5, dropout_rate=rate)
