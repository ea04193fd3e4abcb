"""The table of votes, batch by batch as it is read."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from galaxyloop.campaigns import Campaign
from galaxyloop.errors import VoteTableError

_NOT_MISSING = "the cell is missing; write 0 where nobody answered"
_NOT_NEGATIVE = "votes must be 0 or above; mend the table"
_WHOLE = "votes must be a whole number; counts are never rounded"
_REASONS: Mapping[str, str] = MappingProxyType({"not_nullable": _NOT_MISSING})
"""Names of pandera's own checks to a reader's words; our checks carry theirs."""
_NO_FAILURES = pd.DataFrame({"row": [], "column": [], "value": [], "reason": []})
_TEXT = pd.Series([], dtype="str").dtype


def batch_schema(campaign: Campaign) -> pa.DataFrameSchema:
    """A batch of votes under judgement: exactly id_str and the campaign's answers.

    Votes are floats that must be whole, as tables publish 32.0 for 32: nothing is coerced, so 1.5
    fails and does not become 1.
    """
    votes = pa.Column(
        float,
        checks=[
            pa.Check.ge(0, error=_NOT_NEGATIVE),
            pa.Check(_is_whole, error=_WHOLE),
        ],
        nullable=False,
    )
    columns = {"id_str": pa.Column(str), **dict.fromkeys(campaign.tree.columns, votes)}
    return pa.DataFrameSchema(columns, strict=True, coerce=False, ordered=True)


def judge_votes(batch: pd.DataFrame, campaign: Campaign) -> pd.DataFrame:
    """Cells of a batch that are no vote counts; made for ``read_vote_table``.

    Nearly every row of a table is fine, and one look at all numbers tells so; pandera judges the
    others, and batches with another layout.

    Args:
        batch: id_str and a float column for each answer of the campaign.
        campaign: whose answers.

    Returns:
        One line a failure: row (position in the batch), column, value, reason.

    Raises:
        VoteTableError: the columns or their types are not the campaign's.
    """
    rows = _find_suspects(batch, campaign)
    if not len(rows):
        return _NO_FAILURES.copy()
    try:
        batch_schema(campaign).validate(batch.iloc[rows].reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        failures = _failures(error.failure_cases, campaign)
        return failures.assign(row=rows[failures["row"]])
    return _NO_FAILURES.copy()


def _find_suspects(batch: pd.DataFrame, campaign: Campaign) -> np.ndarray:
    """Rows that may fail: all of them if the columns or their types are not the campaign's."""
    kinds = {"id_str": _TEXT, **dict.fromkeys(campaign.tree.columns, np.dtype(np.float64))}
    if list(batch.columns) != list(kinds) or list(batch.dtypes) != list(kinds.values()):
        return np.arange(len(batch))
    votes = batch.iloc[:, 1:].to_numpy().T
    has_ids = batch.iloc[:, 0].notna().to_numpy()
    # Column by column: one fits into the processor's cache, the table does not.
    if has_ids.all() and all(_all_counts(column) for column in votes):
        return np.arange(0)
    is_count = (votes >= 0) & (votes < np.inf) & (votes == np.floor(votes))
    return np.flatnonzero(~(has_ids & is_count.all(axis=0)))


def _all_counts(votes: np.ndarray) -> bool:
    """Whether all numbers are finite, whole, and 0 or above; NaN is none of it."""
    is_in_range = votes.min(initial=0) >= 0 and votes.max(initial=0) < np.inf
    return bool(is_in_range and (votes == np.floor(votes)).all())


def _is_whole(votes: "pd.Series[float]") -> "pd.Series[bool]":
    """Whether each number is finite and whole."""
    return pd.Series(np.isfinite(votes) & (votes == np.floor(votes)), index=votes.index)


def _failures(cases: pd.DataFrame, campaign: Campaign) -> pd.DataFrame:
    """Pandera's failure cases in the words of the rejects table."""
    of_table = cases[cases["index"].isna()]
    if len(of_table):
        first = of_table.iloc[0]
        raise VoteTableError(
            f"a batch of votes does not have the columns of campaign '{campaign.name}': "
            f"{first['check']} of {first['column'] or 'the table'} fails with "
            f"{first['failure_case']!r}; give id_str and one float column an answer"
        )
    return pd.DataFrame(
        {
            "row": cases["index"].astype("int64"),
            "column": cases["column"],
            "value": cases["failure_case"],
            "reason": [_REASONS.get(check, check) for check in cases["check"]],
        }
    ).reset_index(drop=True)
