"""What makes labels unfit to train on, each refused with its numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from galaxyloop.errors import LabelError
from galaxyloop.finetuning.label_cells import as_class_names, as_numbers, find_lone_values
from galaxyloop.finetuning.targets import Target
from galaxyloop.table_files import read_header

_N_SHOWN = 5
_FILLERS = (-32768.0, -9.0, *(sign * n for sign in (-1, 1) for n in (99.0, 99.9, 999.0, 9999.0)))
_LEAST_FAR, _FAR_WIDTHS = 90.0, 10.0
_MIN_EXAMPLES = {"train": 2}


def check_trainable(
    y_by_split: Mapping[str, Float[np.ndarray, " galaxy"]],
    target: Target,
    min_examples: Mapping[str, int] | None = None,
) -> None:
    """Refuse splits in which a class has too few galaxies, or values do not differ.

    Args:
        y_by_split: numbers of the labels in each split.
        target: what the numbers mean.
        min_examples: fewest galaxies of each class by split, 1 where it says none; if it is not
            given, 2 in ``train`` and 1 elsewhere. Regression needs 2 different values in
            ``train`` and that many galaxies elsewhere.

    Raises:
        LabelError: there are fewer; names the split, the class and the numbers.
    """
    for split, y in y_by_split.items():
        least = (_MIN_EXAMPLES if min_examples is None else min_examples).get(split, 1)
        if not target.is_classification:
            if len(np.unique(y)) < least:
                raise LabelError(
                    f"{split}: {len(y)} labels '{target.name}' have "
                    f"{len(np.unique(y))} different values, fewer than {least}; label more "
                    f"galaxies{_or_share(split)}",
                    len(y),
                    len(y),
                )
            continue
        counts = np.bincount(y.astype(np.int64), minlength=len(target.classes))
        few = {name: int(n) for name, n in zip(target.classes, counts, strict=True) if n < least}
        if few:
            listed = ", ".join(f"{n} of '{name}'" for name, n in list(few.items())[:_N_SHOWN])
            listed += f" and {len(few) - _N_SHOWN} more classes" if len(few) > _N_SHOWN else ""
            raise LabelError(
                f"{split}: {listed} among {len(y)} labels '{target.name}', fewer "
                f"than {least} of a class; label more galaxies of it, leave the class out, "
                f"or join it with another{_or_share(split)}",
                sum(few.values()),
                len(y),
            )


def check_header(uri: str, columns: Mapping[str, str]) -> None:
    """Refuse a table that lacks a column; the columns are by the setting that names them."""
    header = read_header(uri, LabelError)
    for setting, name in columns.items():
        if name not in header:
            shown = ", ".join(header[:20]) + (" ..." if len(header) > 20 else "")
            raise LabelError(
                f"{uri} has no column '{name}'; it has: {shown}; set {setting} to one of them"
            )


def check_rejects(cells: pd.DataFrame, uri: str, column: str, max_rejected: float) -> None:
    """Refuse a table with too many rows that have no usable id or label."""
    if cells.empty:
        raise LabelError(
            f"{uri}: every label in '{column}' is among undefined; label some galaxies"
        )
    rejected = cells[cells["reason"] != ""]
    if len(rejected) <= max_rejected * len(cells) and len(rejected) < len(cells):
        return
    reasons = rejected["reason"].value_counts()
    counted = "; ".join(f"{count} x {reason}" for reason, count in reasons.items())
    examples = [
        f"row {row} (id '{id_str}'): got '{label}'"
        for row, id_str, label in rejected[["row", "id_str", "label"]].head(3).to_numpy()
    ]
    raise LabelError(
        f"{uri}: {len(rejected)} of {len(cells)} rows have no usable id or label in "
        f"'{column}', more than max_rejected={max_rejected:g} allows ({counted}); "
        f"{', '.join(examples)}; mend or remove the rows, declare such a label in classes if it "
        "is one, or raise max_rejected to leave them out",
        len(rejected),
        len(cells),
        rejected["id_str"].head(_N_SHOWN).tolist(),
    )


def check_fillers(used: pd.DataFrame, uri: str) -> None:
    """Refuse numbers that most likely stand for no label.

    These are -1 as the only negative number among two or more others, such as 9999 if they lie
    farther from the others than these from each other, and any number of 90 or more, positive or
    negative, that comes twice and lies ten times as far.
    """
    numbers = as_numbers(used["label"])
    if np.isnan(numbers).any():
        return
    is_filler = _look_like_fillers(numbers)
    if is_filler.any():
        fillers = sorted(used["label"][is_filler].unique())
        ids = used["id_str"][is_filler].head(_N_SHOWN).tolist()
        raise LabelError(
            f"{uri}: {int(is_filler.sum())} of {len(used)} labels are {', '.join(fillers)}, which "
            f"looks like no label; first ids {ids}; set undefined to {fillers} to leave these rows "
            "out, or keep_fillers to true if they mean what they say",
            int(is_filler.sum()),
            len(used),
            ids,
        )


def check_lone_values(used: pd.DataFrame, uri: str) -> None:
    """Refuse whole numbers that look like classes but for a few that come once."""
    lone = find_lone_values(used["label"])
    if lone:
        ids = used.loc[used["label"].isin(lone), "id_str"].head(_N_SHOWN).tolist()
        listed = ", ".join(f"'{label}' (1 x)" for label in lone[:_N_SHOWN])
        raise LabelError(
            f"{uri}: {len(lone)} of {len(used)} labels come once among a few that come often: "
            f"{listed}; a class needs two galaxies; first ids {ids}; set undefined to "
            f"{lone[:_N_SHOWN]} to leave these rows out, mend them or label more such galaxies, "
            "or set kind to regression if the numbers are values",
            len(lone),
            len(used),
            ids,
        )


def label_classes(used: pd.DataFrame, uri: str, classes: Sequence[str]) -> pd.DataFrame:
    """Labels as names of classes, all declared ones if any are."""
    is_known = used["label"].isin(classes)
    if is_known.all():
        return used
    table = used.assign(label=as_class_names(used["label"]))
    strange = table[~table["label"].isin(classes)]
    if classes and len(strange):
        counted = strange["label"].value_counts().head(_N_SHOWN).items()
        listed = ", ".join(f"'{name}' ({count} x)" for name, count in counted)
        ids = strange["id_str"].head(_N_SHOWN).tolist()
        raise LabelError(
            f"{uri}: {len(strange)} of {len(table)} labels are not among the "
            f"declared classes {classes}: {listed}; first ids {ids}; add the class, mend "
            "the label, or remove the rows",
            len(strange),
            len(table),
            ids,
        )
    return table


def label_values(used: pd.DataFrame, uri: str) -> pd.DataFrame:
    """Labels as numbers."""
    values = as_numbers(used["label"])
    strange = used[np.isnan(values)]
    if len(strange):
        ids = strange["id_str"].head(_N_SHOWN).tolist()
        raise LabelError(
            f"{uri}: {len(strange)} of {len(used)} labels are no numbers, such as "
            f"'{strange['label'].iloc[0]}'; first ids {ids}; mend them, or set kind to binary or "
            "multiclass",
            len(strange),
            len(used),
            ids,
        )
    return used.assign(label=values)


def drop_repeats(table: pd.DataFrame, uri: str) -> pd.DataFrame:
    """One row a galaxy, sorted by id."""
    unique = table[["id_str", "label"]].drop_duplicates()
    torn = unique[unique["id_str"].duplicated(keep=False)].sort_values("id_str", kind="stable")
    if len(torn):
        ids = torn["id_str"].unique()
        labels = torn.loc[torn["id_str"] == ids[0], "label"].tolist()
        raise LabelError(
            f"{uri}: {len(ids)} of {unique['id_str'].nunique()} galaxies have different labels in "
            f"several rows, such as '{ids[0]}' with {labels}; keep one row a galaxy; first ids "
            f"{ids[:_N_SHOWN].tolist()}",
            len(ids),
            unique["id_str"].nunique(),
            ids[:_N_SHOWN].tolist(),
        )
    return unique.sort_values("id_str", kind="stable", ignore_index=True)


def check_variety(unique: pd.DataFrame, kind: str, uri: str) -> None:
    """Refuse labels that are all the same."""
    counts = unique["label"].value_counts()
    if len(counts) < 2:
        what = "value" if kind == "regression" else "class"
        raise LabelError(
            f"{uri}: all {len(unique)} labels are of one {what}, '{counts.index[0]}'; there is "
            "nothing to tell apart: add galaxies with other labels, or set column to another one",
            len(unique),
            len(unique),
            unique["id_str"].head(_N_SHOWN).tolist(),
        )


def _look_like_fillers(numbers: Float[np.ndarray, " galaxy"]) -> np.ndarray:
    """Which labels most likely stand for none."""
    is_known = np.isin(numbers, _FILLERS)
    is_minus_one = numbers == -1
    others = np.unique(numbers[~is_known & ~is_minus_one])
    is_filler = is_minus_one & bool(len(others) >= 2 and others.min() >= 0)
    values, counts = np.unique(numbers[~is_filler], return_counts=True)
    for value, count in zip(values, counts, strict=True):
        known = value in _FILLERS
        if not known and (count < 2 or abs(value) < _LEAST_FAR):
            continue
        rest = values[~np.isin(values, _FILLERS) & (values != value)]
        if len(rest) < (1 if known else 2):
            continue
        gap = abs(value - (rest.max() + rest.min()) / 2) - np.ptp(rest) / 2
        is_far = gap > np.ptp(rest) * (1.0 if known else _FAR_WIDTHS)
        is_filler |= (numbers == value) & bool(is_far)
    return np.asarray(is_filler)


def _or_share(split: str) -> str:
    """A remedy that only a part of the labels has."""
    is_part = split in ("train", "validation", "test")
    return f", or give the split '{split}' a larger share" if is_part else ""
