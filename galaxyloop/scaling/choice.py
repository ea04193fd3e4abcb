"""Which law holds, told by the largest fraction; and what the next doubling of votes gains."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxyloop.errors import ScalingError
from galaxyloop.scaling.config import MIN_FRACTIONS, LawConfig
from galaxyloop.scaling.laws import POWER, SATURATING, Law, fit_law, interval

_MIN_CELLS_BELOW = 5
_NOISE_STREAM = 0x401D


@dataclass(frozen=True)
class HeldOutCells:
    """The cells of the largest fraction, and what laws of the other cells say of them."""

    observed: float
    """Their mean error."""
    power: float
    """Foretold by the power law."""
    power_low: float
    """Lower end of the interval for the observed mean."""
    power_high: float
    """Upper end."""
    saturating: float
    """Foretold by the saturating law."""

    @property
    def form(self) -> str:
        """The law to go by: the power law, unless it promised too much and the other comes nearer.

        It promised too much if the observed mean is above its interval: two curves that both
        foretell the cells differ by chance alone, and then the simpler one is taken.
        """
        is_missed = self.observed > self.power_high
        is_nearer = abs(self.saturating - self.observed) < abs(self.power - self.observed)
        return SATURATING if is_missed and is_nearer else POWER


@dataclass(frozen=True)
class Doubling:
    """What twice the galaxies, with twice the votes, should give."""

    n_galaxies: float
    """Of the largest fraction, mean over its cells."""
    error: float
    """By the law, at that number."""
    error_doubled: float
    """By the law, at twice that number."""
    gain: float
    """Share of the error that goes."""
    gain_low: float
    """Lower end of its interval, which holds if the law does."""
    gain_high: float
    """Upper end."""


def hold_out_largest(cells: pd.DataFrame, value: str, config: LawConfig) -> HeldOutCells:
    """Fit both laws without the largest fraction, and foretell it.

    Args:
        cells: finished cells of one encoder: ``fraction``, ``n_galaxies`` and the value.
        value: column with the error.
        config: draws and level of the interval.

    Raises:
        ScalingError: fewer than four fractions, or fewer than five cells below the largest.
    """
    is_largest = cells["fraction"] == cells["fraction"].max()
    n_fractions, n_below = cells["fraction"].nunique(), int((~is_largest).sum())
    if n_fractions < MIN_FRACTIONS or n_below < _MIN_CELLS_BELOW:
        raise ScalingError(
            f"a law needs {MIN_FRACTIONS} fractions and {_MIN_CELLS_BELOW} finished cells below "
            f"the largest, got {n_fractions} and {n_below}; mend what failed and run it again, or "
            "add fractions or seeds"
        )
    laws = {
        form: fit_cells(cells[~is_largest], value, form, config) for form in (POWER, SATURATING)
    }
    sizes, errors = _columns(cells[is_largest], value)
    law = laws[POWER]
    random = np.random.default_rng((config.seed, _NOISE_STREAM))
    scatter = (sizes / law.middle) ** -config.scatter_power
    noise = scatter * random.standard_normal((config.n_draws, len(sizes)))
    foretold = law.draw(sizes) * (1 + law.spreads[:, None] * noise)
    low, high = interval(foretold.mean(axis=1), config.level)
    return HeldOutCells(
        observed=float(errors.mean()),
        power=float(law.predict(sizes).mean()),
        power_low=low,
        power_high=high,
        saturating=float(laws[SATURATING].predict(sizes).mean()),
    )


def fit_cells(cells: pd.DataFrame, value: str, form: str, config: LawConfig) -> Law:
    """A law of finished cells; arguments and errors as for ``fit_law``."""
    return fit_law(*_columns(cells, value), form, config)


def foretell_doubling(law: Law, n_galaxies: float, config: LawConfig) -> Doubling:
    """The gain of the next doubling of the labelled galaxies, and so of the votes.

    Args:
        law: the law to go by.
        n_galaxies: galaxies that there are now.
        config: level of the interval.
    """
    sizes = np.array([n_galaxies, 2 * n_galaxies])
    now, doubled = law.predict(sizes)
    draws = law.draw(sizes)
    low, high = interval(1 - draws[:, 1] / draws[:, 0], config.level)
    return Doubling(
        n_galaxies=n_galaxies,
        error=float(now),
        error_doubled=float(doubled),
        gain=float(1 - doubled / now),
        gain_low=low,
        gain_high=high,
    )


def _columns(cells: pd.DataFrame, value: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of galaxies and errors."""
    return cells["n_galaxies"].to_numpy(np.float64), cells[value].to_numpy(np.float64)
