"""What a network is finetuned to say of a galaxy: one of some classes, or a number."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import LabelError, UnknownNameError

Predicted = Float64[np.ndarray, "galaxy class"] | Float64[np.ndarray, " galaxy"]
"""Probabilities of the classes, or predicted values."""

_NEGATIVES = frozenset({"0", "-1", "false", "f", "no", "n", "none", "absent", "negative"})
_NEGATIVE_STARTS = tuple(f"{word}{gap}" for word in ("no", "not", "non") for gap in " -_")


@dataclass(frozen=True)
class Target(StrictConfig):
    """What the labels of one column mean."""

    kind: str
    """One of ``TARGETS``."""
    name: str
    """Name of the labels' column."""
    classes: list[str] = field(default_factory=list)
    """Names of the classes, of two the negative first; none for regression."""
    mean: float = 0.0
    """Of regression: mean of the training labels, where an output of 0 lies."""
    std: float = 1.0
    """Of regression: standard deviation of the training labels, an output of 1; above 0."""
    class_weights: list[float] = field(default_factory=list)
    """What a galaxy of each class counted for in training, each above 0; none means 1."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.kind not in TARGETS:
            raise UnknownNameError("kind of target", self.kind, TARGETS)
        least, most = TARGETS[self.kind].n_classes
        require(
            least <= len(self.classes) <= most,
            f"a {self.kind} target needs {least} to {most} classes, got {len(self.classes)}: "
            f"{self.classes[:5]}",
        )
        require(
            len(set(self.classes)) == len(self.classes),
            f"classes must differ from each other, got {self.classes}",
        )
        weights = self.class_weights
        require(
            len(weights) in (0, len(self.classes)) and all(0 < one < np.inf for one in weights),
            f"class_weights must be none, or a finite number > 0 for each of {len(self.classes)} "
            f"classes, got {weights[:5]}",
        )
        require(bool(np.isfinite(self.mean)), f"mean must be finite, got {self.mean}")
        require(
            bool(np.isfinite(self.std)) and self.std > 0,
            f"std must be finite and > 0, got {self.std}",
        )

    @property
    def is_classification(self) -> bool:
        """Whether there are classes."""
        return bool(self.classes)

    @property
    def n_outputs(self) -> int:
        """Numbers that a network gives for a galaxy."""
        return TARGETS[self.kind].n_outputs(len(self.classes))

    @property
    def probability_columns(self) -> list[str]:
        """Names of the classes' probabilities in a table of predictions."""
        return [f"probability-{name}" for name in self.classes]

    def encode(self, labels: Sequence[str] | Sequence[float] | pd.Series) -> np.ndarray:
        """Numbers ``y`` of labels, float64.

        Raises:
            LabelError: a label is none of the classes.
        """
        if not self.is_classification:
            return np.asarray(labels, dtype=np.float64)
        places = {name: float(place) for place, name in enumerate(self.classes)}
        strange = sorted({str(label) for label in labels} - set(places))
        if strange:
            raise LabelError(
                f"{len(strange)} labels '{self.name}' are none of the classes {self.classes}: "
                f"{strange[:5]}; finetune on these classes anew, or mend the labels",
                len(strange),
            )
        return np.array([places[str(label)] for label in labels])

    def predict(self, outputs: Float[np.ndarray, "galaxy output"]) -> Predicted:
        """A network's raw outputs as probabilities of the classes, or as values.

        Training with class weights gives outputs as if the classes were as common as they
        counted. That is taken off: probabilities are those of the training labels' frequencies.
        """
        predicted = TARGETS[self.kind].predict(outputs.astype(np.float64), self)
        if not self.class_weights:
            return predicted
        return _reweighted(predicted, 1 / np.array(self.class_weights))

    def as_trained(self, predicted: Predicted) -> Predicted:
        """Probabilities as if classes were as common as they counted in training; or values."""
        if not self.class_weights:
            return predicted
        return _reweighted(predicted, np.array(self.class_weights))

    def decide(self, probabilities: Float[np.ndarray, "galaxy class"]) -> np.ndarray:
        """The place of the class to say, the likeliest ``as_trained``.

        With balanced weights a rare class is said where it is likelier than its share.
        """
        return np.asarray(self.as_trained(probabilities).argmax(axis=1))

    def standardise(self, y: Float[np.ndarray, " galaxy"]) -> Float64[np.ndarray, " galaxy"]:
        """Numbers to train on: classes' numbers as they are, values on the outputs' scale."""
        return (y.astype(np.float64) - self.mean) / self.std

    def fitted_to(self, y: Float[np.ndarray, " galaxy"]) -> "Target":
        """The same target with mean and spread of these labels, for regression."""
        if self.is_classification:
            return self
        return dataclasses.replace(self, mean=float(np.mean(y)), std=float(np.std(y)))


@dataclass(frozen=True)
class TargetKind:
    """How labels become numbers, and outputs predictions."""

    labels: str
    """What a label is, and its number ``y``."""
    outputs: str
    """What a network's outputs mean."""
    n_classes: tuple[int, int]
    """Fewest and most classes."""
    n_outputs: Callable[[int], int]
    """From the number of classes."""
    predict: Callable[[Float64[np.ndarray, "galaxy output"], Target], Predicted]
    """From outputs to probabilities, or to values."""


def make_target(
    kind: str, name: str, labels: Sequence[str] | Sequence[float], classes: Sequence[str] = ()
) -> Target:
    """The target that labels ask for.

    Args:
        kind: one of ``TARGETS``.
        name: of the labels' column.
        labels: names of classes, or values.
        classes: all classes in order; none means those among the labels, sorted. Of two found,
            one that says no (0, false, no, not-a-ring) comes first.

    Raises:
        UnknownNameError: there is no such kind.
        ConfigError: another number of classes than the kind can have, or constant values.
    """
    if kind not in TARGETS:
        raise UnknownNameError("kind of target", kind, TARGETS)
    if TARGETS[kind].n_classes == (0, 0):
        values = np.asarray(labels, dtype=np.float64)
        mean, std = float(values.mean()), float(values.std())
        return Target(kind, name, list(classes), mean, std)
    found = list(classes) or sort_classes({str(label) for label in labels})
    return Target(kind, name, found)


def sort_classes(found: set[str]) -> list[str]:
    """Names of classes in order: numbers by value, of two the negative first."""
    numbers = pd.to_numeric(pd.Series(sorted(found), dtype=object), errors="coerce")
    ordered = sorted(found) if numbers.isna().any() else sorted(found, key=float)
    if len(ordered) == 2 and _is_negative(ordered[1]) and not _is_negative(ordered[0]):
        return ordered[::-1]
    return ordered


def prediction_table(
    id_strs: Sequence[str] | np.ndarray,
    y: Float[np.ndarray, " galaxy"],
    predicted: Predicted,
    target: Target,
) -> pd.DataFrame:
    """Predictions beside the true labels.

    Args:
        id_strs: of the galaxies.
        y: numbers of their true labels; values for regression.
        predicted: what ``Target.predict`` gives.
        target: what the numbers mean.

    Returns:
        ``id_str``, ``label`` (true), ``prediction`` (the class that ``Target.decide`` says, or the
        value), and for classes ``probability-<class>`` of each.
    """
    ids = [str(id_str) for id_str in id_strs]
    if not target.is_classification:
        return pd.DataFrame({"id_str": ids, "label": y.astype(np.float64), "prediction": predicted})
    names = np.array(target.classes, dtype=object)
    table = pd.DataFrame(
        {
            "id_str": ids,
            "label": names[y.astype(np.int64)],
            "prediction": names[target.decide(predicted)],
        }
    )
    return table.assign(**dict(zip(target.probability_columns, predicted.T, strict=True)))


def _is_negative(name: str) -> bool:
    """Whether a class's name says no."""
    return name.casefold() in _NEGATIVES or name.casefold().startswith(_NEGATIVE_STARTS)


def _reweighted(
    probabilities: Float64[np.ndarray, "galaxy class"], weights: Float64[np.ndarray, " class"]
) -> Float64[np.ndarray, "galaxy class"]:
    """Probabilities if each class were more common by its weight."""
    weighted = probabilities * weights
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))


def _from_logit(outputs: Float64[np.ndarray, "galaxy 1"], _: Target) -> Predicted:
    """Probabilities of both classes from the logit of the second."""
    return _from_logits(np.hstack([np.zeros_like(outputs), outputs]), _)


def _from_logits(outputs: Float64[np.ndarray, "galaxy class"], _: Target) -> Predicted:
    """Softmax, safe for large logits."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _from_standardised(outputs: Float64[np.ndarray, "galaxy 1"], target: Target) -> Predicted:
    """Values on the labels' own scale."""
    return np.asarray(outputs[:, 0] * target.std + target.mean)


_MANY = 1000

TARGETS: dict[str, TargetKind] = {
    "binary": TargetKind(
        labels="one of two classes; y is 0 for the first (negative) and 1 for the second",
        outputs="one: the logit of the second class",
        n_classes=(2, 2),
        n_outputs=lambda _: 1,
        predict=_from_logit,
    ),
    "multiclass": TargetKind(
        labels="one of several classes; y is the class's place, from 0",
        outputs="a logit for each class",
        n_classes=(2, _MANY),
        n_outputs=lambda n_classes: n_classes,
        predict=_from_logits,
    ),
    "regression": TargetKind(
        labels="a finite number, which is y",
        outputs="one: the value less the training labels' mean, over their standard deviation",
        n_classes=(0, 0),
        n_outputs=lambda _: 1,
        predict=_from_standardised,
    ),
}
"""Kinds of target by name."""
