"""Labels against images, and against splits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import LabelError
from galaxyloop.finetuning.labels import (
    Labels,
    check_trainable,
    match_labels_to_images,
    read_labels,
)
from galaxyloop.finetuning.targets import Target

IDS = [f"J{i:02d}" for i in range(10)]
RING = Target("binary", "label", ["no", "ring"])


def ring_labels(tmp_path: Path) -> Labels:
    table = pd.DataFrame({"id_str": IDS, "label": ["ring", "no"] * 5})
    table.to_csv(tmp_path / "labels.csv", index=False)
    return read_labels(str(tmp_path / "labels.csv"))


def test_match_labels_to_images__finds_the_places(tmp_path: Path) -> None:
    images = ["other", *IDS[:0:-1]]
    matched = match_labels_to_images(ring_labels(tmp_path), images, 0.1)
    assert [images[place] for place in matched.table["position"]] == IDS[1:]
    assert matched.table["id_str"].tolist() == IDS[1:]
    assert matched.counts["n_with_image"] == 9
    assert matched.counts["n_without_image"] == 1
    assert matched.counts["n_used"] == 10


def test_match_labels_to_images__refuses_when_none_match(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"10 of 10 labelled .* among 2, .*'J00'.*'x', 'y'"):
        match_labels_to_images(ring_labels(tmp_path), ["x", "y"], 0.99)


def test_match_labels_to_images__refuses_too_many_without_image(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"2 of 10 .* max_unmatched=0\.1 .*'J00', 'J01'") as told:
        match_labels_to_images(ring_labels(tmp_path), IDS[2:], 0.1)
    assert (told.value.n_wrong, told.value.n_read) == (2, 10)


def test_match_labels_to_images__refuses_a_class_whose_images_are_missing(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"with an image: 0 of 'no' among 5"):
        match_labels_to_images(ring_labels(tmp_path), IDS[::2], 0.5)


def test_check_trainable__names_the_split_and_the_class() -> None:
    enough = np.array([0.0, 0.0, 1.0, 1.0])
    check_trainable({"train": enough, "test": np.array([0.0, 1.0])}, RING)
    with pytest.raises(LabelError, match=r"train: 1 of 'ring' among 3 labels .* fewer than 2"):
        check_trainable({"train": enough[:3], "test": enough}, RING)
    with pytest.raises(LabelError, match=r"test: 0 of 'no' among 2 labels .* fewer than 1"):
        check_trainable({"train": enough, "test": enough[2:]}, RING)
    with pytest.raises(LabelError, match=r"test: 2 of 'no', 2 of 'ring' .* fewer than 3"):
        check_trainable({"test": enough}, RING, {"test": 3})


def test_check_trainable__needs_values_that_differ() -> None:
    target = Target("regression", "bulge")
    check_trainable({"train": np.array([1.0, 2.0]), "test": np.array([1.0])}, target)
    with pytest.raises(LabelError, match=r"train: 3 labels 'bulge' have 1 different values"):
        check_trainable({"train": np.ones(3)}, target)
