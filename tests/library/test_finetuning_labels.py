"""Labels: what tables mean, and what is refused before anything trains."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyloop.errors import ConfigError, LabelError, UnknownNameError
from galaxyloop.finetuning.labels import (
    LabelConfig,
    read_labels,
)
from galaxyloop.finetuning.targets import Target
from tests.library.table_formats import FORMATS, write_as

IDS = [f"J{i:02d}" for i in range(10)]


def write(path: Path, labels: Sequence[object], ids: Sequence[object] = IDS) -> str:
    pd.DataFrame({"id_str": ids, "label": labels}).to_csv(path / "labels.csv", index=False)
    return str(path / "labels.csv")


def test_read_labels__of_two_words_is_binary_and_says_so(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, ["ring", "no ring"] * 5))
    assert labels.target == Target("binary", "label", ["no ring", "ring"])
    assert labels.table["id_str"].tolist() == IDS
    assert labels.table["label"].tolist() == ["ring", "no ring"] * 5
    assert labels.table["y"].tolist() == [1.0, 0.0] * 5
    assert labels.class_counts == {"no ring": 5, "ring": 5}
    assert "binary (2 different words)" in labels.told
    assert "'ring' is the positive class" in labels.told


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        ([0, 1] * 5, "binary", ["0", "1"]),
        ([0.0, 1.0] * 5, "binary", ["0", "1"]),
        (["TRUE", "FALSE"] * 5, "binary", ["FALSE", "TRUE"]),
        (["a", "b", "c", "b", "a", "c", "a", "b", "c", "c"], "multiclass", ["a", "b", "c"]),
        ([10, 9, 2, 10, 9, 2, 2, 2, 2, 2], "multiclass", ["2", "9", "10"]),
        (list(range(10)), "regression", []),
        ([0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9], "regression", []),
        ([0.5, 1.5] * 5, "regression", []),
    ],
)
def test_read_labels__decides_by_the_values(
    labels: list[object], kind: str, classes: list[str], tmp_path: Path
) -> None:
    target = read_labels(write(tmp_path, labels)).target
    assert (target.kind, target.classes) == (kind, classes)


def test_read_labels__of_values_keeps_them(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=10)
    labels = read_labels(write(tmp_path, values.tolist()))
    np.testing.assert_array_equal(labels.table["y"], values)
    np.testing.assert_array_equal(labels.table["label"], values)
    assert (labels.target.mean, labels.target.std) == (values.mean(), values.std())
    assert labels.class_counts == {}


def test_read_labels__takes_whole_numbers_as_values_if_told(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, [0, 1] * 5), LabelConfig(kind="regression"))
    assert labels.target == Target("regression", "label", [], 0.5, 0.5)


def test_read_labels__keeps_declared_classes_that_read_like_nothing(tmp_path: Path) -> None:
    config = LabelConfig(classes=["none", "ring"])
    assert read_labels(write(tmp_path, ["none", "ring"] * 5), config).target.classes == [
        "none",
        "ring",
    ]


def test_read_labels__knows_declared_numbers_however_written(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, [1.0, 0.0] * 5), LabelConfig(classes=["0", "1"]))
    assert labels.class_counts == {"0": 5, "1": 5}


@pytest.mark.parametrize("ending", FORMATS)
def test_read_labels__is_the_same_from_every_format(ending: str, tmp_path: Path) -> None:
    ids = [587722981742084144 + i for i in range(6)]
    frame = pd.DataFrame({"objid": ids, "ring": ["yes", "no", "no"] * 2})
    uri = write_as(frame, ending, tmp_path / f"labels.{ending}")
    labels = read_labels(uri, LabelConfig(column="ring", id_column="objid"))
    assert labels.table["id_str"].tolist() == [str(i) for i in ids]
    assert labels.table["label"].tolist() == ["yes", "no", "no"] * 2
    assert labels.target == Target("binary", "ring", ["no", "yes"])


def test_read_labels__does_not_depend_on_the_rows_order(tmp_path: Path) -> None:
    told = read_labels(write(tmp_path, ["a", "b"] * 5))
    backwards = read_labels(write(tmp_path, ["b", "a"] * 5, IDS[::-1]))
    pd.testing.assert_frame_equal(told.table, backwards.table)
    assert told.target == backwards.target


def test_read_labels__collapses_repeated_rows_and_counts_add_up(tmp_path: Path) -> None:
    ids = [*IDS, IDS[0], IDS[1], "", "J99"]
    labels = [*(["ring", "no"] * 5), "ring", "no", "ring", ""]
    read = read_labels(write(tmp_path, labels, ids), LabelConfig(max_rejected=0.2))
    counts = read.counts
    expected = {"n_used": 10, "n_repeated": 2, "n_undefined": 0, "n_rejected": 2}
    assert counts == {"n_read": 14} | expected
    assert counts["n_read"] == sum(expected.values())


@pytest.mark.parametrize("filler", [-1, -1.0, "-1"])
def test_read_labels__leaves_out_undefined_labels_and_counts_them(
    filler: object, tmp_path: Path
) -> None:
    config = LabelConfig(undefined=["-1", "unsure"])
    labels = read_labels(write(tmp_path, [filler, 0, 1, 0, 1, 0, 1, 0, filler, 1]), config)
    assert labels.target.classes == ["0", "1"]
    assert labels.counts == {
        "n_read": 10,
        "n_used": 8,
        "n_repeated": 0,
        "n_undefined": 2,
        "n_rejected": 0,
    }
    assert "2 undefined" in labels.told


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([-1, 0, 1, 1, 0, 0, -1, 0, 1, 1], r"2 of 10 labels are -1, .*\['J00', 'J06'\]; set und"),
        ([0.1, 0.7, 0.3, -99, 0.9, 0.2, 0.1, 0.1, 0.2, 0.3], r"1 of 10 labels are -99\.0, which"),
        ([9999, 0, 1, 1, 0, 0, 9999, 0, 1, 1], r"2 of 10 labels are 9999, .* keep_fillers"),
    ],
)
def test_read_labels__refuses_what_looks_like_fillers_unless_told(
    labels: list[object], message: str, tmp_path: Path
) -> None:
    uri = write(tmp_path, labels)
    for kind in ("auto", "regression"):
        with pytest.raises(LabelError, match=message):
            read_labels(uri, LabelConfig(kind=kind))
    assert read_labels(uri, LabelConfig(keep_fillers=True)).counts["n_used"] == 10


def test_read_labels__takes_large_numbers_among_others_as_they_are(tmp_path: Path) -> None:
    values = [99.0, 12.5, 300.0, 7.0, 150.0, 80.0, -99.0, 20.0, 41.0, 66.0]
    assert read_labels(write(tmp_path, values)).table["y"].tolist() == values


def test_read_labels__refuses_when_every_label_is_undefined(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="every label in 'label' is among undefined"):
        read_labels(write(tmp_path, ["a"] * 10), LabelConfig(undefined=["a"]))


def test_read_labels__refuses_three_classes_if_told_that_there_are_two(tmp_path: Path) -> None:
    uri = write(tmp_path, ["a", "b", "c", "a", "b", "c", "a", "b", "c", "c"])
    with pytest.raises(LabelError, match=r"labels\.csv: a binary target needs 2 .* got 3: \['a'"):
        read_labels(uri, LabelConfig(kind="binary"))


def test_read_labels__counts_ragged_lines_among_the_rejects(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    lines = [f"{id_str},{label}" for id_str, label in zip(IDS, ["ring", "no"] * 5, strict=True)]
    path.write_text("\n".join(["id_str,label", *lines, "J99,ring,surplus"]) + "\n")
    with pytest.raises(LabelError, match="1 x another number of cells than the header"):
        read_labels(str(path))


@pytest.mark.parametrize(
    ("labels", "settings", "message", "numbers"),
    [
        (
            ["ring", "no", "lens", "no", "lens", "ring", "no", "no", "no", "no"],
            {"classes": ["no", "ring"]},
            r"2 of 10 labels .* not among the declared classes \['no', 'ring'\]: 'lens' \(2 x\); "
            r"first ids \['J02', 'J04'\]",
            (2, 10, ["J02", "J04"]),
        ),
        (["ring"] * 10, {}, r"all 10 labels are of one class, 'ring'", (10, 10, IDS[:5])),
        ([1] * 10, {}, r"all 10 labels are of one class, '1'", (10, 10, IDS[:5])),
        ([0.3] * 10, {}, r"all 10 labels are of one value, '0\.3'", (10, 10, IDS[:5])),
        (["ring"] + ["no"] * 9, {}, r"1 of 'ring' among 10 labels .* fewer than 2", (1, 10, [])),
        (
            ["ring", "no"] * 5,
            {"classes": ["no", "ring", "lens"]},
            r"0 of 'lens' among 10 labels .* fewer than 2",
            (0, 10, []),
        ),
        (
            ["ring", ""] + ["no"] * 8,
            {},
            r"1 of 10 rows .* max_rejected=0 .*\(1 x the label is missing\); row 1 \(id 'J01'\)",
            (1, 10, ["J01"]),
        ),
        ([0.1, float("nan")] + [0.2] * 8, {}, r"1 x the label is missing", (1, 10, ["J01"])),
        (
            [0.1, float("inf"), float("-inf")] + [0.2] * 7,
            {},
            r"2 x the label is infinite.*got 'inf'",
            (2, 10, ["J01", "J02"]),
        ),
        (
            ["0.1", "faint"] + ["0.2"] * 8,
            {"kind": "regression"},
            r"1 of 10 labels are no numbers, such as 'faint'; first ids \['J01'\]",
            (1, 10, ["J01"]),
        ),
    ],
)
def test_read_labels__refuses_labels_that_cannot_be_trained_on(
    labels: list[object],
    settings: dict[str, object],
    message: str,
    numbers: tuple[int, int, list[str]],
    tmp_path: Path,
) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(write(tmp_path, labels), LabelConfig.from_dict(settings))
    assert (caught.value.n_wrong, caught.value.n_read, caught.value.id_strs) == numbers


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("", "1 x the id is missing"),
        (" J00", "1 x the id has spaces around it"),
        ("5.877e+17", "1 x the id was written as a floating-point number"),
    ],
)
def test_read_labels__refuses_unusable_ids(first: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=message):
        read_labels(write(tmp_path, ["ring", "no"] * 5, [first, *IDS[1:]]))


def test_read_labels__refuses_ids_stored_as_floats(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id_str": [1.0, 2.0], "label": ["a", "b"]}), path)
    with pytest.raises(LabelError, match="stored as double"):
        read_labels(str(path))


def test_read_labels__refuses_labels_that_are_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id_str": ["a", "b"], "label": [[1], [2]]}), path)
    with pytest.raises(LabelError, match=r"labels in 'label' are stored as list<.*set column"):
        read_labels(str(path))


def test_read_labels__refuses_two_labels_of_a_galaxy(tmp_path: Path) -> None:
    uri = write(tmp_path, [*(["ring", "no"] * 5), "no"], [*IDS, "J00"])
    with pytest.raises(LabelError, match=r"1 of 10 galaxies .*'J00' with \['ring', 'no'\]") as told:
        read_labels(uri)
    assert told.value.id_strs == ["J00"]


def test_read_labels__names_the_columns_there_are(tmp_path: Path) -> None:
    uri = write(tmp_path, ["ring", "no"] * 5)
    with pytest.raises(LabelError, match="no column 'bar'; it has: id_str, label; set column"):
        read_labels(uri, LabelConfig(column="bar"))
    with pytest.raises(LabelError, match="no column 'objid'; .* set id_column"):
        read_labels(uri, LabelConfig(id_column="objid"))


def test_read_labels__refuses_a_table_without_rows(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="rows"):
        read_labels(write(tmp_path, [], []))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_rejected": 1.0}, r"max_rejected must be in \[0, 1\), got 1\.0"),
        ({"max_unmatched": -0.1}, r"max_unmatched must be in \[0, 1\), got -0\.1"),
        ({"classes": ["a"]}, r"needs 2 to .* classes, got 1"),
        ({"classes": ["a", "a"]}, r"classes must differ"),
        ({"classes": ["a", "b"], "undefined": ["b"]}, r"must not share labels, both have \['b'\]"),
        ({"kind": "regression", "classes": ["a", "b"]}, r"needs 0 to 0 classes, got 2"),
    ],
)
def test_label_config__refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelConfig.from_dict(settings)


def test_label_config__refuses_unknown_kinds() -> None:
    with pytest.raises(UnknownNameError, match="no kind of target 'ranks'; choose one of: auto"):
        LabelConfig(kind="ranks")
