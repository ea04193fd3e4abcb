"""What a judge finds wrong with a table: one line a failure."""

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors


def failures(table: pd.DataFrame, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Everything in a table that its schema forbids.

    Returns:
        One line a failure: row (position in the table; missing where the whole table or a
        column is meant), column and value (empty where several columns together are meant),
        reason. Empty when the table is sound.
    """
    try:
        schema.validate(table.reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        # Of a rule between columns pandera lists every column of the row.
        is_between = (cases["schema_context"] == "DataFrameSchema") & cases["index"].notna()
        cases = cases[~(is_between & cases.duplicated(["schema_context", "index", "check"]))]
        is_between = is_between[cases.index]
        return pd.DataFrame(
            {
                "row": cases["index"].astype("Int64"),
                "column": cases["column"].astype(object).mask(is_between, ""),
                "value": cases["failure_case"].mask(is_between, ""),
                "reason": cases["check"].astype(str),
            }
        ).reset_index(drop=True)
    return pd.DataFrame({"row": [], "column": [], "value": [], "reason": []})
