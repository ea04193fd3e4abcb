"""Cells of a batch as ids (always text) and as numbers (never guessed)."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import FLOAT_ID, MISSING_IDS
from galaxyloop.vote_tables.id_index import IdIndex, cut_texts
from galaxyloop.vote_tables.rejects import BatchRejects

_STORE_AS_TEXT = "store them as text or whole numbers"
_LONGEST_MISSING = 4
_MARKS_OF_FLOATS = np.frombuffer(b".eE", dtype=np.uint8)


def read_ids(column: pa.Array, name: str, uri: str) -> np.ndarray:
    """Ids as text, exactly as the table has them, in an array of objects.

    Raises:
        VoteTableError: the column stores neither text nor whole numbers; floating-point numbers
            cannot hold 18 digits.
    """
    return np.array(read_id_texts(column, name, uri, _STORE_AS_TEXT).to_pylist(), dtype=object)


def read_id_texts(
    column: pa.Array,
    name: str,
    uri: str,
    remedy: str = f"{_STORE_AS_TEXT}, or set id_column to another column",
) -> pa.StringArray:
    """The same in Arrow's memory: no object an id; missing ones are empty.

    Raises:
        VoteTableError: the column stores neither text nor whole numbers; floating-point numbers
            cannot hold 18 digits.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if not (pa.types.is_integer(kind) or _is_text(kind) or is_bytes):
        lost = ", which may have lost digits" if pa.types.is_floating(kind) else ""
        raise VoteTableError(f"{uri}: the ids in '{name}' are stored as {kind}{lost}; {remedy}")
    try:
        texts = pc.cast(column, pa.string())
    except pa.ArrowInvalid as error:
        raise VoteTableError(
            f"{uri}: the ids in '{name}' are bytes that are no text in UTF-8; store them as text"
        ) from error
    return pc.fill_null(texts, "")


def read_texts(column: pa.Array, name: str, uri: str) -> np.ndarray:
    """Cells that are no ids, as text in an array of objects; missing ones are empty.

    Whole floating-point numbers are written as whole ones: pandas stores these so where a cell of
    the column is missing.

    Raises:
        VoteTableError: the column stores numbers with decimals, or what is no single value.
    """
    kind = column.type
    try:
        if pa.types.is_dictionary(kind):
            column, kind = column.dictionary_decode(), kind.value_type
        if pa.types.is_floating(kind):
            is_there = pc.invert(pc.is_nan(column))
            column = pc.cast(pc.if_else(is_there, column, pa.scalar(None, kind)), pa.int64())
        texts = pc.fill_null(pc.cast(column, pa.string()), "")
    except pa.ArrowException as error:
        lost = " with decimals, which lose their last zeros" if pa.types.is_floating(kind) else ""
        raise VoteTableError(
            f"{uri}: column '{name}' is stored as {kind}{lost}; store it as text"
        ) from error
    return np.array(texts.to_pylist(), dtype=object)


def check_ids(rejects: BatchRejects, column: str) -> None:
    """Reject rows without a usable id."""
    for position in np.flatnonzero(_may_be_unusable(rejects.id_strs)):
        id_str = str(rejects.id_strs[position])
        if id_str.strip().casefold() in MISSING_IDS:
            reason = "the id is missing; give every galaxy one"
        elif id_str != id_str.strip():
            reason = "the id has spaces around it; remove them"
        elif FLOAT_ID.fullmatch(id_str):
            reason = "the id was written as a floating-point number; write all its digits"
        else:
            continue
        rejects.add_one(int(position), column, id_str, reason)


def _may_be_unusable(ids: pa.StringArray) -> Bool[np.ndarray, " galaxy"]:
    """False for ids that no rule can reject, by a glance at their bytes.

    They begin and end with a visible character, are longer than any word for a missing one, and
    either do not begin like a number or lack what a floating-point number has.
    """
    starts, lengths, text = cut_texts(ids)
    if not len(text):
        return np.ones(len(ids), dtype=bool)
    first = text[np.minimum(starts, len(text) - 1)]
    last = text[np.maximum(starts + lengths - 1, 0)]
    suspicious = (lengths <= _LONGEST_MISSING) | ~(_is_visible(first) & _is_visible(last))
    is_number = begin_like_numbers(ids)
    if is_number.any() and any((text == mark).any() for mark in _MARKS_OF_FLOATS):
        suspicious |= is_number & np.asarray(pc.match_substring_regex(ids, "[.eE]"))
    return np.asarray(suspicious)


def begin_like_numbers(ids: pa.StringArray) -> Bool[np.ndarray, " galaxy"]:
    """Whether the ids begin with a digit or a sign."""
    starts, _, text = cut_texts(ids)
    if not len(text):
        return np.zeros(len(ids), dtype=bool)
    first = text[np.minimum(starts, len(text) - 1)]
    is_digit = (first >= ord("0")) & (first <= ord("9"))
    return np.asarray(is_digit | (first == ord("+")) | (first == ord("-")))


def _is_visible(characters: np.ndarray) -> np.ndarray:
    """Whether these are ASCII's visible characters."""
    return np.asarray((characters > ord(" ")) & (characters < 127))


def check_new(rejects: BatchRejects, seen: IdIndex, column: str, n_earlier: int = 0) -> None:
    """Reject rows whose galaxy has an accepted row already, here or in an earlier batch.

    If that row is of an earlier source, they are known, not rejected. The others count as seen
    from now on: this must be the last check.

    Args:
        rejects: the batch.
        seen: galaxies of the campaign that have an accepted row.
        column: the table's column of ids.
        n_earlier: how many of ``seen`` are of earlier sources; they come first.
    """
    accepted = np.flatnonzero(rejects.accepted)
    ids = rejects.id_strs
    if len(accepted) < len(ids):
        ids = ids.take(pa.array(accepted))
    again = accepted[~seen.add_new(ids)]
    is_known = seen.find(rejects.id_strs.take(pa.array(again))) < n_earlier
    rejects.known = again[is_known]
    reason = "duplicate id_str; keep one row a galaxy and campaign"
    for position in again[~is_known]:
        rejects.add_one(int(position), column, str(rejects.id_strs[position]), reason)


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
        is_plain = pa.types.is_integer(kind) or pa.types.is_float64(kind)
        if is_plain and not column.null_count:
            return np.asarray(column.to_numpy(), dtype=np.float64)
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
