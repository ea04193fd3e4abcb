"""Cells of a batch as ids (always text) and as numbers (never guessed)."""

import re
from collections.abc import Container

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.rejects import BatchRejects

_MISSING_IDS = {"", "nan", "none", "null", "<na>"}
_FLOAT_ID = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+|\d+\.0*")


def read_ids(column: pa.Array, name: str, uri: str) -> np.ndarray:
    """Ids as text, exactly as the table has them.

    Raises:
        VoteTableError: the column stores floating-point numbers, which cannot hold 18 digits.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if not (pa.types.is_integer(kind) or _is_text(kind)):
        raise VoteTableError(
            f"{uri}: the ids in '{name}' are stored as {kind}, which may have lost digits; "
            "store them as text or whole numbers"
        )
    texts = pc.fill_null(pc.cast(column, pa.string()), "")
    return np.array(texts.to_pylist(), dtype=object)


def check_ids(rejects: BatchRejects, column: str) -> None:
    """Reject rows without a usable id."""
    for position, id_str in enumerate(rejects.id_strs):
        if id_str.strip().casefold() in _MISSING_IDS:
            reason = "the id is missing; give every galaxy one"
        elif id_str != id_str.strip():
            reason = "the id has spaces around it; remove them"
        elif _FLOAT_ID.fullmatch(id_str):
            reason = "the id was written as a floating-point number; write all its digits"
        else:
            continue
        rejects.add_one(position, column, id_str, reason)


def check_new(rejects: BatchRejects, seen: Container[str], column: str) -> None:
    """Reject rows whose galaxy has an accepted row already, here or in an earlier batch."""
    is_accepted = rejects.accepted
    new: set[str] = set()
    for position, id_str in enumerate(rejects.id_strs):
        if not is_accepted[position]:
            continue
        if id_str in new or id_str in seen:
            reason = "duplicate id_str; keep one row a galaxy and campaign"
            rejects.add_one(position, column, id_str, reason)
        new.add(id_str)


def read_numbers(column: pa.Array, name: str, rejects: BatchRejects, uri: str) -> np.ndarray:
    """Numbers as float64, NaN where a cell is empty; text that is no number rejects its row.

    Raises:
        VoteTableError: the column stores something other than numbers or text.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_number:
        numbers = pc.cast(column, pa.float64(), safe=False)
        return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
    if not _is_text(kind):
        raise VoteTableError(
            f"{uri}: column '{name}' stores {kind}; votes, fractions and totals must be numbers"
        )
    return _parse_numbers(column, name, rejects)


def _is_text(kind: pa.DataType) -> bool:
    """Whether the type is text of any width."""
    return any(
        is_kind(kind)
        for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _parse_numbers(column: pa.Array, name: str, rejects: BatchRejects) -> np.ndarray:
    """Numbers from text."""
    texts = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    try:
        numbers = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        series = pd.Series(texts.to_pylist(), dtype=object)
        numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
        is_text = np.isnan(numbers) & series.notna().to_numpy()
        is_text &= series.astype(str).str.casefold().ne("nan").to_numpy()
        rejects.add(is_text, name, series.to_numpy(), "the cell is not a number; mend the table")
    return np.asarray(numbers, dtype=np.float64)
