"""Laws of scaling: planted ones are found, with intervals that hold as often as they say."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit

from galaxyloop.errors import ConfigError, ScalingError, UnknownNameError
from galaxyloop.scaling.choice import fit_cells, foretell_doubling, hold_out_largest
from galaxyloop.scaling.config import LawConfig
from galaxyloop.scaling.laws import FORMS, POWER, SATURATING, fit_law, interval
from tests.library.scaling_cells import N_LARGEST, QUICK, planted, planted_table


@pytest.mark.parametrize("exponent", [-0.2, 0.05, 0.25, 0.9])
def test_fit_law__without_noise_is_the_planted_power_law(exponent: float) -> None:
    sizes, errors = planted((0.0, 30.0, exponent), 0.0, 0)
    law = fit_law(sizes, errors, POWER, QUICK)
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.scale == pytest.approx(30, rel=1e-5)
    assert law.floor == 0
    assert law.spread < 1e-6
    np.testing.assert_allclose(
        law.predict(np.array([50.0, 9000.0])), 30 * np.array([50, 9000.0]) ** -exponent, rtol=1e-5
    )


def test_fit_law__without_noise_is_the_planted_saturating_law() -> None:
    sizes, errors = planted((2.0, 30.0, 0.6), 0.0, 0)
    law = fit_law(sizes, errors, SATURATING, QUICK)
    found = law.floor, law.scale, law.exponent
    np.testing.assert_allclose(found, (2.0, 30.0, 0.6), rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_fit_law__equals_scipys_fit_of_the_same_squares(seed: int) -> None:
    sizes, errors = planted((2.0, 60.0, 0.6), 0.01, seed)
    for form in (POWER, SATURATING):
        law = fit_law(sizes, errors, form, QUICK)
        rough = np.exp(np.polyval(np.polyfit(np.log(sizes), np.log(errors), 1), np.log(sizes)))

        def curve(n: np.ndarray, a: float, b: float, c: float = 0.0) -> np.ndarray:
            return c + a * n**-b

        start = [law.scale, law.exponent] + ([law.floor] if form == SATURATING else [])
        best, _ = curve_fit(curve, sizes, errors, p0=start, sigma=rough, maxfev=20_000)
        np.testing.assert_allclose(law.predict(sizes), curve(sizes, *best), rtol=2e-4)


@pytest.mark.parametrize("form", FORMS)
def test_fit_law__is_in_the_units_of_the_error_and_blind_to_order(form: str) -> None:
    sizes, errors = planted((2.0, 30.0, 0.4), 0.02, 3)
    law = fit_law(sizes, errors, form, QUICK)
    order = np.random.default_rng(0).permutation(len(sizes))
    other = fit_law(sizes[order], 1000 * errors[order], form, QUICK)
    assert other.exponent == pytest.approx(law.exponent, abs=1e-6)
    assert other.scale == pytest.approx(1000 * law.scale, rel=1e-5)
    assert other.floor == pytest.approx(1000 * law.floor, rel=1e-5)


@pytest.mark.parametrize("exponent", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("noise", [0.005, 0.03])
def test_fit_law__interval_holds_the_planted_exponent_about_as_often_as_it_says(
    exponent: float, noise: float
) -> None:
    n_draws = 150
    covered = []
    for seed in range(n_draws):
        law = fit_law(*planted((0.0, 30.0, exponent), noise, seed), POWER, QUICK)
        low, high = interval(law.exponents, 0.9)
        covered.append(low <= exponent <= high)
    # 90 % of 150, within three standard errors of 2.4 %.
    assert 0.825 <= np.mean(covered) <= 0.975


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_fit_law__interval_holds_the_exponent_however_scatter_falls(power: float) -> None:
    covered = []
    for seed in range(100):
        sizes, shares = planted((1.0, 0.0, 0.0), 0.01, seed)
        noise = (shares - 1) * (sizes / 450) ** -power
        law = fit_law(sizes, 30 * sizes**-0.1 * (1 + noise), POWER, LawConfig(n_draws=200))
        low, high = interval(law.exponents, 0.9)
        covered.append(low <= 0.1 <= high)
    assert 0.8 <= np.mean(covered) <= 0.98


def test_fit_law__interval_holds_a_planted_saturating_law_too() -> None:
    covered = []
    for seed in range(100):
        law = fit_law(*planted((2.0, 60.0, 0.6), 0.005, seed), SATURATING, QUICK)
        floor, exponent = interval(law.floors, 0.9), interval(law.exponents, 0.9)
        covered.append((floor[0] <= 2.0 <= floor[1], exponent[0] <= 0.6 <= exponent[1]))
    assert (np.mean(covered, axis=0) >= 0.8).all()


def test_fit_law__interval_narrows_with_more_seeds() -> None:
    widths = []
    for n_seeds in (2, 8, 32):
        law = fit_law(*planted((0.0, 30.0, 0.3), 0.02, 1, n_seeds), POWER, QUICK)
        low, high = interval(law.exponents, 0.9)
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_fit_law__refuses_what_it_cannot_fit() -> None:
    sizes, errors = planted((0.0, 30.0, 0.3), 0.0, 0)
    with pytest.raises(UnknownNameError, match="no law of scaling 'cubic'.* power, saturating"):
        fit_law(sizes, errors, "cubic", QUICK)
    with pytest.raises(ScalingError, match=r"at least 5 cells of 3 sizes, got 4 of 2.*add"):
        fit_law(sizes[[0, 1, 3, 4]], errors[[0, 1, 3, 4]], SATURATING, QUICK)
    with pytest.raises(ScalingError, match=r"finite and > 0.* leave such cells out"):
        fit_law(sizes, errors - errors, POWER, QUICK)
    with pytest.raises(ConfigError, match=r"scatter_power must be in \[0, 1\], got 2.0"):
        LawConfig(scatter_power=2.0)
    with pytest.raises(ConfigError, match="level must be in"):
        LawConfig(level=1.0)


def test_hold_out_largest__goes_by_the_power_law_where_it_holds() -> None:
    forms = [
        hold_out_largest(planted_table((0.0, 30.0, 0.25), 0.02, seed), "nll", QUICK).form
        for seed in range(60)
    ]
    assert forms.count(POWER) >= 52


def test_hold_out_largest__recognises_a_planted_floor() -> None:
    forms = [
        hold_out_largest(planted_table((2.0, 400.0, 0.9), 0.01, seed), "nll", QUICK).form
        for seed in range(40)
    ]
    assert forms.count(SATURATING) >= 36


def test_hold_out_largest__interval_holds_the_mean_of_the_cells_left_out() -> None:
    covered = []
    for seed in range(150):
        held_out = hold_out_largest(planted_table((0.0, 30.0, 0.25), 0.02, seed), "nll", QUICK)
        covered.append(held_out.power_low <= held_out.observed <= held_out.power_high)
    assert 0.825 <= np.mean(covered) <= 0.975


def test_hold_out_largest__refuses_too_few_cells() -> None:
    cells = planted_table((0.0, 30.0, 0.25), 0.02, 0)
    few = cells[cells["fraction"] > 0.2]
    with pytest.raises(ScalingError, match=r"needs 4 fractions and 5 .* got 3 and 6; mend"):
        hold_out_largest(few, "nll", QUICK)
    once = cells.drop_duplicates("fraction")
    with pytest.raises(ScalingError, match="got 5 and 4"):
        hold_out_largest(once, "nll", QUICK)


def test_foretell_doubling__is_the_planted_gain() -> None:
    cells = planted_table((0.0, 30.0, 0.25), 0.0, 0)
    told = foretell_doubling(fit_cells(cells, "nll", POWER, QUICK), float(N_LARGEST), QUICK)
    assert told.gain == pytest.approx(1 - 2**-0.25, abs=1e-5)
    assert told.error_doubled == pytest.approx(30 * (2 * N_LARGEST) ** -0.25, rel=1e-5)


def test_foretell_doubling__interval_holds_the_planted_gain_about_as_often_as_it_says() -> None:
    covered = []
    for seed in range(150):
        law = fit_cells(planted_table((0.0, 30.0, 0.25), 0.02, seed), "nll", POWER, QUICK)
        told = foretell_doubling(law, float(N_LARGEST), QUICK)
        covered.append(told.gain_low <= 1 - 2**-0.25 <= told.gain_high)
    assert 0.825 <= np.mean(covered) <= 0.975


def test_foretell_doubling__gains_less_where_there_is_a_floor() -> None:
    cells: pd.DataFrame = planted_table((2.0, 400.0, 0.9), 0.0, 0)
    gains = {
        form: foretell_doubling(fit_cells(cells, "nll", form, QUICK), float(N_LARGEST), QUICK).gain
        for form in FORMS
    }
    true = 1 - (2 + 400 * (2 * N_LARGEST) ** -0.9) / (2 + 400 * N_LARGEST**-0.9)
    assert gains[SATURATING] == pytest.approx(true, abs=1e-4)
    assert gains[POWER] > 2 * true
