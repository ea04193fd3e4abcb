"""The catalogue: vote posteriors of every galaxy of a survey."""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from galaxyloop.catalogue import catalogue_columns
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.flags import FLAGS
from schemas.judgement import failures

FRACTION_SUM_TOLERANCE = 1e-4
"""How far the fractions of a question may be from 1 in all; float32 itself is 1000 times finer."""
_ROUNDING = 1e-6  # Probabilities that are sums over parents reach 1 only to within float32.


def catalogue_schema(tree: DecisionTree) -> pa.DataFrameSchema:
    """One row a galaxy: exactly the catalogue's columns, nothing coerced.

    Fractions and probabilities lie in [0, 1], intervals are not inverted, and the fractions of a
    question sum to 1. Coordinates may be missing.
    """
    columns = {"id_str": pa.Column(str, unique=True), **coordinate_columns()}
    columns |= posterior_columns(tree) | quality_columns()
    ordered = {name: columns[name] for name in catalogue_columns(tree)}
    return pa.DataFrameSchema(
        ordered, checks=posterior_checks(tree), strict=True, coerce=False, ordered=True
    )


def judge_catalogue(table: pd.DataFrame, tree: DecisionTree) -> pd.DataFrame:
    """What is wrong with a catalogue, or with a part of one: row, column, value, reason."""
    return failures(table, catalogue_schema(tree))


def coordinate_columns() -> dict[str, pa.Column]:
    """Right ascension and declination [deg], float64; NaN where unknown."""
    return {
        "ra_deg": pa.Column("float64", pa.Check.in_range(0, 360), nullable=True),
        "dec_deg": pa.Column("float64", pa.Check.in_range(-90, 90), nullable=True),
    }


def posterior_columns(tree: DecisionTree) -> dict[str, pa.Column]:
    """The columns of answers and the probability asked, float32 from 0 to 1."""
    endings = ("fraction", "fraction_p05", "fraction_p95")
    names = [f"{column}_{ending}" for column in tree.columns for ending in endings]
    names += [f"{question}_asked" for question in tree.question_names]
    return dict.fromkeys(names, pa.Column("float32", pa.Check.in_range(0, 1 + _ROUNDING)))


def quality_columns() -> dict[str, pa.Column]:
    """How far the image is from the training galaxies (missing without a reference), and flags."""
    return {
        "feature_distance": pa.Column("float32", pa.Check.ge(0), nullable=True),
        "flags": pa.Column("int32", pa.Check.in_range(0, sum(FLAGS.values()))),
    }


def posterior_checks(tree: DecisionTree) -> list[pa.Check]:
    """What must hold between columns."""
    ordered = [_intervals_in_order(column) for column in tree.columns]
    return [*ordered, *(_fractions_sum_to_one(question) for question in tree.questions)]


def _intervals_in_order(column: str) -> pa.Check:
    """The 5 % point is not above the 95 % point."""
    low, high = f"{column}_fraction_p05", f"{column}_fraction_p95"

    def is_in_order(table: pd.DataFrame) -> "pd.Series[bool]":
        return table[low] <= table[high]

    return pa.Check(is_in_order, error=f"{low} must not be above {high}")


def _fractions_sum_to_one(question: Question) -> pa.Check:
    """The mean fractions of a question's answers sum to 1."""
    names = [f"{column}_fraction" for column in question.columns]

    def is_one(table: pd.DataFrame) -> "pd.Series[bool]":
        total = table[names].astype(np.float64).sum(axis=1)
        return (total - 1).abs() <= FRACTION_SUM_TOLERANCE

    return pa.Check(is_one, error=f"the fractions of {question.name} must sum to 1")
