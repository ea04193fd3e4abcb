"""The encoder over cutouts: views that only move pixels, layouts and precisions that change no
more than rounding."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from galaxyloop.encoders import Encoder
from galaxyloop.encoding import N_TURNS, encode_batches, encoding, turned
from galaxyloop.feeding import slices
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from tests.library.shard_files import random_images


def small_model() -> GalaxyEncoder:
    with seeded(0):
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.5),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        )
    return GalaxyEncoder(Encoder("small", network, 8), 16, Normalisation())


def test_turned__gives_the_eight_views_that_need_no_interpolation() -> None:
    image = random_images(1)
    views = [turned(torch.from_numpy(image), turn)[0].numpy() for turn in range(N_TURNS)]
    np.testing.assert_array_equal(views[0], image[0])
    expected = {
        np.rot90(flipped, k).tobytes() for flipped in (image[0], image[0][::-1]) for k in range(4)
    }
    assert {view.tobytes() for view in views} == expected
    assert len(expected) == 8


def test_encode_batches__gives_the_features_of_the_plain_model() -> None:
    model, images = small_model(), random_images(11)
    parts = list(encode_batches(model, slices(images, 4)))
    assert [len(part) for part in parts] == [4, 4, 3]
    assert model.training
    with torch.no_grad():
        expected = model.eval().features(torch.from_numpy(images).permute(0, 3, 1, 2))
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-5, atol=1e-5)


def test_encoding__computes_in_the_precision_asked_for_and_gives_float32() -> None:
    model, pixels = small_model(), torch.from_numpy(random_images(4))
    seen: list[torch.dtype] = []
    model.encoder.network[0].register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    for precision in ("float32", "bfloat16"):
        with encoding(model, precision) as encode:
            assert encode(pixels).dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16]


def test_encoding__compiled_sees_one_size_of_batch_and_gives_the_same_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def compile_nothing(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        def run(*inputs: torch.Tensor) -> object:
            sizes.extend(len(one) for one in inputs if one.dtype == torch.uint8)
            return graph(*inputs)

        return run

    # Traced as ever, but run without the minute that a compiler takes.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=compile_nothing))
    model, images = small_model(), torch.from_numpy(random_images(7))
    with encoding(model) as encode:
        expected = encode(images)
    with encoding(model, compiled_batch=4) as encode:
        found = torch.cat([encode(images[:4]), encode(images[4:])])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert set(sizes) == {4}
