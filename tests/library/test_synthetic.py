"""The simulated survey: its laws, its known truth, its refusals."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import CAMPAIGNS, campaign_tree, find_campaign
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.synthetic import (
    KINDS,
    Galaxy,
    SimulatedSurvey,
    SimulationConfig,
    draw_galaxy_of_kind,
    simulate_galaxies,
    true_concentrations,
    true_fractions,
)
from galaxyloop.synthetic.ballots import draw_n_volunteers, draw_votes
from galaxyloop.synthetic.light import paint_galaxy
from galaxyloop.synthetic.sky import stretch_to_rgb

SMALL = SimulationConfig(n_galaxies=60, image_size_px=32, seed=3)


@pytest.fixture(scope="module")
def survey() -> SimulatedSurvey:
    return simulate_galaxies(SMALL)


def fraction_of(galaxy: Galaxy, column: str, noise: float = 1.0) -> float:
    config = SimulationConfig(noise=noise)
    tree = campaign_tree(list(CAMPAIGNS))
    fractions = true_fractions(true_concentrations(galaxy, tree, config), tree)
    return float(fractions[tree.columns.index(column)])


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_true_concentrations__lie_where_a_network_can_reach_them(campaign: str) -> None:
    tree = find_campaign(campaign).tree
    config = SimulationConfig(concentration=90.0)
    for number, kind in enumerate(KINDS):
        galaxy = draw_galaxy_of_kind(kind, np.random.default_rng(number))
        concentrations = true_concentrations(galaxy, tree, config)
        assert concentrations.min() > 1
        for part in tree.slices.values():
            assert concentrations[part].sum() < 101


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_true_fractions__sum_to_one_on_every_question(campaign: str) -> None:
    simulated = simulate_galaxies(dataclasses.replace(SMALL, n_galaxies=9, campaign=campaign))
    for part in simulated.tree.slices.values():
        np.testing.assert_allclose(simulated.fractions[:, part].sum(axis=1), 1.0, rtol=1e-12)


def test_true_concentrations__equal_a_softmax_worked_by_hand() -> None:
    tree = DecisionTree("tiny", (Question("spiral-winding-x", ("tight", "medium", "loose")),))
    config = SimulationConfig(concentration=30.0)
    galaxy = Galaxy(pitch_angle_deg=19.0)
    # Scores -2, 0, -2.88; one vote in a hundred falls anywhere.
    weights = np.exp([-2.0, 0.0, -2.88])
    expected = 1 + 30.0 * (0.99 * weights / weights.sum() + 0.01 / 3)
    np.testing.assert_allclose(true_concentrations(galaxy, tree, config), expected, rtol=1e-12)


def test_true_concentrations__refuses_a_question_nobody_has_an_opinion_on() -> None:
    tree = DecisionTree("tiny", (Question("is-it-a-planet-x", ("yes", "no")),))
    with pytest.raises(UnknownNameError, match="is-it-a-planet-x"):
        true_concentrations(Galaxy(), tree, SMALL)


def test_true_concentrations__refuses_an_answer_nobody_has_an_opinion_on() -> None:
    tree = DecisionTree("tiny", (Question("bar-x", ("yes", "perhaps")),))
    with pytest.raises(UnknownNameError, match="perhaps"):
        true_concentrations(Galaxy(), tree, SMALL)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"arm_contrast": 0.9, "n_arms": 2}, "has-spiral-arms-gz2_yes"),
        ({"arm_contrast": 0.9, "n_arms": 2}, "smooth-or-featured-gz2_featured-or-disk"),
        ({"bar_strength": 0.9}, "bar-gz2_yes"),
        ({"inclination_deg": 88.0}, "disk-edge-on-gz2_yes"),
        ({"bulge_to_total": 0.65}, "bulge-size-gz2_dominant"),
        ({"ring_strength": 0.9}, "odd-feature-gz2_ring"),
        ({"companion_share": 0.5}, "odd-feature-gz2_merger"),
        ({"star_strength": 1.0}, "smooth-or-featured-gz2_artifact"),
        ({"pitch_angle_deg": 9.0}, "spiral-winding-gz2_tight"),
        ({"clumpiness": 0.4}, "clumpy-appearance-hubble_yes"),
        ({"clumpiness": 0.4}, "clumps-euclid_yes"),
        ({"clumpiness": 0.4}, "clump-count-candels_5-plus"),
        ({"inclination_deg": 88.0}, "clump-configuration-hubble_straight-line"),
        ({"bulge_to_total": 0.5}, "brightest-clump-central-hubble_yes"),
        ({"star_strength": 1.0}, "problem-ceers_star"),
        ({"trail_strength": 1.0}, "artifact-cd_satellite"),
        ({"tidal_strength": 0.9}, "merging-dr12_tidal-debris"),
        ({"tidal_strength": 0.9}, "merging-cosmos_major-disturbance"),
        ({"bulge_to_total": 0.0, "inclination_deg": 88.0}, "edge-on-bulge-candels_no"),
        ({"ring_strength": 0.9}, "ring-rings_yes"),
        ({"ring_strength": 0.9}, "inner-ring-efigi_yes"),
        ({"bulge_to_total": 0.9}, "bulge-efigi_all"),
        ({"companion_share": 0.5}, "multiplicity-efigi_several"),
    ],
)
def test_true_concentrations__follow_the_galaxy(change: dict[str, float], column: str) -> None:
    plain = Galaxy()
    changed = dataclasses.replace(plain, **change)
    assert fraction_of(changed, column) > fraction_of(plain, column) + 0.1


def test_true_concentrations__see_fewer_arms_through_more_noise() -> None:
    galaxy = Galaxy(arm_contrast=0.8, n_arms=2)
    column = "has-spiral-arms-gz2_yes"
    assert fraction_of(galaxy, column, noise=20.0) < fraction_of(galaxy, column) - 0.2


def test_draw_votes__children_are_answered_by_those_who_gave_a_parent_answer(
    survey: SimulatedSurvey,
) -> None:
    tree = survey.tree
    for question in tree.questions:
        n_answered = survey.votes[:, tree.slices[question.name]].sum(axis=1)
        if question.asked_after:
            parents = [tree.columns.index(column) for column in question.asked_after]
            np.testing.assert_array_equal(n_answered, survey.votes[:, parents].sum(axis=1))
        else:
            np.testing.assert_array_equal(n_answered > 0, survey.galaxies["is_labelled"])


def test_draw_votes__have_the_mean_and_variance_of_a_dirichlet_multinomial() -> None:
    tree = DecisionTree("tiny", (Question("q", ("a", "b", "c")),))
    concentrations = np.array([6.0, 3.0, 1.0])
    n_volunteers, n_draws, total = 20, 20_000, 10.0
    rng = np.random.default_rng(11)
    votes = np.stack([draw_votes(concentrations, tree, n_volunteers, rng) for _ in range(n_draws)])
    fractions = concentrations / total
    variance = n_volunteers * fractions * (1 - fractions) * (n_volunteers + total) / (1 + total)
    standard_error = np.sqrt(variance / n_draws)
    assert (np.abs(votes.mean(axis=0) - n_volunteers * fractions) < 4 * standard_error).all()
    np.testing.assert_allclose(votes.var(axis=0), variance, rtol=0.05)


def test_draw_votes__average_to_the_true_fractions_down_the_tree() -> None:
    tree = find_campaign("gz2").tree
    galaxy = Galaxy(arm_contrast=0.9, n_arms=2, bar_strength=0.5)
    concentrations = true_concentrations(galaxy, tree, SMALL)
    rng = np.random.default_rng(5)
    # Each draw is one volunteer with fractions of their own, so draws are independent.
    votes = np.stack([draw_votes(concentrations, tree, 1, rng) for _ in range(6000)])
    fractions = true_fractions(concentrations, tree)
    for question in tree.questions:
        part = tree.slices[question.name]
        counts = votes[:, part].sum(axis=0)
        n_asked = counts.sum()
        if n_asked >= 100:
            error = np.sqrt(fractions[part] * (1 - fractions[part]) / n_asked)
            assert (np.abs(counts / n_asked - fractions[part]) < 4.5 * error).all(), question.name


def test_draw_n_volunteers__has_the_asked_mean() -> None:
    rng = np.random.default_rng(2)
    numbers = np.array([draw_n_volunteers(40.0, rng) for _ in range(4000)])
    assert abs(numbers.mean() - 40.0) < 4 * numbers.std() / np.sqrt(4000)
    assert numbers.std() > 5


def test_simulate_galaxies__galaxy_does_not_depend_on_their_number(
    survey: SimulatedSurvey,
) -> None:
    fewer = simulate_galaxies(dataclasses.replace(SMALL, n_galaxies=20))
    np.testing.assert_array_equal(fewer.images, survey.images[:20])
    np.testing.assert_array_equal(fewer.votes, survey.votes[:20])
    np.testing.assert_array_equal(fewer.concentrations, survey.concentrations[:20])
    pd.testing.assert_frame_equal(fewer.galaxies, survey.galaxies[:20])
    pd.testing.assert_frame_equal(fewer.parameters, survey.parameters[:20])


def test_simulate_galaxies__another_seed_is_another_survey(survey: SimulatedSurvey) -> None:
    other = simulate_galaxies(dataclasses.replace(SMALL, n_galaxies=5, seed=4))
    assert not set(other.galaxies["id_str"]) & set(survey.galaxies["id_str"])
    assert (other.images != survey.images[:5]).any(axis=(1, 2, 3)).all()


def test_simulate_galaxies__repeats_show_one_galaxy_with_other_noise() -> None:
    simulated = simulate_galaxies(dataclasses.replace(SMALL, repeated_share=0.5))
    galaxies = simulated.galaxies
    repeats = np.flatnonzero(galaxies["id_str"] != galaxies["group_id"])
    assert len(repeats) > 5
    for place in repeats:
        assert galaxies["group_id"][place] == galaxies["id_str"][place - 1]
        assert simulated.parameters.loc[place].equals(simulated.parameters.loc[place - 1])
        assert abs(galaxies["dec_deg"][place] - galaxies["dec_deg"][place - 1]) * 3600 < 1
        first, second = simulated.images[place - 1 : place + 1].astype(float)
        assert (first != second).any()
        assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("share", [0.0, 0.75, 1.0])
def test_simulate_galaxies__labels_the_asked_share(share: float) -> None:
    config = dataclasses.replace(SMALL, n_galaxies=400, image_size_px=16, labelled_share=share)
    labelled = simulate_galaxies(config).galaxies["is_labelled"].mean()
    assert abs(labelled - share) <= 4 * np.sqrt(share * (1 - share) / 400)


def test_simulate_galaxies__ids_do_not_fit_a_float(survey: SimulatedSurvey) -> None:
    ids = survey.galaxies["id_str"]
    assert ids.is_unique
    assert (ids.str.len() == 18).all()
    assert ids.astype("int64").min() > 2**53


def test_paint_galaxy__puts_the_asked_light_within_the_half_light_radius() -> None:
    galaxy = Galaxy(bulge_to_total=1.0, sersic_index=1.0, bulge_radius=1.0, bulge_axis_ratio=1.0)
    galaxy = dataclasses.replace(galaxy, clumpiness=0.0, inclination_deg=0.0)
    size = 128
    light = paint_galaxy(galaxy, size, np.random.default_rng(0)).mean(axis=2)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = np.hypot(x, y) < galaxy.half_light_radius_share * size
    assert light[inside].mean() == pytest.approx(galaxy.surface_brightness, rel=0.06)
    assert light[inside].sum() / light.sum() == pytest.approx(0.5, abs=0.03)


def test_paint_galaxy__two_arms_look_the_same_after_half_a_turn() -> None:
    galaxy = Galaxy(arm_contrast=1.0, n_arms=2, arm_raggedness=0.0, clumpiness=0.0)
    galaxy = dataclasses.replace(galaxy, inclination_deg=0.0, bulge_to_total=0.0)
    light = paint_galaxy(galaxy, 193, np.random.default_rng(1)).mean(axis=2)
    correlations = [
        np.corrcoef(light.ravel(), np.rot90(light, n_quarters).ravel())[0, 1]
        for n_quarters in (1, 2)
    ]
    assert correlations[1] > 0.95
    assert correlations[1] > correlations[0] + 0.2


def test_stretch_to_rgb__keeps_the_order_of_brightness_and_of_bands() -> None:
    light = np.linspace(0, 500, 64, dtype=np.float32)[:, None, None] * np.array(
        [1.2, 1.0, 0.7], np.float32
    )
    rgb = stretch_to_rgb(np.broadcast_to(light, (64, 64, 3)).copy()).astype(int)
    assert (np.diff(rgb.sum(axis=2)[:, 0]) >= 0).all()
    assert (rgb[1:, :, 0] >= rgb[1:, :, 2]).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_galaxies", 0),
        ("labelled_share", 1.5),
        ("concentration", 101.0),
        ("image_size_px", 8),
        ("noise", -1.0),
        ("noise", float("nan")),
    ],
)
def test_simulation_config__refuses_values_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} must be in .* got {value}"):
        SimulationConfig.from_dict({name: value})


def test_simulation_config__refuses_unknown_settings() -> None:
    with pytest.raises(ConfigError, match="n_galaxy"):
        SimulationConfig.from_dict({"n_galaxy": 5})
