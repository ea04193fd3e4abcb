"""The batch of galaxies that volunteers are asked about."""

import pandas as pd
import pandera.pandas as pa

from galaxyloop.decision_tree import DecisionTree
from schemas.catalogue import coordinate_columns
from schemas.judgement import failures


def selection_schema(tree: DecisionTree) -> pa.DataFrameSchema:
    """One row a galaxy, the best ranked first; what is wanted of volunteers, and why."""
    information = pa.Column(checks=[pa.Check.ge(0), pa.Check.lt(float("inf"))])
    columns = {
        "rank": pa.Column("int64", pa.Check(_rise, error="ranks must rise from 1 or more")),
        "id_str": pa.Column(str, unique=True),
        **coordinate_columns(),
        "information_nats": information,
        **{f"{question}_information_nats": information for question in tree.question_names},
        "most_informative_question": pa.Column(str, pa.Check.isin(list(tree.question_names))),
        "n_votes": pa.Column("int64", pa.Check.ge(0)),
        "votes_wanted": pa.Column("int64", pa.Check.ge(1)),
        "asked": pa.Column("float64", pa.Check.in_range(0, 1.000001)),
        "why": pa.Column(str, pa.Check.str_length(min_value=1)),
    }
    return pa.DataFrameSchema(columns, strict=True, coerce=False, ordered=True)


def judge_selection(table: pd.DataFrame, tree: DecisionTree) -> pd.DataFrame:
    """What is wrong with a batch: row, column, value, reason."""
    return failures(table, selection_schema(tree))


def _rise(ranks: "pd.Series[int]") -> bool:
    """Whether ranks begin at 1 or more and rise from row to row."""
    return bool((ranks >= 1).all() and ranks.diff().dropna().gt(0).all())
