"""Targets: what labels and outputs mean."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from galaxyloop.errors import ConfigError, LabelError, UnknownNameError
from galaxyloop.finetuning.targets import TARGETS, Target, make_target, prediction_table

BINARY = Target("binary", "ring", ["no ring", "ring"])
MULTICLASS = Target("multiclass", "type", ["a", "b", "c"])
REGRESSION = Target("regression", "bulge", [], 3.0, 2.0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"1", "0"}, ["0", "1"]),
        ({"true", "false"}, ["false", "true"]),
        ({"yes", "no"}, ["no", "yes"]),
        ({"Y", "N"}, ["N", "Y"]),
        ({"barred", "not_barred"}, ["not_barred", "barred"]),
        ({"absent", "ring"}, ["absent", "ring"]),
        ({"lens", "non-lens"}, ["non-lens", "lens"]),
        ({"spiral", "elliptical"}, ["elliptical", "spiral"]),
        ({"-1", "1"}, ["-1", "1"]),
        ({"north", "central"}, ["central", "north"]),
    ],
)
def test_make_target__puts_the_negative_class_first(found: set[str], expected: list[str]) -> None:
    for labels in (sorted(found), sorted(found, reverse=True)):
        assert make_target("binary", "x", labels).classes == expected


def test_make_target__sorts_numbers_by_value() -> None:
    assert make_target("multiclass", "x", ["10", "9", "2", "9"]).classes == ["2", "9", "10"]


def test_make_target__keeps_declared_classes_in_order() -> None:
    assert make_target("binary", "x", ["no", "yes"], ["yes", "no"]).classes == ["yes", "no"]


def test_make_target__of_values_knows_their_mean_and_spread() -> None:
    target = make_target("regression", "x", [1.0, 2.0, 6.0])
    assert (target.mean, target.std) == (3.0, pytest.approx(np.std([1, 2, 6])))
    standardised = target.standardise(np.array([1.0, 2.0, 6.0]))
    np.testing.assert_allclose(
        [standardised.mean(), standardised.std()], [0.0, 1.0], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("target", "n"), [(BINARY, 1), (MULTICLASS, 3), (REGRESSION, 1)])
def test_target__has_as_many_outputs_as_its_kind_needs(target: Target, n: int) -> None:
    assert target.n_outputs == n
    assert set(TARGETS) == {"binary", "multiclass", "regression"}


@pytest.mark.parametrize("target", [BINARY, MULTICLASS, REGRESSION])
def test_target__survives_json(target: Target) -> None:
    assert Target.from_json(target.to_json()) == target


def test_predict__equals_scipy() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 3)) * 5
    np.testing.assert_allclose(MULTICLASS.predict(logits), softmax(logits, axis=1), rtol=1e-12)
    one = logits[:, :1]
    expected = np.hstack([expit(-one), expit(one)])
    np.testing.assert_allclose(BINARY.predict(one), expected, rtol=1e-12)


@pytest.mark.parametrize(("target", "n"), [(BINARY, 1), (MULTICLASS, 3)])
def test_predict__of_huge_logits_still_sums_to_one(target: Target, n: int) -> None:
    outputs = np.array([[1e4], [-1e4], [0.0]]) * np.arange(1.0, n + 1)
    np.testing.assert_allclose(target.predict(outputs).sum(axis=1), np.ones(3))


def test_predict__undoes_the_standardising() -> None:
    values = np.array([-1.0, 0.5, 7.0])
    back = REGRESSION.predict(REGRESSION.standardise(values)[:, None])
    np.testing.assert_allclose(back, values, rtol=1e-12)


def test_fitted_to__changes_only_the_scale_of_values() -> None:
    assert BINARY.fitted_to(np.array([0.0, 1.0])) == BINARY
    assert REGRESSION.fitted_to(np.array([0.0, 4.0])) == Target("regression", "bulge", [], 2.0, 2.0)


def test_encode__is_the_place_among_the_classes() -> None:
    assert MULTICLASS.encode(["c", "a", "b"]).tolist() == [2.0, 0.0, 1.0]
    assert REGRESSION.encode([2.5, -1.0]).tolist() == [2.5, -1.0]


def test_encode__refuses_labels_that_are_no_class() -> None:
    with pytest.raises(LabelError, match=r"1 labels 'type' are none of .*\['d'\]"):
        MULTICLASS.encode(["a", "d"])


def test_prediction_table__names_the_likeliest_class() -> None:
    probabilities = np.array([[0.7, 0.3], [0.2, 0.8]])
    table = prediction_table(["g1", "g2"], np.array([1.0, 1.0]), probabilities, BINARY)
    expected = pd.DataFrame(
        {
            "id_str": ["g1", "g2"],
            "label": ["ring", "ring"],
            "prediction": ["no ring", "ring"],
            "probability-no ring": [0.7, 0.2],
            "probability-ring": [0.3, 0.8],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_predict__takes_off_what_classes_counted_in_training() -> None:
    shares = np.array([0.6, 0.3, 0.1])
    target = replace(MULTICLASS, class_weights=(1 / (3 * shares)).tolist())
    # Outputs that cannot tell the classes apart leave the training labels' shares.
    nothing = target.predict(np.zeros((1, 3)))
    np.testing.assert_allclose(nothing, [shares])
    np.testing.assert_allclose(target.as_trained(nothing), [[1 / 3] * 3])
    outputs = np.random.default_rng(0).normal(size=(50, 3))
    as_before = MULTICLASS.predict(outputs)
    np.testing.assert_allclose(target.as_trained(target.predict(outputs)), as_before)
    assert target.decide(target.predict(outputs)).tolist() == as_before.argmax(axis=1).tolist()


def test_prediction_table__says_a_rare_class_where_it_is_likelier_than_its_share() -> None:
    target = replace(BINARY, class_weights=[0.5, 5.0])
    table = prediction_table(["a", "b"], np.zeros(2), np.array([[0.8, 0.2], [0.95, 0.05]]), target)
    assert table["prediction"].tolist() == ["ring", "no ring"]
    assert table["probability-ring"].tolist() == [0.2, 0.05]


def test_prediction_table__of_values_has_no_probabilities() -> None:
    table = prediction_table(["g"], np.array([1.0]), np.array([2.0]), REGRESSION)
    assert table.to_dict("list") == {"id_str": ["g"], "label": [1.0], "prediction": [2.0]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("binary", "x", ["a", "b", "c"]), r"binary target needs 2 to 2 classes, got 3"),
        (("multiclass", "x", ["a"]), r"multiclass target needs 2 to .* classes, got 1: \['a'\]"),
        (("regression", "x", ["a", "b"]), r"regression target needs 0 to 0 classes, got 2"),
        (("multiclass", "x", ["a", "b", "a"]), r"must differ .* \['a', 'b', 'a'\]"),
        (("binary", "x", ["a", "b"], 0.0, 1.0, [1.0]), r"finite number > 0 for each of 2 classes"),
        (("binary", "x", ["a", "b"], 0.0, 1.0, [1.0, 0.0]), r"class_weights must be none, or"),
        (("regression", "x", [], 0.0, 0.0), r"std must be finite and > 0, got 0\.0"),
        (("regression", "x", [], float("nan"), 1.0), r"mean must be finite, got nan"),
    ],
)
def test_target__refuses_what_its_kind_cannot_be(settings: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=message):
        Target(*settings)


def test_target__refuses_unknown_kinds() -> None:
    with pytest.raises(UnknownNameError, match="no kind of target 'ranking'"):
        Target("ranking", "x", [])
