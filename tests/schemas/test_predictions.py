"""The predictions' schema: what is told of images is judged too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.predictions import ImageQuality, prediction_columns, write_predictions
from schemas.predictions import judge_predictions

TREE = DecisionTree("toy", (Question("smooth-or-featured-toy", ("smooth", "featured")),))


class Posterior:
    """Three galaxies about which nothing is known."""

    fraction = np.full((3, 2), 0.5)
    p05 = np.full((3, 2), 0.05)
    p95 = np.full((3, 2), 0.95)
    asked = np.ones((3, 1))


@pytest.fixture
def predictions(tmp_path: Path) -> pd.DataFrame:
    index = pd.DataFrame({"id_str": ["1", "2", "3"], "ra_deg": np.nan, "dec_deg": np.nan})
    quality = ImageQuality(np.array([0.5, np.nan, 3.25], np.float32), np.array([0, 2, 1]))
    path = tmp_path / "predictions.parquet"
    index = index.assign(image_digest="d")
    write_predictions(index, Posterior(), np.zeros((3, 1)), TREE, path, quality)
    return pd.read_parquet(path)


def test_judge_predictions__accepts_flags_and_unknown_distances(predictions: pd.DataFrame) -> None:
    assert tuple(predictions)[-2:] == prediction_columns(TREE)[-2:] == ("feature_distance", "flags")
    assert predictions["flags"].dtype == np.int32
    assert predictions["feature_distance"].dtype == np.float32
    assert judge_predictions(predictions, TREE).empty


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("feature_distance", np.float32(-0.5), "greater_than_or_equal_to(0)"),
        ("flags", np.int32(-1), "in_range(0, 15)"),
        ("flags", np.int32(16), "in_range(0, 15)"),
    ],
)
def test_judge_predictions__finds_impossible_distances_and_flags(
    predictions: pd.DataFrame, column: str, value: object, reason: str
) -> None:
    predictions.loc[2, column] = value
    found = judge_predictions(predictions, TREE)
    assert found[["row", "column", "value", "reason"]].to_numpy().tolist() == [
        [2, column, value, reason]
    ]


def test_judge_predictions__wants_flags_as_32_bits(predictions: pd.DataFrame) -> None:
    found = judge_predictions(predictions.astype({"flags": "int64"}), TREE)
    assert found["reason"].str.contains("int32").any()
