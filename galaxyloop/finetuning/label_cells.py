"""Cells of a label table as text and as numbers, and what kind of target they make."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from galaxyloop.errors import LabelError, VoteTableError
from galaxyloop.table_files import FLOAT_ID, MISSING_IDS, Batch, IdDigits, read_batches
from galaxyloop.vote_tables.cells import read_id_texts

_BATCH_ROWS = 100_000
_MISSING_LABELS = MISSING_IDS | {"n/a", "na"}
_MAX_NUMBERED_CLASSES = 20
_MAX_LONE_SHARE = 0.1
_READABLE = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_null,
)


def read_cells(uri: str, id_column: str, label_column: str) -> pd.DataFrame:
    """Ids and labels of a table as text, those of csv lines that cannot be cut into cells empty.

    Returns:
        ``row`` (0 is the first after the header), ``id_str``, ``label`` (without spaces around),
        ``reason`` (why the row cannot be used; empty if nothing is known yet).

    Raises:
        LabelError: the ids or labels are of a type that cannot be, or the ids lost digits.
    """
    parts = []
    digits = IdDigits()
    for batch in read_batches(uri, [id_column, label_column], _BATCH_ROWS, LabelError):
        ids = _read_ids(batch, id_column, uri)
        digits.add(ids)
        labels = _as_text(batch.table.column(label_column), label_column, uri)
        cells = {"row": batch.rows, "id_str": ids.to_pylist(), "label": labels.to_pylist()}
        parts.append(pd.DataFrame(cells, dtype=object).assign(reason=""))
        for line in batch.malformed:
            reason = "another number of cells than the header"
            cells = {"row": [line.row], "id_str": [""], "label": [line.text], "reason": [reason]}
            parts.append(pd.DataFrame(cells, dtype=object))
    if complaint := digits.complaint():
        raise LabelError(f"{uri}: in column '{id_column}' {complaint}")
    if not parts:
        raise LabelError(f"{uri} has no rows; give a label for each galaxy")
    table = pd.concat(parts, ignore_index=True).astype({"row": np.int64})
    return table.sort_values("row", kind="stable", ignore_index=True)


def mark_unusable(cells: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Say why rows without a usable id or label cannot be used.

    Args:
        cells: what ``read_cells`` gives.
        classes: declared names, which are labels even if they read like a missing one.
    """
    known = {name.casefold() for name in classes}
    labels, ids = cells["label"], cells["id_str"]
    folded = labels.str.casefold()
    numbers = as_numbers(labels)
    reasons = {
        "the id is missing": ids.str.strip().str.casefold().isin(MISSING_IDS),
        "the id has spaces around it": ids != ids.str.strip(),
        "the id was written as a floating-point number": ids.map(
            lambda text: FLOAT_ID.fullmatch(text) is not None
        ),
        "the label is missing": folded.isin(_MISSING_LABELS - known),
        "the label is infinite": pd.Series(np.isinf(numbers), cells.index) & ~folded.isin(known),
    }
    reason = cells["reason"].copy()
    for text, is_so in reasons.items():
        reason = reason.mask((reason == "") & is_so.astype(bool), text)
    return cells.assign(reason=reason)


def is_undefined(labels: pd.Series, undefined: Sequence[str]) -> pd.Series:
    """Which labels are among those that stand for none; numbers however they are written."""
    numbers = as_numbers(pd.Series(list(undefined), dtype=object))
    same_number = np.isin(as_numbers(labels), numbers[~np.isnan(numbers)])
    return labels.isin([name.strip() for name in undefined]) | same_number


def choose_kind(labels: pd.Series, classes: Sequence[str]) -> tuple[str, str]:
    """The kind of target that labels make, and why.

    Two declared classes, or two different labels that are words or whole numbers, are binary;
    more words, or whole numbers of at most 20 different values that each come twice, are classes;
    other numbers are values to predict.
    """
    if classes:
        return ("binary" if len(classes) == 2 else "multiclass"), f"{len(classes)} classes declared"
    found = as_class_names(labels).value_counts()
    numbers = as_numbers(labels)
    if np.isnan(numbers).any():
        return ("binary" if len(found) <= 2 else "multiclass"), f"{len(found)} different words"
    is_whole = bool((numbers == np.round(numbers)).all())
    if is_whole and len(found) <= 2:
        return "binary", f"{len(found)} different whole numbers"
    if is_whole and len(found) <= _MAX_NUMBERED_CLASSES and found.min() >= 2:
        return "multiclass", f"{len(found)} different whole numbers, each at least twice"
    return "regression", f"{len(found)} different numbers"


def as_class_names(labels: pd.Series) -> pd.Series:
    """Labels as names of classes; whole numbers alike however they were written (1, 1.0)."""
    if not len(labels) or np.isnan(as_numbers(labels)).any():
        return labels
    names = {text: _whole_number(str(text)) for text in labels.unique()}
    return labels if "" in names.values() else labels.map(names).astype(object)


def find_lone_values(labels: pd.Series) -> list[str]:
    """Numbers that come once among few whole numbers that come often: slips, or a rare class.

    Without them the labels would be classes: at most 20 whole numbers, each at least twice. They
    are fewer than these, or at most a tenth of the rows; more are values to predict.
    """
    numbers = as_numbers(labels)
    if np.isnan(numbers).any():
        return []
    found = pd.Series(numbers).value_counts()
    common, lone = found[found > 1], found[found == 1]
    are_classes = (
        len(found) > 2
        and 0 < len(common) <= _MAX_NUMBERED_CLASSES
        and bool((common.index == np.round(common.index)).all())
    )
    are_few = len(lone) < len(common) or len(lone) <= _MAX_LONE_SHARE * len(numbers)
    if not (are_classes and are_few):
        return []
    return sorted(labels[np.isin(numbers, lone.index)].astype(str), key=float)


def as_numbers(labels: pd.Series) -> np.ndarray:
    """Labels as numbers, NaN where they are none."""
    return np.asarray(pd.to_numeric(labels, errors="coerce"), dtype=np.float64)


def _whole_number(text: str) -> str:
    """A whole number without sign, point or exponent that it does not need; else empty."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return ""
    return str(int(number)) if number == number.to_integral_value() else ""


def _read_ids(batch: Batch, id_column: str, uri: str) -> pa.StringArray:
    """Ids as text, exactly."""
    try:
        return read_id_texts(batch.table.column(id_column), id_column, uri)
    except VoteTableError as error:
        raise LabelError(str(error)) from error


def _as_text(column: pa.Array, name: str, uri: str) -> pa.StringArray:
    """Labels as text without spaces around, empty where a cell is."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if not any(is_kind(kind) for is_kind in _READABLE):
        raise LabelError(
            f"{uri}: the labels in '{name}' are stored as {kind}; store text, numbers or booleans, "
            "or set column to another column"
        )
    return pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))
