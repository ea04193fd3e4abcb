import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import BatchConfig, SkyBox, SkyCone, select_batch
from galaxyloop.config import ConfigError
from galaxyloop.errors import RepresentationError

BY_RANK = BatchConfig(n_galaxies=5, diversity="none")


def ranked(n_galaxies: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "rank": np.arange(1, n_galaxies + 1),
            "id_str": [f"g{i:04d}" for i in range(n_galaxies)],
            "ra_deg": rng.uniform(0, 360, n_galaxies),
            "dec_deg": np.degrees(np.arcsin(rng.uniform(-1, 1, n_galaxies))),
            "information_nats": np.linspace(2, 0, n_galaxies),
        }
    )


def separation_deg(galaxies: pd.DataFrame) -> np.ndarray:
    """By the haversine formula, independent of the vectors of the library."""
    ra, dec = (np.radians(galaxies[name].to_numpy()) for name in ("ra_deg", "dec_deg"))
    half = np.sin((dec[:, None] - dec) / 2) ** 2
    half += np.cos(dec[:, None]) * np.cos(dec) * np.sin((ra[:, None] - ra) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half)))


def test_select_batch__without_diversity_takes_the_first_galaxies_as_they_are() -> None:
    table = ranked(20)
    pd.testing.assert_frame_equal(select_batch(table, None, BY_RANK), table.head(5))
    everybody = select_batch(table, None, BatchConfig(n_galaxies=100, diversity="none"))
    pd.testing.assert_frame_equal(everybody, table)
    assert select_batch(table.head(0), None, BY_RANK).empty


def test_select_batch__spreads_over_looks_as_worked_by_hand() -> None:
    # From 0 degrees the farthest is 180; from these two 241, by a degree more than 240; then 120.
    degrees = np.radians([0, 1, 2, 120, 121, 240, 241, 180])
    looks = np.column_stack([np.cos(degrees), np.sin(degrees)])
    config = BatchConfig(n_galaxies=4, candidates_per_galaxy=2.0, preparation="plain")
    batch = select_batch(ranked(30), np.vstack([looks, np.ones((22, 2))]), config)
    assert batch["rank"].tolist() == [1, 4, 7, 8]


def test_select_batch__covers_looks_better_than_the_rank_alone_and_begins_with_the_best() -> None:
    rng = np.random.default_rng(1)
    # Galaxies high in the list are nearly alike, as the most informative ones are.
    crowd = 0.02 * rng.standard_normal((200, 8)) + np.eye(8)[np.minimum(np.arange(200) // 25, 7)]
    batch = select_batch(ranked(200), crowd, BatchConfig(n_galaxies=8, candidates_per_galaxy=25.0))
    assert batch["rank"].iloc[0] == 1
    assert sorted((batch["rank"] - 1) // 25) == list(range(8))
    among_first = select_batch(ranked(200), crowd, BatchConfig(n_galaxies=8))
    assert (among_first["rank"] <= 32).all()


def test_select_batch__does_not_depend_on_the_scale_of_representations() -> None:
    looks = np.random.default_rng(2).standard_normal((60, 5)) + 3
    config = BatchConfig(n_galaxies=10)
    batch = select_batch(ranked(60), looks, config)
    pd.testing.assert_frame_equal(select_batch(ranked(60), 8 * looks, config), batch)


def test_select_batch__keeps_galaxies_apart_on_the_sky() -> None:
    table = ranked(400)
    config = BatchConfig(n_galaxies=60, diversity="none", min_separation_arcsec=10 * 3600.0)
    batch = select_batch(table, None, config)
    apart = separation_deg(batch) + 360 * np.eye(len(batch))
    assert len(batch) == 60
    assert apart.min() > 10
    # By hand: walk down the list, and skip who is too close to one taken before.
    distance, taken = separation_deg(table), []
    for place in range(len(table)):
        if len(taken) < 60 and not (distance[place, taken] <= 10).any():
            taken.append(place)
    assert batch["rank"].tolist() == [place + 1 for place in taken]


def test_select_batch__asks_about_one_of_two_images_of_a_galaxy() -> None:
    table = ranked(6).assign(ra_deg=[10, 10.0001, 20, 30, np.nan, np.nan], dec_deg=[0.0] * 6)
    batch = select_batch(table, None, BatchConfig(n_galaxies=6, diversity="none"))
    assert batch["rank"].tolist() == [1, 3, 4, 5, 6]


@pytest.mark.parametrize("diversity", ["none", "k_center"])
def test_select_batch__stays_within_regions_and_their_room(diversity: str) -> None:
    table = ranked(3000)
    box = SkyBox(350.0, 20.0, -30.0, 30.0, max_galaxies=7)
    cone = SkyCone(180.0, 80.0, 15.0)
    looks = np.random.default_rng(3).standard_normal((3000, 4))
    config = BatchConfig(n_galaxies=30, diversity=diversity, boxes=[box], cones=[cone])
    batch = select_batch(table, looks, config)
    is_in_box = ((batch["ra_deg"] >= 350) | (batch["ra_deg"] <= 20)) & (
        batch["dec_deg"].abs() <= 30
    )
    pole = pd.DataFrame({"ra_deg": [180.0, *batch["ra_deg"]], "dec_deg": [80.0, *batch["dec_deg"]]})
    is_in_cone = separation_deg(pole)[0, 1:] <= 15
    assert len(batch) == 30
    assert (is_in_box | is_in_cone).all()
    assert is_in_box.sum() == 7
    assert batch["rank"].is_monotonic_increasing


def test_select_batch__gives_fewer_where_the_sky_allows_no_more() -> None:
    table = ranked(500).assign(dec_deg=-60.0)
    north = BatchConfig(n_galaxies=5, diversity="none", cones=[SkyCone(0.0, 90.0, 40.0)])
    assert select_batch(table, None, north).empty
    room = [SkyBox(0.0, 360.0, -90.0, 0.0, max_galaxies=3)]
    full = BatchConfig(n_galaxies=5, diversity="none", boxes=room)
    assert select_batch(table, None, full)["rank"].tolist() == [1, 2, 3]
    nowhere = table.assign(ra_deg=np.nan)
    assert select_batch(nowhere, None, full).empty


def test_select_batch__fills_by_rank_what_the_candidates_cannot() -> None:
    table = ranked(40).assign(ra_deg=0.0, dec_deg=np.r_[np.zeros(10), np.arange(30) + 10.0])
    looks = np.random.default_rng(4).standard_normal((40, 4))
    batch = select_batch(table, looks, BatchConfig(n_galaxies=5, candidates_per_galaxy=2.0))
    # The ten candidates lie at one place, so only one of them is asked about.
    assert batch["rank"].tolist() == [1, 11, 12, 13, 14]


def test_select_batch__refuses_representations_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="'k_center' needs representations"):
        select_batch(ranked(50), None, BatchConfig(n_galaxies=5))
    with pytest.raises(RepresentationError, match="each of the 50 ranked galaxies, got 49"):
        select_batch(ranked(50), np.ones((49, 3)), BatchConfig(n_galaxies=5))
    bad = np.random.default_rng(0).standard_normal((50, 3))
    bad[3, 1] = np.nan
    with pytest.raises(RepresentationError, match="got 50, 49 of them finite"):
        select_batch(ranked(50), bad, BatchConfig(n_galaxies=5))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("n_galaxies", 0),
        ("diversity", "bald"),
        ("candidates_per_galaxy", 0.5),
        ("min_separation_arcsec", -1.0),
        ("preparation", "scaled"),
    ],
)
def test_batch_config__refuses_values_out_of_range(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"{setting} must be .*{value}"):
        BatchConfig.from_dict({setting: value})


def test_regions__refuse_places_off_the_sky() -> None:
    with pytest.raises(ConfigError, match=r"ra_to_deg must be in \[0, 360\], got 361"):
        SkyBox(0.0, 361.0, 0.0, 1.0)
    with pytest.raises(ConfigError, match=r"rise within \[-90, 90\], got \(5.0, 5.0\)"):
        SkyBox(0.0, 1.0, 5.0, 5.0)
    with pytest.raises(ConfigError, match=r"radius_deg must be in \(0, 180\], got 0"):
        SkyCone(0.0, 0.0, 0.0)
    with pytest.raises(ConfigError, match="max_galaxies must be >= 1 or None, got 0"):
        SkyCone(0.0, 0.0, 1.0, max_galaxies=0)
