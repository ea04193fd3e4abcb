"""Grouping by position: equal to a plain loop over all pairs, and stable while a survey grows."""

import itertools

import numpy as np
import pandas as pd
import pytest

from galaxyloop.config import ConfigError
from galaxyloop.splits import SplitConfig, split_galaxies
from galaxyloop.surveys.groups import group_by_position

ARCSEC = 1 / 3600


def table(
    positions: list[tuple[float, float]], ids: list[str] | None = None, **columns: list[str]
) -> pd.DataFrame:
    ids = ids or [f"g{i:04d}" for i in range(len(positions))]
    ra, dec = zip(*positions, strict=True)
    frame = pd.DataFrame({"id_str": ids, "group_id": ids, "ra_deg": ra, "dec_deg": dec})
    return frame.assign(**columns)


def grouped(galaxies: pd.DataFrame, *rest: object) -> list[str]:
    return group_by_position(galaxies, 1.0, *rest).tolist()


def separation_arcsec(one: pd.Series, other: pd.Series) -> float:
    """The haversine formula."""
    dec, dec_other = np.radians([one["dec_deg"], other["dec_deg"]])
    half = np.sin(np.radians(one["ra_deg"] - other["ra_deg"]) / 2) ** 2
    square = np.sin((dec - dec_other) / 2) ** 2 + np.cos(dec) * np.cos(dec_other) * half
    return float(np.degrees(2 * np.arcsin(np.sqrt(square))) * 3600)


def friends_of_friends(galaxies: pd.DataFrame, radius_arcsec: float) -> list[str]:
    """Join pair by pair until nothing changes."""
    rows = [row for _, row in galaxies.iterrows()]
    names = galaxies["id_str"].tolist()
    for i, j in itertools.combinations(range(len(rows)), 2):
        if separation_arcsec(rows[i], rows[j]) <= radius_arcsec and names[i] != names[j]:
            low, high = sorted((names[i], names[j]))
            names = [low if name == high else name for name in names]
    return names


def crowd(n_galaxies: int, seed: int, ra: float, dec: float) -> pd.DataFrame:
    """Galaxies within some arcseconds of a place, in no order of id."""
    rng = np.random.default_rng(seed)
    dec = np.clip(dec + rng.uniform(-6, 6, n_galaxies) * ARCSEC, -90, 90)
    width = 6 * ARCSEC / np.maximum(np.cos(np.radians(dec)), 1e-7)
    positions = zip((ra + rng.uniform(-1, 1, n_galaxies) * width) % 360, dec, strict=True)
    ids = [f"g{i:03d}" for i in rng.permutation(n_galaxies)]
    return table(list(positions), ids)


@pytest.mark.parametrize("place", [(180.0, 30.0), (0.0, -5.0), (10.0, 90.0), (0.0, -90.0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_group_by_position__equals_a_loop_over_all_pairs(
    place: tuple[float, float], seed: int
) -> None:
    galaxies = crowd(45, seed, *place)
    expected = friends_of_friends(galaxies, 1.0)
    assert 1 < len(set(expected)) < 45
    assert grouped(galaxies) == expected


def test_group_by_position__joins_across_the_first_meridian_and_the_pole() -> None:
    galaxies = table([(359.99999, 0.0), (0.00001, 0.0), (20.0, 89.9999), (200.0, 89.9999)])
    assert grouped(galaxies) == ["g0000", "g0000", "g0002", "g0002"]
    assert grouped(table([(5.0, -90.0), (300.0, -90.0)])) == ["g0000", "g0000"]


def test_group_by_position__follows_a_chain_in_any_order_of_rows() -> None:
    chain = table([(50.0, 10.0 + 0.9 * i * ARCSEC) for i in (3, 0, 4, 1, 2)])
    assert grouped(chain) == ["g0000"] * 5
    assert grouped(chain.sample(frac=1, random_state=0)) == ["g0000"] * 5


def test_group_by_position__bears_many_galaxies_at_one_position() -> None:
    galaxies = table([(0.0, 0.0)] * 30_000, [f"g{i:05d}" for i in range(30_000)])
    assert set(grouped(galaxies)) == {"g00000"}


def test_group_by_position__leaves_the_manifests_groups_and_joins_others_to_them() -> None:
    galaxies = table(
        [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (7.0, 1.0)], group_id=["m", "g0001", "g0002", "g0001"]
    )
    # The fourth names the second: a group of the manifest, like "m". The third joins either.
    assert grouped(galaxies) == ["m", "g0001", "g0001", "g0001"]


def test_group_by_position__keeps_galaxies_without_a_position_by_themselves() -> None:
    galaxies = table([(np.nan, np.nan), (np.nan, np.nan), (3.0, 3.0)])
    assert grouped(galaxies) == galaxies["id_str"].tolist()


def test_group_by_position__of_nobody_or_of_no_radius_is_what_it_was() -> None:
    galaxies = table([(1.0, 1.0), (1.0, 1.0)])
    assert group_by_position(galaxies, 0.0).tolist() == ["g0000", "g0001"]
    assert grouped(galaxies[:0]) == []


def test_group_by_position__keeps_the_index() -> None:
    galaxies = table([(1.0, 1.0), (1.0, 1.0)]).set_axis([7, 7])
    groups = group_by_position(galaxies, 1.0)
    assert groups.index.tolist() == [7, 7]
    assert groups.tolist() == ["g0000", "g0000"]


def test_group_by_position__gives_a_new_galaxy_the_nearest_old_ones_group() -> None:
    old = table([(9.0, 0.0), (9.0, 1.6 * ARCSEC)], ["b", "c"])
    new = table([(9.0, 0.9 * ARCSEC), (9.0, 2.4 * ARCSEC), (9.0, 3.3 * ARCSEC)], ["a", "d", "e"])
    both = pd.concat([new, old])
    # "a" bridges the old two, which stay apart; "e" reaches "c" through "d" alone.
    assert grouped(both, old) == ["c", "c", "c", "b", "c"]


def test_group_by_position__joins_an_old_galaxy_that_is_gone_or_has_moved() -> None:
    old = table([(9.0, 0.0), (40.0, 0.0)], ["x", "y"], group_id=["x", "x"])
    now = table([(9.0, 0.0), (80.0, 0.0), (80.0, 0.0)], ["a", "y", "z"])
    assert grouped(now, old) == ["x", "x", "x"]


def test_group_by_position__who_names_an_old_galaxy_goes_where_it_has_gone() -> None:
    old = table([(9.0, 0.0), (9.0, 0.0)], ["a", "b"], group_id=["a", "a"])
    now = table([(9.0, 0.0), (9.0, 0.0), (70.0, 0.0)], ["a", "b", "c"], group_id=["a", "b", "b"])
    assert grouped(now, old) == ["a", "a", "a"]


@pytest.mark.parametrize("seed", range(4))
def test_group_by_position__never_changes_a_group_while_a_survey_grows(seed: int) -> None:
    everyone = crowd(120, seed, 359.9999, 40.0)
    rng = np.random.default_rng(seed)
    version: pd.DataFrame | None = None
    for n_galaxies in (30, 60, 90, 120):
        now = everyone[:n_galaxies].sample(frac=1, random_state=rng)
        now = now.assign(group_id=group_by_position(now, 1.0, version))
        if version is not None:
            kept = now.set_index("id_str")["group_id"].loc[version["id_str"]]
            assert kept.tolist() == version["group_id"].tolist()
        version = now


def test_group_by_position__tells_how_many_fixed_neighbours_stay_apart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    places = [(10.0, 0.0), (10.0, 0.5 * ARCSEC), (10.0, 0.5 * ARCSEC), (20.0, 0.0)]
    before = table(places, ["a", "b", "c", "d"])
    # The radius was set after the first version: a and b, and b and c at one place, stay apart.
    assert grouped(before, before) == ["a", "b", "c", "d"]
    assert "2 pairs of galaxies within group_radius_arcsec=1 keep" in caplog.text
    caplog.clear()
    assert grouped(before) == ["a", "a", "a", "d"]
    assert not caplog.text


def test_group_by_position__puts_one_galaxy_into_one_split() -> None:
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 400), np.degrees(np.arcsin(rng.uniform(-1, 1, 400)))
    places = [*zip(ra, dec, strict=True), *zip(ra, dec, strict=True)]
    galaxies = table(places)
    apart = split_galaxies(galaxies, SplitConfig())["split"].to_numpy()
    assert (apart[:400] != apart[400:]).any()
    galaxies["group_id"] = group_by_position(galaxies, 1.0)
    for column in ("split", "fold"):
        together = split_galaxies(galaxies, SplitConfig())[column].to_numpy()
        assert (together[:400] == together[400:]).all()


@pytest.mark.parametrize("radius_arcsec", [-1.0, 4000.0, float("nan")])
def test_group_by_position__refuses_a_radius_out_of_range(radius_arcsec: float) -> None:
    with pytest.raises(ConfigError, match=rf"radius_arcsec must be in .* got {radius_arcsec}"):
        group_by_position(table([(1.0, 1.0)]), radius_arcsec)
