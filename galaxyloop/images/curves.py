"""From the fluxes of bands to red, green and blue between 0 and 1."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float32, Num

Flux = Float32[np.ndarray, "band y x"]
Rgb = Float32[np.ndarray, "rgb y x"]
_Plane = Float32[np.ndarray, "y x"]
_Levels = Float32[np.ndarray, "band 1 1"]
_Any = Float32[np.ndarray, "..."]

_MAX_FLUX = 1e15
"""Beyond it float32 would overflow on the way; far beyond white in any unit."""
_FAINTEST = np.float32(1e-30)
_LINEAR_Q = 1e-6
"""Below it arcsinh(Q x) is Q x to more than eight bits."""
_SKY_PERCENTILE = 25.0
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class Recipe:
    """Everything that turns bands into colours.

    Bands stand blue to red throughout. The bluest becomes blue, the reddest red, and the middle
    one (of an even number, the mean of the middle two) green, unless ``mix`` says otherwise.
    """

    curve: str
    """From flux to brightness: a name in ``CURVES``."""
    bands: tuple[str, ...] = ()
    """Blue to red; none takes every band that the image has."""
    scales: tuple[float, ...] = ()
    """Factor on the flux of each band; none is 1."""
    minimum: float = 0.0
    """What is black, in scaled flux."""
    stretch: float = 1.0
    """Scaled flux where the curve bends; with ``arcsinh``, where white is."""
    q: float = 1.0
    """How strongly bright parts are compressed; 0 is linear."""
    black_percentile: float | None = None
    """Share of a band's pixels below black [%], instead of ``minimum``."""
    white_percentile: float | None = None
    """Share of a band's pixels below white [%], instead of ``stretch``."""
    mix: tuple[tuple[float, float, float], ...] = ()
    """Red, green and blue share of each band."""
    max_bands: int = 26
    """An image with more is rejected."""

    @property
    def looks_at_image(self) -> bool:
        """Whether levels are taken from the image itself."""
        percentiles = (self.black_percentile, self.white_percentile)
        return self.curve == "noise" or percentiles != (None, None)


def mix_colours(flux: Flux, recipe: Recipe) -> Rgb:
    """Red, green and blue in [0, 1]; a pixel without data (NaN) is black in its band.

    Args:
        flux: scaled, blue to red, finite ones at most 1e15 in size.
        recipe: curve and colours.
    """
    bright = CURVES[recipe.curve](flux, recipe)
    if np.isnan(flux.min()):
        bright[np.isnan(flux)] = 0
    rgb = _mixed(np.maximum(bright, 0, out=bright), recipe)
    if recipe.curve in _KEEPS_HUE:
        peak = rgb.max(axis=0)
        if (peak > 1).any():
            rgb /= np.maximum(peak, 1)
    np.minimum(rgb, 1, out=rgb)
    return rgb


def _mixed(bright: Flux, recipe: Recipe) -> Rgb:
    """Bands to red, green and blue."""
    if recipe.mix:
        weights = np.array(recipe.mix, np.float32)
        mixed: Rgb = np.einsum("byx,bc->cyx", bright, weights)
        return mixed
    n_bands = len(bright)
    middle = bright[n_bands // 2]
    if n_bands % 2 == 0:
        middle = (bright[n_bands // 2 - 1] + middle) / 2
    return np.stack([bright[-1], middle, bright[0]])


def lupton(flux: Flux, recipe: Recipe) -> Flux:
    """Lupton et al. 2004 (astro-ph/0312483): the curve acts on the mean of the bands.

    With x = (flux - minimum) / stretch and I the mean of x, each band is x f(I) / I, where
    f(I) = 0.1 arcsinh(Q I) / arcsinh(0.1 Q): faint light rises as I, whatever Q. A pixel brighter
    than white keeps its hue.
    """
    x = _above_black(flux, recipe)
    mean = np.maximum(_mean(x), 0)
    if recipe.q < _LINEAR_Q:
        x *= mean > 0
        return x
    slope = np.float32(0.1 / np.arcsinh(0.1 * recipe.q))
    x *= _over(slope * np.arcsinh(np.float32(recipe.q) * mean), mean)
    return x


def viewer(flux: Flux, recipe: Recipe) -> Flux:
    """The Legacy Surveys' sky viewer: like Lupton's, but bright pixels saturate to white.

    f(I) = arcsinh(Q I) / sqrt(Q), with I the mean of what is above ``minimum``.
    """
    x = _above_black(flux, recipe)
    mean = _mean(np.maximum(x, 0))
    curved = np.arcsinh(np.float32(recipe.q) * mean) / np.float32(np.sqrt(recipe.q))
    x *= _over(curved, mean)
    return x


def arcsinh(flux: Flux, recipe: Recipe) -> Flux:
    """The arcsinh of Q flux, band by band, black at ``minimum`` and white at ``stretch``."""
    black, white = _limits(flux, recipe)
    low, high = _asinh(black, recipe.q), _asinh(white, recipe.q)
    bright: Flux = (_asinh(flux, recipe.q) - low) / _span(low, high)
    np.minimum(bright, 1, out=bright)
    return bright


def relative(flux: Flux, recipe: Recipe) -> Flux:
    """Each band by itself, as arcsinh(Q x), where x is 0 at black and 1 at white."""
    black, white = _limits(flux, recipe)
    x: Flux = (flux - black) / _span(black, white)
    bright: Flux = _asinh(np.clip(x, 0, 1), recipe.q) / _asinh(np.ones_like(black), recipe.q)
    return bright


def noise(flux: Flux, recipe: Recipe) -> Flux:
    """Lupton's curve on each band in units of its own noise above its own sky.

    The sky is the lower quartile of the pixels; the noise is taken from neighbouring pixels'
    differences, which a galaxy hardly changes. A band without noise is measured by its range.
    """
    sky = _of_bands(flux, partial(np.percentile, q=_SKY_PERCENTILE))
    steps = np.abs(np.diff(flux, axis=2)) if flux.shape[2] > 1 else np.zeros_like(flux)
    sigma = _of_bands(steps, np.median) * (_MAD_TO_SIGMA / np.sqrt(2))
    span = _of_bands(flux, np.max) - sky
    floor = np.maximum(span * np.float32(1e-4), np.float32(1e-30))
    return lupton((flux - sky) / np.maximum(sigma, floor).astype(np.float32), recipe)


def _above_black(flux: Flux, recipe: Recipe) -> Flux:
    """Flux above ``minimum`` in units of ``stretch``; what is missing is black."""
    x: Flux = flux - np.float32(recipe.minimum)
    x /= np.float32(recipe.stretch)
    if np.isnan(x.min()):
        x[np.isnan(x)] = 0
    return x


def _of_bands(flux: Flux, statistic: Callable[[_Any], Any]) -> _Levels:
    """A statistic of each band's pixels with data; 0 for a band without."""
    levels = []
    for band in flux:
        seen = band[~np.isnan(band)] if np.isnan(band.min()) else band
        levels.append(statistic(seen) if seen.size else 0.0)
    return np.array(levels, np.float32).reshape(-1, 1, 1)


def _mean(x: Flux) -> _Plane:
    """Over the bands; a plain sum is twice as fast as numpy's mean of so short an axis."""
    total: _Plane = x[0].copy()
    for band in x[1:]:
        total += band
    total /= np.float32(len(x))
    return total


def _over(curved: _Plane, mean: _Plane) -> _Plane:
    """f(I) / I of light that is 0 or above, and 0 where there is none."""
    curved /= np.maximum(mean, _FAINTEST)
    return curved


def _limits(flux: Flux, recipe: Recipe) -> tuple[_Levels, _Levels]:
    """Black and white of each band."""
    black, white = (
        np.full((len(flux), 1, 1), fixed, np.float32)
        if percent is None
        else _of_bands(flux, partial(np.percentile, q=percent))
        for percent, fixed in (
            (recipe.black_percentile, recipe.minimum),
            (recipe.white_percentile, recipe.stretch),
        )
    )
    return black, white


def _span(low: _Levels, high: _Levels) -> _Levels:
    """What to divide by; a band that nowhere rises above black stays black."""
    return np.where(high > low, high - low, np.float32(np.inf)).astype(np.float32, copy=False)


def _asinh(x: _Any, q: float) -> _Any:
    """arcsinh(Q x) / Q, which is x in the limit of no compression."""
    if q < _LINEAR_Q:
        return x
    curved: _Any = np.arcsinh(np.float32(q) * x) / np.float32(q)
    return curved


CURVES: dict[str, Callable[[Flux, Recipe], Flux]] = {
    "lupton": lupton,
    "viewer": viewer,
    "arcsinh": arcsinh,
    "relative": relative,
    "noise": noise,
}
"""Flux to brightness in each band, 1 or above being full; one entry a curve."""

_KEEPS_HUE = {"lupton", "noise"}


def to_flux(plane: Num[np.ndarray, "y x"], scale: float) -> Float32[np.ndarray, "y x"]:
    """Scaled flux, still with its holes: NaN and infinite pixels are NaN."""
    is_wide = plane.dtype.itemsize > 4
    with np.errstate(over="ignore", invalid="ignore"):
        flux: np.ndarray = plane.astype(np.float64 if is_wide else np.float32)
        is_whole = np.isfinite(flux.min()) and np.isfinite(flux.max())
        is_hole = None if is_whole else ~np.isfinite(flux)
        if scale != 1:
            flux *= flux.dtype.type(scale)
        if not max(-flux.min(), flux.max()) <= _MAX_FLUX:
            flux = np.clip(flux, -_MAX_FLUX, _MAX_FLUX)
        if is_hole is not None:
            flux[is_hole] = np.nan
        return flux.astype(np.float32, copy=False)
