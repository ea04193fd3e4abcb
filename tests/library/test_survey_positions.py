"""Positions in manifests: their names, their units, and what is no position."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from galaxyloop.errors import ManifestError, VoteTableError
from galaxyloop.surveys import IngestConfig, Manifest, read_manifest
from galaxyloop.surveys.positions import degrees
from schemas.manifest import judge_manifest

TOLERANT = IngestConfig(max_reject_rate=1.0)


def read(uri: str | Path, config: IngestConfig = TOLERANT) -> Manifest:
    return read_manifest(str(uri), config, judge_manifest)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("ra_deg", "dec_deg"),
        ("RA", "DEC"),
        ("Ra", "Dec"),
        ("right_ascension", "declination"),
        ("RAJ2000", "DEJ2000"),
        ("ALPHA_J2000", "DELTA_J2000"),
    ],
)
def test_read_manifest__knows_the_names_of_positions(ra: str, dec: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        f"iauname,id_str,image_uri,{ra},{dec}\nJ1,1,a.jpg,+10.5,-.5\nJ2,1,b.jpg,1e1,\n"
    )
    manifest = read(tmp_path / "m.csv", IngestConfig(id_column="iauname", max_reject_rate=1.0))
    row = manifest.galaxies.iloc[0]
    assert [row["id_str"], row["ra_deg"], row["dec_deg"]] == ["J1", 10.5, -0.5]
    expected = [1, "J2", dec, "", "absent though ra_deg is given"]
    assert manifest.rejects.iloc[0].tolist() == expected


def test_read_manifest__prefers_ra_deg_and_refuses_one_of_a_pair(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id_str,image_uri,ra,dec,ra_deg,dec_deg\na,a.jpg,1,2,3,4\n")
    assert read(tmp_path / "m.csv").galaxies["ra_deg"].tolist() == [3.0]
    (tmp_path / "m.csv").write_text("id_str,image_uri,ra\na,a.jpg,1\n")
    with pytest.raises(ManifestError, match="has the column ra and no other that makes a pair"):
        read(tmp_path / "m.csv")
    for lone in ("ra", "ra_deg", "DEC"):
        (tmp_path / "m.csv").write_text(f"id_str,image_uri,{lone},RAJ2000,DEJ2000\na,a.jpg,1,5,6\n")
        row = read(tmp_path / "m.csv").galaxies.iloc[0]
        assert (row["ra_deg"], row["dec_deg"]) == (5.0, 6.0)
    (tmp_path / "m.csv").write_text("id_str,image_uri,RA,Ra,dec\na,a.jpg,1,1,1\n")
    with pytest.raises(ManifestError, match="RA, Ra, which differ in case only; .* ra_deg"):
        read(tmp_path / "m.csv")


@pytest.mark.parametrize("ending", ["fits", "vot", "parquet"])
@pytest.mark.parametrize("unit", ["hr", "rad", "deg"])
def test_read_manifest__refuses_positions_in_another_unit(
    ending: str, unit: str, tmp_path: Path
) -> None:
    path = tmp_path / f"m.{ending}"
    columns = {"id_str": ["a"], "image_uri": ["a.jpg"], "ra": [1.0], "dec": [2.0]}
    if ending == "parquet":
        table = pa.table(columns)
        fields = [f.with_metadata({"unit": unit}) if f.name == "ra" else f for f in table.schema]
        pq.write_table(table.cast(pa.schema(fields)), path)
    else:
        table = Table(columns)
        table["ra"].unit = "deg"
        table.write(path, format="votable" if ending == "vot" else "fits")
        # astropy writes no hours of angle; others do. The replacement keeps the card's length.
        old, new = (
            (f"'deg{' ' * 5}'", f"'{unit:8}'") if ending == "fits" else ('"deg"', f'"{unit}"')
        )
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    if unit == "deg":
        assert read(path).galaxies["ra_deg"].tolist() == [1.0]
        return
    with pytest.raises(ManifestError, match=r"states the unit of ra as '.+'; store decimal degr"):
        read(path)


@pytest.mark.parametrize("name", ["ra_hours", "RA_HMS", "dec_rad"])
def test_read_manifest__refuses_a_table_with_positions_in_another_unit_only(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "m.csv").write_text(f"id_str,image_uri,{name}\na,a.jpg,1\n")
    with pytest.raises(ManifestError, match=f"has positions in {name} only; give ra_deg and"):
        read(tmp_path / "m.csv")


def test_read_manifest__rejects_positions_that_are_no_degrees(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "id_str,image_uri,ra_deg,dec_deg\n"
        "a,a.jpg,12:34:56.7,-01:02:03\n"
        "b,a.jpg,12h34m56.7s,1\n"
        "c,a.jpg,12 34 56,1\n"
        "d,a.jpg,1e400,1\n"
        "e,a.jpg,-999,-999.0\n"
        "f,a.jpg,-99.99,-99\n"
        "g,a.jpg,-999,10\n"
        "h,a.jpg,None,--\n"
    )
    manifest = read(tmp_path / "m.csv")
    assert manifest.galaxies["id_str"].tolist() == ["e", "f", "h"]
    assert manifest.galaxies[["ra_deg", "dec_deg"]].isna().all(axis=None)
    found = manifest.rejects[["id_str", "value", "reason"]].to_numpy().tolist()
    assert found == [
        ["a", "12:34:56.7", "sexagesimal; give decimal degrees"],
        ["b", "12h34m56.7s", "sexagesimal; give decimal degrees"],
        ["c", "12 34 56", "sexagesimal; give decimal degrees"],
        ["d", "1e400", "not a number"],
        ["g", "", "absent though dec_deg is given"],
    ]


def write_positions(path: Path, ra: np.ndarray, dec: np.ndarray) -> Path:
    ids = [f"g{i}" for i in range(len(ra))]
    frame = pd.DataFrame({"id_str": ids, "image_uri": "a.jpg", "ra": ra, "dec": dec})
    frame.to_parquet(path)
    return path


def test_read_manifest__refuses_positions_that_are_swapped(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ra, dec = random.uniform(120, 250, 50), random.uniform(-5, 60, 50)
    assert len(read(write_positions(tmp_path / "m.parquet", ra, dec)).galaxies) == 50
    with pytest.raises(ManifestError, match=r"50 of 50 declinations are beyond 90.*look swapped"):
        read(write_positions(tmp_path / "m.parquet", dec, ra))


def test_read_manifest__warns_of_what_may_be_hours_or_radians(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random = np.random.default_rng(0)
    ra = random.uniform(0, 360, 500)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, 500)))
    small_field = random.uniform(0, 1, 500)
    with caplog.at_level(logging.WARNING, logger="galaxyloop"):
        read(write_positions(tmp_path / "degrees.parquet", ra, dec))
        read(write_positions(tmp_path / "field.parquet", 2 + small_field, 1 - small_field))
        assert caplog.messages == []
        read(write_positions(tmp_path / "hours.parquet", ra / 15, dec))
        read(write_positions(tmp_path / "radians.parquet", np.radians(ra), np.radians(dec)))
    assert len(caplog.messages) == 2
    assert "would fit hours of right ascension as well as degrees" in caplog.messages[0]
    assert "if they are radians, multiply by 180 / pi" in caplog.messages[1]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.float64(), pa.float32(), pa.int32()]
)
def test_degrees__reads_the_same_from_every_type(kind: pa.DataType) -> None:
    cells = ["10", "-5", None, "-999", "-99", "0"]
    if not pa.types.is_integer(kind):
        cells += ["0.1", "-9999.0", "nan", "inf"]
    column = pa.array(cells).cast(kind)
    expected = [10, -5, np.nan, np.nan, np.nan, 0, 0.1, np.nan, np.nan, np.nan][: len(cells)]
    for form in (column, column.dictionary_encode(), pa.chunked_array([column[:3], column[3:]])):
        np.testing.assert_array_equal(degrees(form, "ra", "t"), np.array(expected, float))


def test_degrees__takes_no_other_text_and_refuses_what_is_no_cell() -> None:
    text = pa.array(["12:34:56.7", "ten", "", " 1e1 ", "1_0"])
    np.testing.assert_array_equal(degrees(text, "ra", "t"), [np.nan, np.nan, np.nan, 10, np.nan])
    assert len(degrees(pa.array([], pa.null()), "ra", "t")) == 0
    with pytest.raises(VoteTableError, match="t: column 'ra' stores list.*decimal degrees"):
        degrees(pa.array([[1.0]]), "ra", "t", VoteTableError)
