"""A table of labels, checked before anything trains on it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import ConfigError, LabelError, UnknownNameError
from galaxyloop.finetuning.label_cells import choose_kind, is_undefined, mark_unusable, read_cells
from galaxyloop.finetuning.label_checks import (
    check_fillers,
    check_header,
    check_lone_values,
    check_rejects,
    check_trainable,
    check_variety,
    drop_repeats,
    label_classes,
    label_values,
)
from galaxyloop.finetuning.targets import TARGETS, Target, make_target

_N_SHOWN = 5
_MIN_EXAMPLES = 2

__all__ = ["LabelConfig", "Labels", "check_trainable", "match_labels_to_images", "read_labels"]


@dataclass(frozen=True)
class LabelConfig(StrictConfig):
    """Where labels stand in a table, and what they mean."""

    column: str = "label"
    """Holds the labels."""
    kind: str = "auto"
    """binary, multiclass or regression; auto decides by the labels."""
    classes: list[str] = field(default_factory=list)
    """Names of the classes, of two the negative first; none means those found, sorted."""
    undefined: list[str] = field(default_factory=list)
    """Labels that stand for none, such as -1 or uncertain; their rows are left out and counted."""
    keep_fillers: bool = False
    """Take numbers that look like no label (-1 beside 0 and 1, a far -99) for labels."""
    id_column: str = "id_str"
    """Holds the galaxies' ids."""
    max_rejected: float = 0.0
    """Share of rows that may be left out as they have no usable id or label, from 0 to below 1."""
    max_unmatched: float = 0.1
    """Share of labelled galaxies that may have no image, from 0 to below 1."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.kind not in ("auto", *TARGETS):
            raise UnknownNameError("kind of target", self.kind, ("auto", *TARGETS))
        for name in ("max_rejected", "max_unmatched"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{name} must be in [0, 1), got {value}")
        both = sorted(set(self.classes) & set(self.undefined))
        require(not both, f"classes and undefined must not share labels, both have {both}")
        if self.classes:
            kind = "multiclass" if self.kind == "auto" else self.kind
            Target(kind, self.column, self.classes)


@dataclass(frozen=True)
class Labels:
    """Labelled galaxies."""

    table: pd.DataFrame
    """``id_str``, ``label`` (a class's name, or a value), ``y`` (its number, see ``TARGETS``);
    after ``match_labels_to_images`` also ``position``. One row a galaxy, sorted by id."""
    target: Target
    counts: dict[str, int]
    """``n_read`` rows are ``n_used``, ``n_repeated`` (same galaxy, same label), ``n_undefined`` and
    ``n_rejected``; after matching ``n_used`` galaxies are ``n_with_image`` and
    ``n_without_image``."""
    told: str
    """How the labels were understood, in a sentence."""

    @property
    def class_counts(self) -> dict[str, int]:
        """Galaxies of each class, in the classes' order; empty for regression."""
        found = self.table["label"].tolist()
        return {name: found.count(name) for name in self.target.classes}


def read_labels(uri: str, config: LabelConfig | None = None) -> Labels:
    """Read and check a table of labels.

    Args:
        uri: path or address of csv, parquet, FITS or VOTable; a pattern of several.
        config: columns, kind and classes.

    Raises:
        LabelError: the table lacks a column; more rows than ``max_rejected`` have no usable id or
            label; a label is not among the declared classes, or no number for regression; a galaxy
            has two different labels; there is one class only, or fewer than two galaxies of a
            class, or one value only; with kind auto or regression, some labels look like
            fillers; with kind auto, a few numbers come once beside others that come often.
        StorageError: the network or the storage failed; it may work later.
    """
    config = config or LabelConfig()
    check_header(uri, {"id_column": config.id_column, "column": config.column})
    cells = read_cells(uri, config.id_column, config.column)
    defined = cells[~is_undefined(cells["label"], config.undefined)]
    marked = mark_unusable(defined, config.classes)
    check_rejects(marked, uri, config.column, config.max_rejected)
    used = marked[marked["reason"] == ""].reset_index(drop=True)
    kind, why = _decide_kind(used, uri, config)
    is_value = kind == "regression"
    table = label_values(used, uri) if is_value else label_classes(used, uri, config.classes)
    unique = drop_repeats(table, uri)
    check_variety(unique, kind, uri)
    target = _make_target(unique, kind, uri, config)
    unique = unique.assign(y=target.encode(unique["label"]))
    _check_enough(unique, target)
    counts = {
        "n_read": len(cells),
        "n_used": len(unique),
        "n_repeated": len(table) - len(unique),
        "n_undefined": len(cells) - len(defined),
        "n_rejected": len(defined) - len(used),
    }
    labels = Labels(unique, target, counts, "")
    return dataclasses.replace(labels, told=_tell(labels, uri, why))


def match_labels_to_images(
    labels: Labels, id_strs: Sequence[str] | np.ndarray, max_unmatched: float = 0.1
) -> Labels:
    """The labelled galaxies that have an image.

    Args:
        labels: what ``read_labels`` gives.
        id_strs: ids of the images, each once, in their order.
        max_unmatched: share of labelled galaxies that may have none.

    Returns:
        The same with the column ``position``, the place in ``id_strs``; ``n_with_image`` and
        ``n_without_image`` are among the counts.

    Raises:
        LabelError: no labelled galaxy, or too few, have an image; or so few of a class have one
            that nothing can be learnt.
    """
    places = {str(id_str): place for place, id_str in enumerate(id_strs)}
    position = labels.table["id_str"].map(places)
    has_image = position.notna().to_numpy()
    n_labels, n_found = len(has_image), int(has_image.sum())
    lacking = labels.table["id_str"][~has_image].tolist()
    if not n_found or n_labels - n_found > max_unmatched * n_labels:
        shown = sorted(places)[:_N_SHOWN]
        raise LabelError(
            f"{len(lacking)} of {n_labels} labelled galaxies have no image among {len(places)}, "
            f"more than max_unmatched={max_unmatched:g} allows; without image are ids like "
            f"{lacking[:_N_SHOWN]}, images have ids like {shown}; give both the same id_str (or "
            "set id_column), add the images, or raise max_unmatched",
            len(lacking),
            n_labels,
            lacking[:_N_SHOWN],
        )
    table = labels.table.assign(position=position)[has_image].astype({"position": np.int64})
    _check_enough(table, labels.target)
    counts = labels.counts | {"n_with_image": n_found, "n_without_image": len(lacking)}
    matched = dataclasses.replace(labels, table=table.reset_index(drop=True), counts=counts)
    return dataclasses.replace(matched, told=f"{labels.told}; {_tell_matched(matched)}")


def _decide_kind(used: pd.DataFrame, uri: str, config: LabelConfig) -> tuple[str, str]:
    """The kind of target, and why."""
    is_open = config.kind == "auto" and not config.classes
    if (is_open or config.kind == "regression") and not config.keep_fillers:
        check_fillers(used, uri)
    if config.kind != "auto":
        return config.kind, "as set"
    if is_open:
        check_lone_values(used, uri)
    return choose_kind(used["label"], config.classes)


def _make_target(unique: pd.DataFrame, kind: str, uri: str, config: LabelConfig) -> Target:
    """The target of the labels."""
    try:
        return make_target(kind, config.column, unique["label"].tolist(), config.classes)
    except ConfigError as error:
        raise LabelError(f"{uri}: {error}; set kind, classes or column, or mend labels") from error


def _check_enough(table: pd.DataFrame, target: Target) -> None:
    """Refuse fewer than two galaxies of a class before anything is split."""
    name = "all labelled galaxies" + (" with an image" if "position" in table else "")
    check_trainable({name: table["y"].to_numpy()}, target, {name: _MIN_EXAMPLES})


def _tell(labels: Labels, uri: str, why: str) -> str:
    """How the labels were understood."""
    counts, target = labels.counts, labels.target
    said = (
        f"{uri}: {counts['n_read']} rows, {counts['n_used']} galaxies used, "
        f"{counts['n_repeated']} repeated, {counts['n_undefined']} undefined, "
        f"{counts['n_rejected']} rejected; "
        f"'{target.name}' is {target.kind} ({why})"
    )
    if not target.is_classification:
        return f"{said}: mean {target.mean:.4g}, standard deviation {target.std:.4g}"
    listed = ", ".join(f"{name} ({count})" for name, count in labels.class_counts.items())
    positive = f"; '{target.classes[1]}' is the positive class" if len(target.classes) == 2 else ""
    return f"{said}: {listed}{positive}"


def _tell_matched(labels: Labels) -> str:
    """How many of the labelled galaxies have an image."""
    n_found, n_lacking = labels.counts["n_with_image"], labels.counts["n_without_image"]
    if not n_lacking:
        return f"all {n_found} have an image"
    said = f"{n_lacking} of {n_found + n_lacking} have no image and are left out"
    listed = ", ".join(f"{name} ({count})" for name, count in labels.class_counts.items())
    return f"{said}, which leaves {listed or n_found}"
