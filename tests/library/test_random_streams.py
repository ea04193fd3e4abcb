"""Random numbers that depend on nothing but what they are for."""

import numpy as np
import pytest
import torch

from galaxyloop.random_streams import _mix, derive_seed, seeded, uniforms


def test_mix__is_splitmix64() -> None:
    # First outputs of the published generator started from the seed 1234567.
    golden = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + i * golden) % 2**64 for i in range(3)], dtype=np.uint64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert _mix(states).tolist() == expected


def test_uniforms__do_not_depend_on_the_other_items() -> None:
    items = np.arange(100)
    draws = uniforms((1, 2), items, 4)
    np.testing.assert_array_equal(uniforms((1, 2), items[[70, 3]], 4), draws[[70, 3]])
    np.testing.assert_array_equal(uniforms((1, 2), items, 2), draws[:, :2])


def test_uniforms__are_uniform_and_uncorrelated() -> None:
    draws = uniforms((5,), np.arange(100_000), 3)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws[:, 1], bins=20, range=(0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-square, 19 degrees, p = 0.001
    correlations = np.corrcoef(np.column_stack([draws, np.roll(draws[:, 0], 1)]), rowvar=False)
    assert np.abs(correlations[np.triu_indices(4, 1)]).max() < 0.015


def test_derive_seed__depends_on_every_key_and_their_order() -> None:
    seeds = {derive_seed(*keys) for keys in [(0,), (0, 0), (0, 1), (1, 0), (2, 1), (-1,)]}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeded__leaves_the_default_generator_alone() -> None:
    before = torch.get_rng_state()
    with seeded(1, 2):
        first = torch.rand(3)
    with seeded(1, 2):
        torch.testing.assert_close(torch.rand(3), first, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded__restores_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="no dimension"), seeded(3):
        raise ValueError(f"no dimension in {torch.rand(1)}")
    assert torch.equal(torch.get_rng_state(), before)
