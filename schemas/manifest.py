"""The table of a survey's galaxies, row by row under judgement."""

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors
from pandera.typing.pandas import Series

from galaxyloop.errors import ManifestError
from galaxyloop.surveys.manifest import CONTROL_REASON, FLOAT_REASON, MISSING_REASON
from galaxyloop.table_files import CONTROL_CHARACTER, FLOAT_ID, MISSING_IDS

_COLUMNS = ["id_str", "image_uri", "ra_deg", "dec_deg", "survey", "group_id"]


class ManifestRows(pa.DataFrameModel):
    """Manifest rows, each judged by itself; ``read_manifest`` sets repeated ids aside.

    ``id_str`` names a galaxy image, ``group_id`` the galaxy it shows.
    """

    id_str: Series[str]
    image_uri: Series[str]
    ra_deg: Series[np.float64] = pa.Field(nullable=True)
    dec_deg: Series[np.float64] = pa.Field(nullable=True)
    survey: Series[str]
    group_id: Series[str]

    class Config:
        """Exactly these columns, nothing converted."""

        strict = True
        coerce = False

    @pa.check("id_str", "image_uri", "survey", "group_id", error="empty")
    def _is_not_empty(cls, text: Series[str]) -> "pd.Series[bool]":
        return text.str.strip() != ""

    @pa.check("id_str", error="spaces around it")
    def _is_trimmed(cls, text: Series[str]) -> "pd.Series[bool]":
        return (text.str.strip() == text) | (text.str.strip() == "")

    @pa.check("id_str", error=MISSING_REASON)
    def _is_no_word_for_none(cls, text: Series[str]) -> "pd.Series[bool]":
        return ~text.str.strip().str.casefold().isin(MISSING_IDS - {""})

    @pa.check("id_str", "group_id", error=CONTROL_REASON)
    def _is_printable(cls, text: Series[str]) -> "pd.Series[bool]":
        return ~text.str.contains(CONTROL_CHARACTER)

    @pa.check("id_str", "group_id", error=FLOAT_REASON)
    def _has_all_digits(cls, text: Series[str]) -> "pd.Series[bool]":
        return ~text.str.strip().str.fullmatch(FLOAT_ID.pattern)

    @pa.check("ra_deg", error="outside [0, 360]")
    def _is_right_ascension(cls, angle: Series[np.float64]) -> "pd.Series[bool]":
        return angle.between(0, 360) | angle.isna()

    @pa.check("dec_deg", error="outside [-90, 90]")
    def _is_declination(cls, angle: Series[np.float64]) -> "pd.Series[bool]":
        return angle.between(-90, 90) | angle.isna()

    @pa.dataframe_check(error="absent though dec_deg is given")
    def _has_ra_deg(cls, rows: pd.DataFrame) -> "pd.Series[bool]":
        return rows["ra_deg"].notna() | rows["dec_deg"].isna()

    @pa.dataframe_check(error="absent though ra_deg is given")
    def _has_dec_deg(cls, rows: pd.DataFrame) -> "pd.Series[bool]":
        return rows["dec_deg"].notna() | rows["ra_deg"].isna()


_OF_TWO_COLUMNS = {
    "absent though dec_deg is given": "ra_deg",
    "absent though ra_deg is given": "dec_deg",
}
"""Pandera names each filled column of a row that fails such a check; at fault is the empty one."""


def judge_manifest(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that break a rule; made for ``galaxyloop.surveys.read_manifest``.

    Args:
        rows: the manifest's columns in their types, the number of each row as index.

    Returns:
        One line a failure: ``row`` (the index), ``column, value, reason``.

    Raises:
        ManifestError: the columns or their types are not a manifest's.
    """
    try:
        ManifestRows.validate(rows, lazy=True)
    except SchemaErrors as error:
        return _failures(error.failure_cases)
    return pd.DataFrame(
        {"row": pd.Series(dtype=np.int64), **dict.fromkeys(["column", "value", "reason"], "")},
        index=pd.RangeIndex(0),
    )


def _failures(cases: pd.DataFrame) -> pd.DataFrame:
    """Pandera's failure cases in the words of the rejects table."""
    of_table = cases[cases["index"].isna()]
    if len(of_table):
        first = of_table.iloc[0]
        raise ManifestError(
            f"a manifest must have exactly the columns {', '.join(_COLUMNS)} in their types; "
            f"{first['check']} failed with {first['failure_case']!r}"
        )
    at_fault = cases["check"].map(_OF_TWO_COLUMNS)
    cases = cases[at_fault.isna() | ~cases.duplicated(["index", "check"])]
    at_fault = at_fault[cases.index]
    return pd.DataFrame(
        {
            "row": cases["index"].astype(np.int64),
            "column": at_fault.fillna(cases["column"]).astype(str),
            "value": cases["failure_case"].map(str).where(at_fault.isna(), ""),
            "reason": cases["check"].astype(str),
        }
    ).reset_index(drop=True)
