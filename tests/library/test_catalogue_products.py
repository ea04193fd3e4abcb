"""What is made from a catalogue: friendly version, column descriptions, changes, data card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.units import Unit

from galaxyloop.campaigns import CAMPAIGNS
from galaxyloop.catalogue import (
    CatalogueFacts,
    CatalogueSummary,
    ProductsConfig,
    catalogue_columns,
    is_friendly_catalogue,
    read_catalogue_provenance,
    write_products,
)
from galaxyloop.catalogue.columns import (
    describe_columns,
    describe_friendly_columns,
    export_names,
    write_column_descriptions,
)
from galaxyloop.catalogue.friendly import write_friendly_catalogue
from galaxyloop.drift import DRIFT_COLUMNS
from galaxyloop.errors import CatalogueError, UnknownNameError
from galaxyloop.flags import FLAGS
from galaxyloop.predictions import table_schema
from tests.library import catalogue_tables
from tests.library.catalogue_tables import (
    PROVENANCE,
    TREE,
    make_catalogue,
    make_survey,
    random_positions,
)

N_GALAXIES = 60


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    positions = random_positions(N_GALAXIES)
    positions.loc[[4, 9], :] = np.nan
    return make_catalogue(tmp_path / "catalogue.parquet", positions)


def test_friendly_catalogue__hides_what_few_would_be_asked(catalogue: Path) -> None:
    path = catalogue.with_name("friendly.parquet")
    assert write_friendly_catalogue(catalogue, path) == N_GALAXIES
    full, friendly = pd.read_parquet(catalogue), pd.read_parquet(path)
    assert tuple(friendly) == (
        *("id_str", "ra_deg", "dec_deg"),
        "smooth-or-featured-toy_smooth_fraction",
        "smooth-or-featured-toy_featured-or-disk_fraction",
        "bar-toy_yes_fraction",
        "bar-toy_no_fraction",
        *("feature_distance", "flags"),
    )
    is_asked = full["bar-toy_asked"] >= 0.5
    assert 0 < is_asked.sum() < N_GALAXIES
    for column in ("bar-toy_yes_fraction", "bar-toy_no_fraction"):
        pd.testing.assert_series_equal(friendly[column], full[column].where(is_asked))
    unchanged = ["id_str", "ra_deg", "smooth-or-featured-toy_smooth_fraction", "flags"]
    pd.testing.assert_frame_equal(friendly[unchanged], full[unchanged])
    assert pq.read_table(path)["bar-toy_no_fraction"].null_count == (~is_asked).sum()
    assert read_catalogue_provenance(path) == PROVENANCE
    assert is_friendly_catalogue(path)
    assert not is_friendly_catalogue(catalogue)


def test_friendly_catalogue__is_made_of_a_full_one_only(catalogue: Path) -> None:
    path = catalogue.with_name("friendly.parquet")
    write_friendly_catalogue(catalogue, path)
    with pytest.raises(CatalogueError, match="is a friendly catalogue already"):
        write_friendly_catalogue(path, catalogue.with_name("again.parquet"))


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_describe_columns__tells_of_every_column_with_a_valid_ucd_and_unit(name: str) -> None:
    tree = CAMPAIGNS[name].tree
    columns = describe_columns(tree)
    assert tuple(column.name for column in columns) == catalogue_columns(tree)
    for column in (*columns, *describe_friendly_columns(tree)):
        assert check_ucd(column.ucd, check_controlled_vocabulary=True), column
        assert Unit(column.unit, parse_strict="raise", format="vounit").to_string() == column.unit
        assert column.description.isascii()
        assert len(column.description) > 10
    assert len(set(export_names([column.name for column in columns]).values())) == len(columns)


def test_describe_columns__has_the_types_that_are_written(catalogue: Path) -> None:
    stored = pq.read_schema(catalogue)
    assert [column.type for column in describe_columns(TREE)] == stored.types
    assert stored.equals(table_schema(catalogue_columns(TREE)))


def test_describe_columns__names_every_flag() -> None:
    (flags,) = (column for column in describe_columns(TREE) if column.name == "flags")
    assert all(f"{bit} {name}" in flags.description for name, bit in FLAGS.items())


def test_write_column_descriptions__gives_a_row_a_column(tmp_path: Path) -> None:
    write_column_descriptions(TREE, tmp_path / "columns.csv")
    told = pd.read_csv(tmp_path / "columns.csv", keep_default_na=False).set_index("name")
    assert tuple(told.index) == catalogue_columns(TREE)
    assert told["export_name"].str.fullmatch("[A-Za-z_][A-Za-z0-9_]*").all()
    assert told.loc["dec_deg", ["type", "unit"]].tolist() == ["float64", "deg"]
    in_friendly = told["in_friendly"]
    assert in_friendly["bar-toy_yes_fraction"] == "where bar-toy_asked >= 0.5"
    assert in_friendly["bar-toy_yes_fraction_p05"] == in_friendly["bar-toy_asked"] == "no"
    assert in_friendly["flags"] == "yes"


@pytest.mark.parametrize("names", [("a-b_c", "a_b-c"), ("Bar", "bar")])
def test_export_names__refuses_two_that_become_one(names: tuple[str, str]) -> None:
    with pytest.raises(CatalogueError, match=rf"'{names[0]}' and '{names[1]}' would both be"):
        export_names(names)


def test_export_names__begin_with_no_digit() -> None:
    assert export_names(["3-arms_yes"]) == {"3-arms_yes": "_3_arms_yes"}


def facts(tmp_path: Path) -> CatalogueFacts:
    """Of a survey with three galaxies more than the catalogue has."""
    images = {f"J{i:04}": f"{i}" for i in range(N_GALAXIES + 3)}
    version = make_survey(tmp_path / "survey", images)
    return CatalogueFacts(
        replace(version, name="Toy survey", n_read=70, n_rejected=7),
        CatalogueSummary(n_read=64, n_galaxies=N_GALAXIES, n_dropped=4, n_missing=3),
        {"blank": 2},
        {"added": 2, "changed": 0, "removed": 0},
    )


def test_write_products__makes_what_was_asked_for(catalogue: Path, tmp_path: Path) -> None:
    config = ProductsConfig(formats=["csv", "fits"])
    written = write_products(catalogue, TREE, config, tmp_path, facts(tmp_path))
    assert {path.name for path in written} == {
        *("card.md", "columns.csv", "catalogue_friendly.parquet"),
        *("catalogue.csv", "catalogue.fits", "catalogue_friendly.csv", "catalogue_friendly.fits"),
    }
    assert all(path.is_file() for path in written)


def test_write_products__card_tells_what_was_counted(catalogue: Path, tmp_path: Path) -> None:
    write_products(catalogue, TREE, ProductsConfig(friendly=False), tmp_path, facts(tmp_path))
    card = (tmp_path / "card.md").read_text()
    table = pd.read_parquet(catalogue)
    for sentence in (
        "# Toy survey: toy",
        "by toy-model version 3, made 2026-01-02",
        "70 rows of the manifest = 63 galaxies + 7 rejected",
        "since the catalogue before: 2 added, 0 changed, 0 removed",
        "60 galaxies, 58 of them with a position",
        "3 galaxies of the survey are missing: 4.76%",
        "    - 2 without a cutout: blank\n    - 1 without a prediction",
        "4 predictions left out",
        "Not known here; the report of the round",
        f"| bar-toy | {(table['bar-toy_asked'] >= 0.5).sum()} |",
        f"| saturated | 4 | {(table['flags'] & 4 != 0).sum()} |",
        f"{(table['flags'] != 0).sum()} galaxies raise at least one",
        "For 20 galaxies feature_distance is not known",
    ):
        assert sentence in card


def test_write_products__card_shows_metrics_that_were_given(
    catalogue: Path, tmp_path: Path
) -> None:
    row = ("bar-toy", "mean absolute error", 0.1234, 0.1, np.nan, 1500)
    names = ("question", "metric", "value", "low", "high", "n_galaxies")
    told = replace(facts(tmp_path), metrics=pd.DataFrame([row], columns=names), changes=None)
    write_products(catalogue, TREE, ProductsConfig(friendly=False), tmp_path, told)
    card = (tmp_path / "card.md").read_text()
    assert "| bar-toy | mean absolute error | 0.123 | 0.1 to - | 1,500 |" in card
    assert "first catalogue of this survey" in card


def test_write_products__tells_of_drift(catalogue: Path, tmp_path: Path) -> None:
    row = ("held-out galaxies", "bar-toy_yes_fraction", "stability_index", 0.5, 0.2, 60, 900)
    drift = pd.DataFrame([row], columns=DRIFT_COLUMNS[:-1]).assign(is_flagged=True)
    told = replace(facts(tmp_path), drift=drift)
    written = write_products(catalogue, TREE, ProductsConfig(friendly=False), tmp_path, told)
    assert {"drift.csv", "drift.png"} <= {path.name for path in written}
    card = (tmp_path / "card.md").read_text()
    assert "| held-out galaxies | 1 | 1 | 0.5 |" in card
    assert (
        "1 of 1 quantities unlike the held-out galaxies: bar-toy_yes_fraction 0.5 (limit 0.2)"
        in card
    )
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "drift.csv"), drift)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ("", "Of toy-model version 3, on galaxies held out"),
        (
            "other/1 ef56",
            "Of toy-model version 3 alone (the ensemble as a whole was not judged)",
        ),
    ],
)
def test_write_products__card_tells_whose_metrics_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: str, sentence: str
) -> None:
    monkeypatch.setattr(catalogue_tables, "PROVENANCE", replace(PROVENANCE, members=members))
    catalogue = make_catalogue(tmp_path / "catalogue.parquet", random_positions(N_GALAXIES))
    row = {"question": "bar-toy", "metric": "loss", "value": 1.0, "low": 0.9, "high": 1.1}
    told = replace(facts(tmp_path), metrics=pd.DataFrame([row | {"n_galaxies": 5}]))
    write_products(catalogue, TREE, ProductsConfig(friendly=False), tmp_path, told)
    assert sentence in (tmp_path / "card.md").read_text()


def test_products_config__refuses_unknown_formats() -> None:
    with pytest.raises(UnknownNameError, match="there is no export format 'xls'; choose one of:"):
        ProductsConfig(formats=["fits", "xls"])
