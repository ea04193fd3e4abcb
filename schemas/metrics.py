"""How good a model is: question, metric, value, its interval, and over how many galaxies."""

import pandas as pd
import pandera.pandas as pa

from galaxyloop.decision_tree import DecisionTree
from schemas.judgement import failures

ALL_QUESTIONS = "all"
"""In the ``question`` column: over all questions together."""


def metric_schema(tree: DecisionTree) -> pa.DataFrameSchema:
    """One row for each question and metric; a value over no galaxies is NaN."""
    questions = [*tree.question_names, ALL_QUESTIONS]
    columns = {
        "question": pa.Column(str, pa.Check.isin(questions)),
        "metric": pa.Column(str),
        "value": pa.Column("float64", nullable=True),
        "low": pa.Column("float64", nullable=True),
        "high": pa.Column("float64", nullable=True),
        "n_galaxies": pa.Column("int64", pa.Check.ge(0)),
    }
    checks = [
        pa.Check(_is_measured, error="value must be finite where there are galaxies"),
        pa.Check(_is_in_order, error="low must not be above high"),
    ]
    return pa.DataFrameSchema(
        columns, checks=checks, strict=True, coerce=False, unique=["question", "metric"]
    )


def judge_metrics(table: pd.DataFrame, tree: DecisionTree) -> pd.DataFrame:
    """What is wrong with a table of metrics: row, column, value, reason."""
    return failures(table, metric_schema(tree))


def _is_measured(table: pd.DataFrame) -> "pd.Series[bool]":
    """A value is missing only where there was nothing to measure."""
    return table["value"].notna() | (table["n_galaxies"] == 0)


def _is_in_order(table: pd.DataFrame) -> "pd.Series[bool]":
    """Intervals are not inverted; they may be missing."""
    has_none = table["low"].isna() | table["high"].isna()
    return has_none | (table["low"] <= table["high"])
