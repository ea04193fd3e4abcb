"""Representations of a survey's galaxies."""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from galaxyloop.representations.table import SURVEY_COLUMNS, VECTOR
from schemas.catalogue import coordinate_columns
from schemas.judgement import failures


def representation_schema(n_features: int) -> pa.DataFrameSchema:
    """One row a galaxy: exactly the columns of a survey's representations, nothing coerced.

    Each representation has ``n_features`` finite numbers. Scores are cosine distances, percentiles
    shares of the survey. Coordinates may be missing.
    """
    columns = {
        "id_str": pa.Column(str, unique=True),
        **coordinate_columns(),
        "group_id": pa.Column(str),
        "anomaly_score": pa.Column("float32", pa.Check.in_range(0, 2)),
        "anomaly_percentile": pa.Column("float32", pa.Check.in_range(0, 100, include_min=False)),
    }
    ordered = {name: columns[name] for name in SURVEY_COLUMNS}
    ordered[VECTOR] = pa.Column(object, _is_vector(n_features))
    return pa.DataFrameSchema(ordered, strict=True, coerce=False, ordered=True)


def judge_representations(table: pd.DataFrame, n_features: int) -> pd.DataFrame:
    """What is wrong with representations, or a part of them: row, column, value, reason."""
    return failures(table, representation_schema(n_features))


def _is_vector(n_features: int) -> pa.Check:
    """Every representation is an array of so many finite numbers."""

    def is_vector(vectors: pd.Series) -> "pd.Series[bool]":
        return vectors.map(
            lambda vector: np.shape(vector) == (n_features,) and bool(np.isfinite(vector).all())
        )

    return pa.Check(is_vector, error=f"must be {n_features} finite numbers")
