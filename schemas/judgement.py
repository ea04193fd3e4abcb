"""What a judge finds wrong with a table: one line a failure."""

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors


def failures(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Everything in a table that its schema forbids.

    Returns:
        One line a failure: row (position in the table; missing where the whole table or a
        column is meant), column, value, reason. Empty when the table is sound.
    """
    try:
        schema.validate(table.reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        return pd.DataFrame(
            {
                "row": cases["index"].astype("Int64"),
                "column": cases["column"],
                "value": cases["failure_case"],
                "reason": cases["check"].astype(str),
            }
        ).reset_index(drop=True)
    return pd.DataFrame({"row": [], "column": [], "value": [], "reason": []})
