"""The acquisition list's schema."""

import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import AcquisitionConfig, rank_galaxies
from galaxyloop.decision_tree import DecisionTree, Question
from schemas.acquisition import judge_acquisition

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")), Question("odd-toy", ("a", "b"))))


@pytest.fixture
def acquisition() -> pd.DataFrame:
    predictions = pd.DataFrame(
        {
            "id_str": ["1", "2", "3"],
            "ra_deg": [0.0, 10.0, np.nan],
            "dec_deg": [0.0, 10.0, np.nan],
            "bar-toy_information_nats": np.array([0.1, 0.3, 0.2], dtype=np.float32),
            "odd-toy_information_nats": np.array([0.0, 0.0, 0.4], dtype=np.float32),
        }
    )
    return rank_galaxies(predictions, TREE, AcquisitionConfig())


def test_judge_acquisition__accepts_what_is_ranked(acquisition: pd.DataFrame) -> None:
    assert judge_acquisition(acquisition, TREE).empty


def test_judge_acquisition__accepts_an_empty_list(acquisition: pd.DataFrame) -> None:
    assert judge_acquisition(acquisition.head(0), TREE).empty


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("rank", [1, 1, 2], "ranks must run"),
        ("rank", [2, 3, 4], "ranks must run"),
        ("information_nats", [0.5, -0.5, 0.1], "greater_than_or_equal_to(0)"),
        ("bar-toy_information_nats", [0.5, np.inf, 0.1], "information must be finite"),
        ("most_informative_question", ["bar-toy", "bulge-toy", "bar-toy"], "isin"),
        ("id_str", ["1", "1", "2"], "field_uniqueness"),
    ],
)
def test_judge_acquisition__names_the_reason(
    acquisition: pd.DataFrame, column: str, values: list[object], reason: str
) -> None:
    found = judge_acquisition(acquisition.assign(**{column: values}), TREE)
    assert found["reason"].str.contains(reason, regex=False).any()
