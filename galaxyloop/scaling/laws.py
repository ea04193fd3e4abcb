"""Laws of scaling: error = a n^-b, and error = c + a n^-b, fitted to cells with intervals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from galaxyloop.errors import ScalingError, UnknownNameError
from galaxyloop.scaling.config import LawConfig

POWER, SATURATING = "power", "saturating"
FORMS = {POWER: 2, SATURATING: 3}
"""Each form with how many numbers it has."""
_FREE_CELLS = 2
"""Cells that a fit needs beyond its numbers, to tell their scatter."""
_EXPONENTS = {POWER: np.linspace(-1.0, 3.0, 41), SATURATING: np.linspace(0.02, 3.0, 31)}
"""Where the best exponent is looked for; a floor without a fall has no exponent below 0.02."""
_GOLDEN = (np.sqrt(5.0) - 1) / 2
_N_SECTIONS = 26
_LEAST_SHARE = 0.01


class _Curves(NamedTuple):
    """Curves and how badly each fits."""

    floor: np.ndarray
    amplitude: np.ndarray
    """Error above the floor at the middle size."""
    exponent: np.ndarray
    misfit: np.ndarray
    """Weighted sum of squares."""

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Values, ``[curve, size]``; sizes in units of the middle one."""
        falling = self.amplitude[:, None] * sizes ** -self.exponent[:, None]
        return np.asarray(self.floor[:, None] + falling)


@dataclass(frozen=True)
class Law:
    """A fitted law with draws of it."""

    form: str
    """One of ``FORMS``."""
    exponent: float
    """b: how fast the error falls; 0 is not at all."""
    floor: float
    """c: what is left however many galaxies there are, in units of the error; 0 of ``power``."""
    scale: float
    """a: what is above the floor at one galaxy, in units of the error."""
    spread: float
    """Scatter of cells around the law, relative to it, at the middle size."""
    exponents: Float64[np.ndarray, " draw"]
    floors: Float64[np.ndarray, " draw"]
    spreads: Float64[np.ndarray, " draw"]
    curves: _Curves
    """The law first, then its draws."""
    middle: float
    """Galaxies at which amplitudes are given."""

    def predict(self, n_galaxies: Float64[np.ndarray, " size"]) -> Float64[np.ndarray, " size"]:
        """The error at these numbers of training galaxies."""
        values: np.ndarray = self.curves.at(n_galaxies / self.middle)[0]
        return values

    def draw(self, n_galaxies: Float64[np.ndarray, " size"]) -> Float64[np.ndarray, "draw size"]:
        """The same by each draw of the law."""
        values: np.ndarray = self.curves.at(n_galaxies / self.middle)[1:]
        return values


def fit_law(
    n_galaxies: Float64[np.ndarray, " cell"],
    errors: Float64[np.ndarray, " cell"],
    form: str,
    config: LawConfig,
) -> Law:
    """Fit a law by least squares of relative errors, and draw others that fit as well.

    Cells weigh by the scatter that their size lets expect (``config.scatter_power``). A bootstrap
    over cells: the relative residuals, in its units, are drawn anew around the law, widened for the
    numbers that were fitted and, by a draw of their scale as in Student's t, for being few. It
    covers what other seeds and galaxies to train on would have given; other test galaxies, which
    all cells share, it does not.

    Args:
        n_galaxies: training galaxies of each cell, > 0.
        errors: held-out error of each, > 0.
        form: of ``FORMS``. The exponent is looked for in [-1, 3], of ``saturating`` in [0.02, 3];
            its floor and scale are >= 0.
        config: number and seed of the draws, and how scatter falls with the number of galaxies.

    Raises:
        UnknownNameError: there is no such form.
        ScalingError: there are too few cells or sizes, or a value is not above 0.
    """
    _check(n_galaxies, errors, form)
    middle = float(np.exp(np.log(n_galaxies).mean()))
    sizes = n_galaxies / middle
    rough = _solve(sizes, errors[None], errors**-2, POWER)
    scatter = sizes**-config.scatter_power
    weights = (rough.at(sizes)[0] * scatter) ** -2
    best = _solve(sizes, errors[None], weights, form)
    fitted = best.at(sizes)[0]
    n_free = len(errors) - FORMS[form]
    residuals = (errors / fitted - 1) / scatter * np.sqrt(len(errors) / n_free)
    random = np.random.default_rng(config.seed)
    scales = np.sqrt(n_free / random.chisquare(n_free, config.n_draws))
    picked = random.choice(residuals, (config.n_draws, len(errors)))
    shares = np.maximum(1 + scales[:, None] * picked * scatter, _LEAST_SHARE)
    drawn = _solve(sizes, fitted * shares, weights, form)
    spread = float(np.sqrt(np.mean(residuals**2)))
    exponent, floor = float(best.exponent[0]), float(best.floor[0])
    return Law(
        form=form,
        exponent=exponent,
        floor=floor,
        scale=float(best.amplitude[0]) * middle**exponent,
        spread=spread,
        exponents=drawn.exponent,
        floors=drawn.floor,
        spreads=spread * scales,
        curves=_Curves(*map(np.concatenate, zip(best, drawn, strict=True))),
        middle=middle,
    )


def interval(draws: Float64[np.ndarray, " draw"], level: float) -> tuple[float, float]:
    """The central interval of draws.

    Args:
        draws: at least one.
        level: nominal coverage, in (0, 1).
    """
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check(n_galaxies: np.ndarray, errors: np.ndarray, form: str) -> None:
    """Refuse what no law can be fitted to."""
    if form not in FORMS:
        raise UnknownNameError("law of scaling", form, FORMS)
    if not all(np.isfinite(values).all() and (values > 0).all() for values in (n_galaxies, errors)):
        raise ScalingError(
            "numbers of galaxies and errors must be finite and > 0, got a least of "
            f"{np.min(n_galaxies, initial=np.inf):g} and {np.min(errors, initial=np.inf):g}; "
            "leave such cells out"
        )
    n_cells, n_sizes = len(errors), len(np.unique(n_galaxies))
    if n_cells < FORMS[form] + _FREE_CELLS or n_sizes < FORMS[form]:
        raise ScalingError(
            f"the law '{form}' needs at least {FORMS[form] + _FREE_CELLS} cells of {FORMS[form]} "
            f"sizes, got {n_cells} of {n_sizes}; add fractions or seeds"
        )


def _solve(sizes: np.ndarray, errors: np.ndarray, weights: np.ndarray, form: str) -> _Curves:
    """The best curve for each row of errors: at a given exponent the rest is linear."""
    grid = _EXPONENTS[form]
    misfits = [
        _at_exponent(grid[i : i + 1], sizes, errors, weights, form) for i in range(len(grid))
    ]
    best = np.argmin([curves.misfit for curves in misfits], axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    for _ in range(_N_SECTIONS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        is_left = (
            _at_exponent(left, sizes, errors, weights, form).misfit
            <= _at_exponent(right, sizes, errors, weights, form).misfit
        )
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
    return _at_exponent((low + high) / 2, sizes, errors, weights, form)


def _at_exponent(
    exponent: np.ndarray, sizes: np.ndarray, errors: np.ndarray, weights: np.ndarray, form: str
) -> _Curves:
    """Weighted least squares of floor and amplitude, each >= 0, at one exponent a row."""
    falling = sizes ** -exponent[:, None]
    square = (weights * falling**2).sum(axis=1)
    product = (weights * falling * errors).sum(axis=1)
    amplitude, floor = product / square, np.zeros(len(errors))
    if form == SATURATING:
        total, sum_falling = weights.sum(), (weights * falling).sum(axis=1)
        sum_errors = (weights * errors).sum(axis=1)
        determinant = total * square - sum_falling**2
        free_floor = (square * sum_errors - sum_falling * product) / determinant
        free_amplitude = (total * product - sum_falling * sum_errors) / determinant
        has_floor = free_floor > 0
        amplitude = np.where(has_floor, free_amplitude, amplitude)
        floor = np.where(has_floor, free_floor, 0.0)
        is_rising = amplitude < 0
        floor = np.where(is_rising, sum_errors / total, floor)
        amplitude = np.where(is_rising, 0.0, amplitude)
    rest = errors - floor[:, None] - amplitude[:, None] * falling
    return _Curves(
        floor,
        amplitude,
        np.broadcast_to(exponent, floor.shape).copy(),
        (weights * rest**2).sum(axis=1),
    )
