"""How good a model is: a row a question and metric, with its interval and number of galaxies."""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics import ALL_QUESTIONS, question_sets
from schemas.judgement import failures


def metric_schema(tree: DecisionTree) -> pa.DataFrameSchema:
    """One row for each question and metric; NaN where nothing could be measured.

    That is over no galaxies, and where the training galaxies give no mean to compare with. Rows
    that stand for many questions are named as ``question_sets`` says.
    """
    overall = [question for _, question in question_sets(tree)]
    number = pa.Column("float64", pa.Check(np.isfinite, error="must be finite"), nullable=True)
    columns = {
        "campaign": pa.Column(str, pa.Check.isin([*tree.by_campaign, ALL_QUESTIONS])),
        "question": pa.Column(str, pa.Check.isin([*tree.question_names, *overall])),
        "metric": pa.Column(str),
        "value": number,
        "low": number,
        "high": number,
        "n_galaxies": pa.Column("int64", pa.Check.ge(0)),
    }
    checks = [
        pa.Check(_is_over_galaxies, error="a value over no galaxies must be missing"),
        pa.Check(_is_in_order, error="low must not be above high"),
    ]
    return pa.DataFrameSchema(
        columns, checks=checks, strict=True, coerce=False, unique=["question", "metric"]
    )


def judge_metrics(table: pd.DataFrame, tree: DecisionTree) -> pd.DataFrame:
    """What is wrong with a table of metrics: row, column, value, reason."""
    return failures(table, metric_schema(tree))


def _is_over_galaxies(table: pd.DataFrame) -> "pd.Series[bool]":
    """Nothing is measured on nobody."""
    return table["value"].isna() | (table["n_galaxies"] > 0)


def _is_in_order(table: pd.DataFrame) -> "pd.Series[bool]":
    """Intervals are not inverted; they may be missing."""
    has_none = table["low"].isna() | table["high"].isna()
    return has_none | (table["low"] <= table["high"])
