"""HATS exports: lsdb opens them, and searches find the galaxies that brute force finds."""

import sys
from pathlib import Path

import dask
import lsdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy_healpix.healpy import ang2pix

from galaxyloop import predictions
from galaxyloop.catalogue.exports import export_catalogue
from galaxyloop.catalogue.exports.hats_collections import MARGIN_ARCSEC, HatsSummary, write_hats
from galaxyloop.catalogue.exports.hats_partitions import (
    FINEST_ORDER,
    HISTOGRAM_ORDER,
    Partition,
    choose_partitions,
    find_margins,
    find_partitions,
)
from galaxyloop.catalogue.exports.table import ExportTable
from galaxyloop.catalogue.friendly import write_friendly_catalogue
from galaxyloop.errors import CatalogueError, ConfigError
from tests.library.catalogue_tables import make_catalogue, random_positions

N_GALAXIES = 3_000
MAX_ROWS = 200
CENTRE = (151.0, 2.0)


@pytest.fixture(autouse=True)
def _in_process() -> None:
    """One thread, as tests share a few cores."""
    dask.config.set(scheduler="synchronous")


def positions() -> pd.DataFrame:
    """All over the sky, a third within a degree of one place, some nowhere."""
    everywhere = random_positions(N_GALAXIES)
    rng = np.random.default_rng(8)
    n = N_GALAXIES // 3
    everywhere.loc[: n - 1, "ra_deg"] = CENTRE[0] + rng.uniform(-1, 1, n)
    everywhere.loc[: n - 1, "dec_deg"] = CENTRE[1] + rng.uniform(-1, 1, n)
    everywhere.loc[[7, 2_000], :] = np.nan
    everywhere.loc[2_001, "ra_deg"] = 360.0
    everywhere.loc[2_002, "dec_deg"] = 90.0
    return everywhere


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_catalogue(tmp_path_factory.mktemp("hats") / "catalogue.parquet", positions())


@pytest.fixture(scope="module")
def collection(catalogue: Path) -> Path:
    place = catalogue.with_name("catalogue_hats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions, "ROW_GROUP_ROWS", 1_000)  # so that rows come in batches
        summary = write_hats(ExportTable.open(catalogue), place, MAX_ROWS)
    assert summary.n_partitions > 30
    assert summary == HatsSummary(N_GALAXIES - 2, 2, summary.n_partitions)
    return place


def separation_arcsec(
    table: pd.DataFrame, ra_deg: float, dec_deg: float
) -> npt.NDArray[np.float64]:
    """Great-circle distances, by the haversine."""
    ra, dec = np.radians(table["ra_deg"].to_numpy()), np.radians(table["dec_deg"].to_numpy())
    ra_0, dec_0 = np.radians(ra_deg), np.radians(dec_deg)
    half = np.sin((dec - dec_0) / 2) ** 2
    half += np.cos(dec) * np.cos(dec_0) * np.sin((ra - ra_0) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600


def finest_cells(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """HEALPix cells of the finest order, by another library than the export's."""
    return np.asarray(ang2pix(2**FINEST_ORDER, ra_deg, dec_deg, nest=True, lonlat=True))


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "radius_arcsec"),
    [(*CENTRE, 600.0), (*CENTRE, 5400.0), (0.0, 0.0, 36_000.0), (0.0, 90.0, 36_000.0)],
)
def test_cone_search__finds_exactly_the_galaxies_that_brute_force_finds(
    catalogue: Path, collection: Path, ra_deg: float, dec_deg: float, radius_arcsec: float
) -> None:
    opened = lsdb.open_catalog(collection)
    found = opened.cone_search(ra=ra_deg, dec=dec_deg, radius_arcsec=radius_arcsec).compute()
    table = pd.read_parquet(catalogue)
    is_near = separation_arcsec(table, ra_deg, dec_deg) <= radius_arcsec
    assert is_near.sum() > 3
    assert sorted(found["id_str"]) == sorted(table["id_str"][is_near])


def test_write_hats__keeps_every_value_of_galaxies_with_positions(
    catalogue: Path, collection: Path
) -> None:
    read = lsdb.open_catalog(collection, columns="all").compute()
    table = pd.read_parquet(catalogue).dropna(subset=["ra_deg"]).sort_values("id_str")
    read = read.sort_values("id_str")
    assert read["id_str"].tolist() == table["id_str"].tolist()
    for name in table.columns[1:]:
        values = (
            read[name.replace("-", "_")].to_numpy(dtype=table[name].dtype, na_value=np.nan)
            if table[name].dtype.kind == "f"
            else read[name].to_numpy(dtype=table[name].dtype)
        )
        np.testing.assert_array_equal(values, table[name].to_numpy(), name)


def test_write_hats__sorts_the_rows_of_a_partition_by_cell(collection: Path) -> None:
    files = sorted(collection.glob("catalogue_hats/dataset/Norder=*/Dir=*/Npix=*.parquet"))
    n_rows = []
    for file in files:
        cells = pq.read_table(file)["_healpix_29"].to_numpy()
        order = int(file.parts[-3].removeprefix("Norder="))
        pixel = int(file.stem.removeprefix("Npix="))
        assert (np.diff(cells) >= 0).all()
        assert set(cells >> 2 * (FINEST_ORDER - order)) == {pixel}
        n_rows.append(len(cells))
    assert sum(n_rows) == N_GALAXIES - 2
    assert max(n_rows) <= MAX_ROWS


def test_write_hats__names_the_columns_a_reader_gets_unasked(collection: Path) -> None:
    opened = lsdb.open_catalog(collection)
    assert "bar_toy_yes_fraction" in opened.columns
    assert "bar_toy_asked" in opened.columns
    assert not any("p05" in name for name in opened.columns)
    sure = opened.query("bar_toy_yes_fraction > 0.9 and flags == 0").compute()
    assert len(sure) > 0
    assert (sure["bar_toy_yes_fraction"] > 0.9).all()


@pytest.mark.slow  # lsdb compiles its alignment of partitions when it is first used.
def test_write_hats__margin_makes_crossmatches_whole(collection: Path, catalogue: Path) -> None:
    """Galaxies moved by 8 arcsec to any side find themselves, over the borders of partitions."""
    table = pd.read_parquet(catalogue).dropna(subset=["ra_deg"]).head(N_GALAXIES // 3)
    angle = np.random.default_rng(2).uniform(0, 2 * np.pi, len(table))
    step = 8 / 3600
    moved = pd.DataFrame({"name": table["id_str"]})
    moved["ra"] = table["ra_deg"] + step * np.cos(angle) / np.cos(np.radians(table["dec_deg"]))
    moved["dec"] = table["dec_deg"] + step * np.sin(angle)
    pixels = pd.read_csv(collection / "catalogue_hats" / "partition_info.csv")
    partitions = sorted(
        Partition(int(row.Npix) << 2 * (FINEST_ORDER - int(row.Norder)), row.Norder, row.Npix)
        for row in pixels.itertuples()
    )
    before = find_partitions(partitions, finest_cells(table["ra_deg"], table["dec_deg"]))
    assert (
        before != find_partitions(partitions, finest_cells(moved["ra"], moved["dec"]))
    ).sum() > 3
    other = lsdb.from_dataframe(moved, ra_column="ra", dec_column="dec", margin_threshold=None)
    matched = other.crossmatch(
        lsdb.open_catalog(collection, columns=["id_str", "ra_deg", "dec_deg"]),
        radius_arcsec=MARGIN_ARCSEC,
        n_neighbors=5,
        suffix_method="overlapping_columns",
    ).compute()
    found = set(zip(matched["name"], matched["id_str"], strict=True))
    assert {(name, name) for name in moved["name"]} <= found


def test_find_margins__covers_the_margin_around_every_partition() -> None:
    """Brute force: whoever is within 10 arcsec of a point in another partition is in its margin."""
    rng = np.random.default_rng(4)
    n, order = 1_500, 12  # 51 arcsec
    ra, dec = CENTRE[0] + rng.uniform(0, 0.3, n), CENTRE[1] + rng.uniform(0, 0.3, n)
    cells = finest_cells(ra, dec)
    counts = np.bincount(
        cells >> 2 * (FINEST_ORDER - HISTOGRAM_ORDER), minlength=12 * 4**HISTOGRAM_ORDER
    )
    partitions = choose_partitions(counts, 100)
    places = find_partitions(partitions, cells)
    pairs = set(
        zip(*find_margins(partitions, cells >> 2 * (FINEST_ORDER - order), order), strict=True)
    )
    table = pd.DataFrame({"ra_deg": ra, "dec_deg": dec})
    n_near = 0
    for row in range(n):
        near = separation_arcsec(table, ra[row], dec[row]) <= MARGIN_ARCSEC
        for place in set(places[near]) - {places[row]}:
            n_near += 1
            assert (row, place) in pairs
    assert n_near > 10
    assert all(places[row] != place for row, place in pairs)


def test_choose_partitions__are_as_large_as_they_may_be_and_hold_everyone() -> None:
    counts = np.zeros(12 * 4**HISTOGRAM_ORDER, dtype=np.int64)
    rng = np.random.default_rng(1)
    np.add.at(counts, rng.integers(0, 4**HISTOGRAM_ORDER, 5_000), 1)
    counts[-1] = 900
    partitions = choose_partitions(counts, 500)
    inside = [counts[p.first_cell >> 42 : p.end_cell >> 42].sum() for p in partitions]
    assert sum(inside) == counts.sum()
    assert partitions[-1].order == HISTOGRAM_ORDER
    assert inside[-1] == 900
    assert all(0 < n <= 500 for n in inside[:-1])
    for partition in partitions[:-1]:
        parent = partition.pixel >> 2
        width = 4 ** (HISTOGRAM_ORDER - partition.order + 1)
        assert counts[parent * width : (parent + 1) * width].sum() > 500


def test_export_catalogue__tells_how_many_galaxies_hats_leaves_out(
    catalogue: Path, tmp_path: Path
) -> None:
    path = catalogue.with_name("catalogue_friendly.parquet")
    write_friendly_catalogue(catalogue, path)
    for _ in range(2):  # A second export replaces the first.
        written = export_catalogue(path, ["hats"], tmp_path)
    (place,) = written
    assert written[place] == "without 2 galaxies that have no position"
    assert place == tmp_path / "catalogue_friendly_hats"
    read = lsdb.open_catalog(place).compute()
    assert len(read) == N_GALAXIES - 2
    hidden = pd.read_parquet(path).dropna(subset=["ra_deg"])["bar-toy_yes_fraction"].isna()
    assert read["bar_toy_yes_fraction"].isna().sum() == hidden.sum() > 0
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_write_hats__opens_though_no_galaxy_is_in_a_margin(tmp_path: Path) -> None:
    one = pd.DataFrame({"ra_deg": [CENTRE[0]], "dec_deg": [CENTRE[1]]})
    path = make_catalogue(tmp_path / "catalogue.parquet", one)
    summary = write_hats(ExportTable.open(path), tmp_path / "hats")
    assert summary == HatsSummary(1, 0, 1)
    assert lsdb.open_catalog(tmp_path / "hats").compute()["id_str"].tolist() == ["J0000"]


def test_write_hats__refuses_a_catalogue_without_positions(tmp_path: Path) -> None:
    nowhere = pd.DataFrame({"ra_deg": [np.nan] * 3, "dec_deg": np.nan})
    path = make_catalogue(tmp_path / "catalogue.parquet", nowhere)
    with pytest.raises(CatalogueError, match="none of 3 galaxies has a position"):
        write_hats(ExportTable.open(path), tmp_path / "hats")
    assert not (tmp_path / "hats").exists()


def test_write_hats__says_what_to_install(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hats", None)
    with pytest.raises(ConfigError, match=r"pip install 'galaxyloop\[hats\]'"):
        write_hats(ExportTable.open(catalogue), tmp_path / "hats")
    assert not (tmp_path / "hats").exists()
