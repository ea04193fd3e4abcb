"""The predictions of one shard: what a catalogue and an acquisition are made from."""

import pandas as pd
import pandera.pandas as pa

from galaxyloop.catalogue import prediction_columns
from galaxyloop.decision_tree import DecisionTree
from schemas.catalogue import (
    coordinate_columns,
    posterior_checks,
    posterior_columns,
    quality_columns,
)
from schemas.judgement import failures


def prediction_schema(tree: DecisionTree) -> pa.DataFrameSchema:
    """One row a galaxy: the catalogue's columns, the image's digest and the information."""
    information = pa.Column("float32", [pa.Check.ge(0), pa.Check.lt(float("inf"))])
    columns = {
        "id_str": pa.Column(str, unique=True),
        **coordinate_columns(),
        "image_digest": pa.Column(str),
        **posterior_columns(tree),
        **{f"{question}_information_nats": information for question in tree.question_names},
        **quality_columns(),
    }
    ordered = {name: columns[name] for name in prediction_columns(tree)}
    return pa.DataFrameSchema(
        ordered, checks=posterior_checks(tree), strict=True, coerce=False, ordered=True
    )


def judge_predictions(table: pd.DataFrame, tree: DecisionTree) -> pd.DataFrame:
    """What is wrong with a shard's predictions: row, column, value, reason."""
    return failures(table, prediction_schema(tree))
