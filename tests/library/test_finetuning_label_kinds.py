"""One odd cell never changes what a table of labels is taken for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import LabelError
from galaxyloop.finetuning.label_cells import as_class_names
from galaxyloop.finetuning.labels import LabelConfig, read_labels

FRACTIONS = np.random.default_rng(0).uniform(size=40).round(3).tolist()


def write(path: Path, labels: Sequence[object]) -> str:
    ids = [f"J{i:03d}" for i in range(len(labels))]
    pd.DataFrame({"id_str": ids, "label": labels}, dtype=object).to_csv(path / "labels.csv")
    return str(path / "labels.csv")


@pytest.mark.parametrize("n_odd", [1, 2, 5])
def test_read_labels__are_the_same_classes_however_some_are_written(
    n_odd: int, tmp_path: Path
) -> None:
    labels = [*(["0", "1"] * 20), *(["1.0"] * n_odd)]
    read = read_labels(write(tmp_path, labels))
    assert (read.target.kind, read.target.classes) == ("binary", ["0", "1"])
    assert read.class_counts == {"0": 20, "1": 20 + n_odd}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 100 + [1] * 95 + [2], r"1 of 196 labels .*: '2' \(1 x\); .*undefined to \['2'\]"),
        ([0] * 100 + [1] * 95 + [2, 3], r"2 of 197 labels .* set kind to regression"),
        ([0] * 10 + [1] * 9 + [0.5], r"1 of 20 labels .*: '0\.5' \(1 x\)"),
    ],
)
def test_read_labels__refuses_a_number_that_comes_once_among_classes(
    labels: list[object], message: str, tmp_path: Path
) -> None:
    uri = write(tmp_path, labels)
    with pytest.raises(LabelError, match=message):
        read_labels(uri)
    assert read_labels(uri, LabelConfig(kind="regression")).target.kind == "regression"
    lone = [str(label) for label in set(labels) if labels.count(label) == 1]
    assert read_labels(uri, LabelConfig(undefined=lone)).target.classes == ["0", "1"]


@pytest.mark.parametrize(
    "labels", [FRACTIONS, [0.0, 1.0] * 10 + FRACTIONS, list(range(30)), [*range(30), 3, 4]]
)
def test_read_labels__of_many_numbers_are_values(labels: list[object], tmp_path: Path) -> None:
    assert read_labels(write(tmp_path, labels)).target.kind == "regression"


def test_as_class_names__keeps_every_digit() -> None:
    written = ["123456789012345678901", "1.0", "-0", "+2", "1e3"]
    found = as_class_names(pd.Series(written, dtype=object))
    assert found.tolist() == ["123456789012345678901", "1", "0", "2", "1000"]
    for labels in (["1.0", "1.5"], ["1.0", "ring"]):
        assert as_class_names(pd.Series(labels, dtype=object)).tolist() == labels


@pytest.mark.parametrize(
    ("labels", "filler", "n_fillers"),
    [
        ([*FRACTIONS, -1.0], -1.0, 1),
        ([0, 1, 2, 3] * 5 + [-1, -1], -1, 2),
        ([*FRACTIONS, -99999, -99999], -99999, 2),
        ([0, 1, 2, 3] * 5 + [-99], -99, 1),
        ([*FRACTIONS, -32768], -32768, 1),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "regression"])
def test_read_labels__refuses_fillers_among_values(
    labels: list[object], filler: float, n_fillers: int, kind: str, tmp_path: Path
) -> None:
    uri = write(tmp_path, labels)
    message = rf"{n_fillers} of {len(labels)} labels are {filler}.*keep_fillers"
    with pytest.raises(LabelError, match=message):
        read_labels(uri, LabelConfig(kind=kind))
    kept = read_labels(uri, LabelConfig(kind="regression", keep_fillers=True))
    assert kept.counts["n_used"] == len(labels)
    left_out = read_labels(uri, LabelConfig(kind=kind, undefined=[str(filler)]))
    assert left_out.counts["n_undefined"] == n_fillers


@pytest.mark.parametrize(
    "labels",
    [[-1, 1] * 5, [-2, -1, 0, 1, 2] * 4, [2, 9, 10, 10, 9, 2], [*range(-40, 0), 150, 150]],
)
def test_read_labels__takes_numbers_that_may_be_meant(labels: list[object], tmp_path: Path) -> None:
    assert read_labels(write(tmp_path, labels)).counts["n_used"] == len(labels)
