"""The list of galaxies to ask volunteers about next."""

import numpy as np
import pandas as pd
import pandera.pandas as pa

from galaxyloop.decision_tree import DecisionTree
from schemas.catalogue import coordinate_columns
from schemas.judgement import failures


def acquisition_schema(tree: DecisionTree) -> pa.DataFrameSchema:
    """One row a galaxy, the most informative first: ranks 1 to n, information >= 0."""
    information = pa.Column("float64", [pa.Check.ge(0), pa.Check.lt(float("inf"))])
    own = pa.Column(checks=[pa.Check(_is_information, error="information must be finite, >= 0")])
    columns = {
        "rank": pa.Column("int64", pa.Check(_counts_from_one, error="ranks must run 1, 2, ..., n")),
        "id_str": pa.Column(str, unique=True),
        **coordinate_columns(),
        "information_nats": information,
        **{f"{question}_information_nats": own for question in tree.question_names},
        "most_informative_question": pa.Column(str, pa.Check.isin(list(tree.question_names))),
    }
    return pa.DataFrameSchema(columns, strict=True, coerce=False, ordered=True)


def judge_acquisition(table: pd.DataFrame, tree: DecisionTree) -> pd.DataFrame:
    """What is wrong with an acquisition list: row, column, value, reason."""
    return failures(table, acquisition_schema(tree))


def _counts_from_one(ranks: "pd.Series[int]") -> bool:
    """Whether the ranks are 1, 2, ... in the order of the rows."""
    return bool(np.array_equal(ranks.to_numpy(), np.arange(1, len(ranks) + 1)))


def _is_information(values: "pd.Series[float]") -> "pd.Series[bool]":
    """Finite floats that are not negative, of either width."""
    if not pd.api.types.is_float_dtype(values):
        return pd.Series(data=False, index=values.index)
    return (values >= 0) & (values < float("inf"))
