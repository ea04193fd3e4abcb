"""The table of splits: which galaxies train, validate and test."""

import hashlib
from typing import Annotated

import numpy as np
import pandas as pd
import pandera.pandas as pa
from flytekit import HashMethod
from pandera.typing.pandas import DataFrame, Series

from galaxyloop.splits import SPLITS


class SplitTable(pa.DataFrameModel):
    """One row a galaxy; all rows of one group share split and fold."""

    id_str: Series[str] = pa.Field(unique=True)
    group_id: Series[str]
    split: Series[str] = pa.Field(isin=list(SPLITS))
    fold: Series[np.int64] = pa.Field(ge=0)

    class Config:
        """Exactly these columns, nothing converted."""

        strict = True
        coerce = False

    @pa.dataframe_check(error="galaxies of one group are in different splits or folds")
    def _keeps_groups_together(cls, splits: pd.DataFrame) -> "pd.Series[bool]":
        groups = splits.groupby("group_id")[["split", "fold"]].transform("nunique")
        return (groups == 1).all(axis=1)


def split_digest(splits: pd.DataFrame) -> str:
    """SHA-256 over the rows in order, for the cache of what is trained on them."""
    return hashlib.sha256(splits.to_csv(index=False).encode()).hexdigest()


KeyedSplits = Annotated[DataFrame[SplitTable], HashMethod(split_digest)]
"""A split table that Flyte keys on its content."""
