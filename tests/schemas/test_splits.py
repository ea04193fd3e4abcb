"""The table of splits."""

import pandas as pd
import pytest
from pandera.errors import SchemaErrors

from galaxyloop.splits import SplitConfig, fold_split, split_galaxies
from schemas.splits import SplitTable


def splits_of(**columns: list[object]) -> pd.DataFrame:
    good = {
        "id_str": ["a", "b"],
        "group_id": ["g", "g"],
        "split": ["train", "train"],
        "fold": [1, 1],
    }
    return pd.DataFrame(good | columns)


def test_split_table__takes_what_split_galaxies_gives() -> None:
    galaxies = pd.DataFrame({"id_str": [f"{i}" for i in range(50)]})
    galaxies["group_id"] = galaxies["id_str"].str[-1]
    splits = split_galaxies(galaxies, SplitConfig())
    SplitTable.validate(splits)
    SplitTable.validate(fold_split(splits, int(splits["fold"].iloc[0])))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"split": ["train", "test"]}, "different splits"),
        ({"fold": [0, 1]}, "different splits or folds"),
        ({"split": ["training", "training"]}, "isin"),
        ({"fold": [-1, -1]}, "greater_than_or_equal_to"),
        ({"fold": [1.0, 1.0]}, "int64"),
        ({"id_str": ["a", "a"]}, "DUPLICATES"),
        ({"weight": [1.0, 1.0]}, "COLUMN_NOT_IN_SCHEMA"),
    ],
)
def test_split_table__refuses(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(SchemaErrors, match=message):
        SplitTable.validate(splits_of(**columns), lazy=True)
