"""The catalogue's and the predictions' schemas: sound tables pass, each fault is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.catalogue import (
    CatalogueProvenance,
    catalogue_columns,
    prediction_columns,
    write_catalogue,
    write_predictions,
)
from galaxyloop.decision_tree import DecisionTree, Question
from schemas.catalogue import judge_catalogue
from schemas.predictions import judge_predictions

TREE = DecisionTree(
    "toy",
    (
        Question("smooth-or-featured-toy", ("smooth", "featured", "artifact")),
        Question("bar-toy", ("yes", "no"), ("smooth-or-featured-toy_featured",)),
    ),
)


class Posterior:
    """A posterior of random galaxies."""

    def __init__(self, n_galaxies: int) -> None:
        rng = np.random.default_rng(5)
        first = rng.dirichlet((1, 1, 1), n_galaxies)
        second = rng.dirichlet((1, 1), n_galaxies)
        self.fraction = np.hstack([first, second])
        self.p05 = self.fraction * 0.8
        self.p95 = 1 - (1 - self.fraction) * 0.8
        self.asked = np.stack([np.ones(n_galaxies), first[:, 1]], axis=1)


@pytest.fixture
def predictions_file(tmp_path: Path) -> Path:
    index = pd.DataFrame(
        {"id_str": ["1", "2", "3"], "ra_deg": np.nan, "dec_deg": [0.5, -90, 90]}
    ).assign(image_digest="d")
    write_predictions(
        index, Posterior(3), np.full((3, 2), 0.25), TREE, tmp_path / "predictions.parquet"
    )
    return tmp_path / "predictions.parquet"


@pytest.fixture
def catalogue(predictions_file: Path) -> pd.DataFrame:
    provenance = CatalogueProvenance("m", "1", "ab", "toy", "0.1.0", "2026-01-02", "cd")
    path = predictions_file.with_name("catalogue.parquet")
    write_catalogue([predictions_file], TREE, provenance, path)
    return pd.read_parquet(path)


def test_judge_predictions__accepts_what_is_written(predictions_file: Path) -> None:
    table = pd.read_parquet(predictions_file)
    assert tuple(table) == prediction_columns(TREE)
    assert judge_predictions(table, TREE).empty


def test_judge_predictions__finds_negative_information(predictions_file: Path) -> None:
    table = pd.read_parquet(predictions_file)
    table.loc[2, "bar-toy_information_nats"] = np.float32(-0.5)
    found = judge_predictions(table, TREE)
    assert found[["row", "column", "value"]].to_numpy().tolist() == [
        [2, "bar-toy_information_nats", -0.5]
    ]


def test_judge_catalogue__accepts_what_is_written(catalogue: pd.DataFrame) -> None:
    assert tuple(catalogue) == catalogue_columns(TREE)
    assert judge_catalogue(catalogue, TREE).empty


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("bar-toy_yes_fraction", 1.5, "in_range"),
        ("bar-toy_yes_fraction", np.nan, "not_nullable"),
        ("bar-toy_asked", -0.1, "in_range"),
        ("bar-toy_no_fraction", 0.0, "the fractions of bar-toy must sum to 1"),
        ("bar-toy_no_fraction_p95", 0.0, "bar-toy_no_fraction_p05 must not be above"),
        ("dec_deg", 91.0, "in_range"),
    ],
)
def test_judge_catalogue__names_the_row_and_the_reason(
    catalogue: pd.DataFrame, column: str, value: float, reason: str
) -> None:
    catalogue[column] = catalogue[column].mask(catalogue["id_str"] == "2", value)
    found = judge_catalogue(catalogue, TREE)
    matching = found[found["reason"].str.contains(reason, regex=False)]
    assert set(matching["row"]) == {1}


def test_judge_catalogue__tells_a_rule_between_columns_once_a_row(catalogue: pd.DataFrame) -> None:
    broken = catalogue.assign(**{"bar-toy_no_fraction": np.float32(0.0)})
    found = judge_catalogue(broken, TREE)
    of_sum = found[found["reason"].str.contains("must sum to 1")]
    assert of_sum["row"].tolist() == [0, 1, 2]
    assert set(of_sum["column"]) == set(of_sum["value"]) == {""}


def test_judge_catalogue__refuses_unknown_and_missing_columns(catalogue: pd.DataFrame) -> None:
    renamed = catalogue.rename(columns={"bar-toy_asked": "bar_asked"})
    found = judge_catalogue(renamed, TREE)
    assert {"bar_asked", "bar-toy_asked"} <= set(found["value"])


def test_judge_catalogue__refuses_repeated_galaxies(catalogue: pd.DataFrame) -> None:
    found = judge_catalogue(catalogue.assign(id_str=["1", "2", "2"]), TREE)
    assert "2" in set(found["value"])


def test_judge_catalogue__coerces_nothing(catalogue: pd.DataFrame) -> None:
    found = judge_catalogue(catalogue.astype({"bar-toy_asked": "float64"}), TREE)
    assert found["reason"].str.contains("float32").any()
