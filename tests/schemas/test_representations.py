"""The schema of representations: sound tables pass, each fault is named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import RepresentationError
from galaxyloop.representations.config import AnomalyConfig
from galaxyloop.representations.joining import join_representations
from galaxyloop.representations.table import check_representations, read_representations
from schemas.representations import judge_representations
from tests.library.representation_tables import (
    random_galaxies,
    random_vectors,
    write_shard_file,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    galaxies = random_galaxies(20)
    file = write_shard_file(tmp_path / "shard.parquet", galaxies, random_vectors(20))
    path = tmp_path / "representations.parquet"
    join_representations([file], galaxies, AnomalyConfig(n_neighbours=3), path)
    return path


@pytest.fixture
def table(path: Path) -> pd.DataFrame:
    read = read_representations(path)
    return read.galaxies.assign(representation=list(read.vectors))


def test_check_representations__accepts_what_is_written(path: Path) -> None:
    assert check_representations(path, judge_representations) == 20


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("anomaly_score", 2.5, "in_range"),
        ("anomaly_percentile", 0.0, "in_range"),
        ("anomaly_score", np.nan, "not_nullable"),
        ("dec_deg", 91.0, "in_range"),
        ("id_str", "J00001", "field_uniqueness"),
    ],
)
def test_judge_representations__names_the_row_and_the_reason(
    table: pd.DataFrame, column: str, value: object, reason: str
) -> None:
    table[column] = table[column].mask(table["id_str"] == "J00004", value)
    found = judge_representations(table, 12)
    matching = found[found["reason"].str.contains(reason, regex=False)]
    assert 4 in set(matching["row"])


def test_judge_representations__finds_vectors_of_another_length(table: pd.DataFrame) -> None:
    vectors = table["representation"].tolist()
    vectors[2] = np.ones(5, np.float32)
    vectors[6] = np.full(12, np.nan, np.float32)
    found = judge_representations(table.assign(representation=vectors), 12)
    assert found["row"].tolist() == [2, 6]
    assert set(found["reason"]) == {"must be 12 finite numbers"}


def test_check_representations__names_the_first_fault(path: Path) -> None:
    def judge(rows: pd.DataFrame, n_features: int) -> pd.DataFrame:
        wrong = rows.assign(anomaly_score=np.float32(3))
        return judge_representations(wrong, n_features)

    with pytest.raises(RepresentationError, match=r"row 0, column 'anomaly_score': got 3\.0"):
        check_representations(path, judge)
