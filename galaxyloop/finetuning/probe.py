"""The instant baseline: a linear model on representations of a frozen encoder."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64

from galaxyloop.config import StrictConfig, require
from galaxyloop.finetuning.label_checks import check_trainable
from galaxyloop.finetuning.targets import Predicted, Target

_MAX_STEPS = 2000
_N_RISES = 2
"""Weaker penalties are not tried after the loss has risen this often in a row."""
_LEAST = 1e-12
"""Probabilities count as at least this in the loss."""
_MIN_SPREAD = 1e-6
"""Features that vary less, relative to their mean, are rounding and get no weight."""


@dataclass(frozen=True)
class ProbeConfig(StrictConfig):
    """Settings of the linear model."""

    strengths: list[float] = field(default_factory=lambda: [10.0**power for power in range(-5, 2)])
    """C, the inverse of the penalty on squared weights of standardised features, each above 0;
    cross-validation on the given labels chooses."""
    n_folds: int = 5
    """Folds of that cross-validation, at least 2; as many as galaxies of the rarest class if these
    are fewer. Regression leaves out one galaxy at a time instead."""
    is_balanced: bool = True
    """Each class counts the same, however rare; probabilities then are as if it were not rare,
    unless the target's ``class_weights`` take that off."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(
            bool(self.strengths) and all(0 < strength < np.inf for strength in self.strengths),
            f"strengths must be one or more finite numbers > 0, got {self.strengths}",
        )
        require(self.n_folds >= 2, f"n_folds must be >= 2, got {self.n_folds}")


@dataclass(frozen=True)
class Probe:
    """A fitted linear model; its outputs mean what a network's outputs mean."""

    target: Target
    weight: Float64[np.ndarray, "output feature"]
    """Of features as the encoder gives them."""
    bias: Float64[np.ndarray, " output"]
    strength: float
    """The chosen C."""
    scores: pd.DataFrame
    """``strength`` and ``loss`` on galaxies left out, of the strengths that were tried: log loss
    [nats], or squared error in units of the training labels' variance."""

    def outputs(
        self, features: Float[np.ndarray, "galaxy feature"]
    ) -> Float64[np.ndarray, "galaxy output"]:
        """Logits of the classes, or standardised values."""
        return np.asarray(features @ self.weight.T + self.bias)

    def predict(self, features: Float[np.ndarray, "galaxy feature"]) -> Predicted:
        """Probabilities of the classes, or values."""
        return self.target.predict(self.outputs(features))


def fit_probe(
    features: Float[np.ndarray, "galaxy feature"],
    y: Float[np.ndarray, " galaxy"],
    target: Target,
    config: ProbeConfig | None = None,
    seed: int = 0,
    background: Float[np.ndarray, "background_galaxy feature"] | None = None,
) -> Probe:
    """Logistic regression with a squared penalty, or ridge regression, on standardised features.

    Args:
        features: representations of the labelled galaxies.
        y: numbers of their labels.
        target: what the numbers mean.
        config: penalties, folds.
        seed: of the folds.
        background: representations, of unlabelled galaxies too, whose means and spreads
            standardise the features; none means ``features``.

    Raises:
        LabelError: a class has fewer than two galaxies, or values do not differ.
        ValueError: a feature is not finite.
    """
    config = config or ProbeConfig()
    everything = features if background is None else background
    _check_finite("features", features)
    _check_finite("background", everything)
    check_trainable({"train": y}, target)
    mean, scale = _spread(everything)
    standardised = (features - mean) / scale
    if target.is_classification:
        weight, bias, scores = _fit_classes(standardised, y.astype(np.int64), config, seed)
        if target.n_outputs > len(weight):  # Two classes with a logit each.
            weight, bias = np.vstack([0 * weight, weight]), np.append(0.0, bias)
    else:
        target = target.fitted_to(y)
        weight, bias, scores = _fit_values(standardised, target.standardise(y), config)
    weight = weight / scale
    return Probe(target, weight, bias - weight @ mean, _best_strength(scores), scores)


def _check_finite(name: str, features: Float[np.ndarray, "galaxy feature"]) -> None:
    """Refuse features that no model can be fitted to."""
    n_wrong = int((~np.isfinite(features)).any(axis=1).sum())
    if n_wrong:
        raise ValueError(
            f"{name} must be finite, got {n_wrong} of {len(features)} galaxies with others; look "
            "at their images and at the encoder's checkpoint"
        )


def _spread(
    everything: Float[np.ndarray, "galaxy feature"],
) -> tuple[Float64[np.ndarray, " feature"], Float64[np.ndarray, " feature"]]:
    """Mean and standard deviation of each feature, infinite where it does not vary."""
    mean = everything.mean(axis=0, dtype=np.float64)
    std = everything.std(axis=0, dtype=np.float64)
    return mean, np.where(std > _MIN_SPREAD * np.abs(mean), std, np.inf)


def _fit_classes(
    features: Float64[np.ndarray, "galaxy feature"],
    y: Int64[np.ndarray, " galaxy"],
    config: ProbeConfig,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Weights, biases and losses of logistic regression."""
    from sklearn.linear_model import LogisticRegression

    basis, reduced = _reduce(features)
    scores = _try_strengths(reduced.astype(np.float32), y, config, seed)
    weighting = "balanced" if config.is_balanced else None
    strength = _best_strength(scores)
    model = LogisticRegression(C=strength, class_weight=weighting, max_iter=_MAX_STEPS)
    model.fit(reduced, y)
    weight = model.coef_ if basis is None else model.coef_ @ basis
    return np.asarray(weight), np.asarray(model.intercept_), scores


def _reduce(
    features: Float64[np.ndarray, "galaxy feature"],
) -> tuple[np.ndarray | None, np.ndarray]:
    """Coordinates in the space that the galaxies span, and its basis, if that is smaller.

    With a squared penalty the best weights lie in that space, so the fit is the same.
    """
    n_galaxies, n_features = features.shape
    if n_galaxies >= n_features:
        return None, features
    basis, coordinates = np.linalg.qr(features.T)
    return basis.T, np.ascontiguousarray(coordinates.T)


def _try_strengths(
    features: np.ndarray, y: Int64[np.ndarray, " galaxy"], config: ProbeConfig, seed: int
) -> pd.DataFrame:
    """Log loss of galaxies left out, from the strongest penalty on until it keeps rising."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    n_folds = min(config.n_folds, int(np.bincount(y).min()))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(features, y)
    weighting = "balanced" if config.is_balanced else None
    settings = {"class_weight": weighting, "warm_start": True, "tol": 1e-3}
    rounds = [
        (LogisticRegression(max_iter=_MAX_STEPS, **settings), train, held_out)
        for train, held_out in folds
    ]
    losses: dict[float, float] = {}
    n_rises = 0
    for strength in sorted(config.strengths):
        loss = 0.0
        for model, train, held_out in rounds:
            model.set_params(C=strength).fit(features[train], y[train])
            likely = model.predict_proba(features[held_out])[np.arange(len(held_out)), y[held_out]]
            loss -= float(np.log(np.maximum(likely, _LEAST)) @ _shares(y, held_out, config))
        n_rises = n_rises + 1 if losses and loss > min(losses.values()) else 0
        losses[strength] = loss
        if n_rises == _N_RISES:
            break
    return pd.DataFrame({"strength": list(losses), "loss": list(losses.values())})


def _best_strength(scores: pd.DataFrame) -> float:
    """The C of the lowest loss; of equal ones the smallest."""
    return float(scores.sort_values("loss", kind="stable")["strength"].iloc[0])


def _shares(
    y: Int64[np.ndarray, " galaxy"], held_out: np.ndarray, config: ProbeConfig
) -> Float64[np.ndarray, " held_out"]:
    """How much each galaxy left out counts; over all folds they sum to 1."""
    if not config.is_balanced:
        return np.full(len(held_out), 1 / len(y))
    counts = np.bincount(y)
    return np.asarray(1 / (counts[y[held_out]] * len(counts)))


def _fit_values(
    features: Float64[np.ndarray, "galaxy feature"],
    y: Float64[np.ndarray, " galaxy"],
    config: ProbeConfig,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Weights, bias and losses of ridge regression, each galaxy left out once."""
    from sklearn.linear_model import RidgeCV

    strengths = sorted(config.strengths)
    penalties = [1 / strength for strength in strengths]
    model = RidgeCV(alphas=penalties, store_cv_results=True).fit(features, y)
    losses = model.cv_results_.mean(axis=0)
    scores = pd.DataFrame({"strength": strengths, "loss": losses})
    return np.asarray(model.coef_)[None], np.atleast_1d(model.intercept_), scores
