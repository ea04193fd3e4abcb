"""Crossmatching: the nearest galaxy by a plain loop, every row counted, cells as they were."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.table import Table

from galaxyloop.cli import main
from galaxyloop.config import ConfigError
from galaxyloop.crossmatch import Crossmatch, crossmatch_table
from galaxyloop.errors import ManifestError, VoteTableError
from galaxyloop.vote_tables import VotesConfig, VoteSource, load_votes, read_vote_table
from schemas.votes import judge_votes

ARCSEC = 1 / 3600
ANSWER = "smooth-or-featured-gz2_smooth"


def write_manifest(directory: Path, positions: np.ndarray) -> str:
    table = pd.DataFrame(positions, columns=["ra_deg", "dec_deg"])
    table.insert(0, "id_str", [f"J{i:03d}" for i in range(len(table))])
    table.assign(image_uri="x.jpg").to_csv(directory / "manifest.csv", index=False)
    return str(directory / "manifest.csv")


def sky(n_galaxies: int, seed: int = 0) -> np.ndarray:
    """Positions around the first meridian, near the pole for some."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(-0.002, 0.002, n_galaxies) % 360, rng.uniform(-0.002, 0.002, n_galaxies)
    return np.column_stack([ra, np.where(np.arange(n_galaxies) % 5, dec, 90 - np.abs(dec))])


def separations_arcsec(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """All against all, by the haversine formula."""
    ra, dec = np.radians(places).T
    ra_other, dec_other = np.radians(others).T
    square = np.sin((dec[:, None] - dec_other) / 2) ** 2
    square += np.cos(dec)[:, None] * np.cos(dec_other) * np.sin((ra[:, None] - ra_other) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(square))) * 3600


def run(votes: pd.DataFrame, manifest: str, **arguments: object) -> tuple[Crossmatch, pd.DataFrame]:
    folder = Path(manifest).parent
    votes.to_parquet(folder / "votes.parquet", index=False)
    uri, output = str(folder / "votes.parquet"), str(folder / "out" / "matched.parquet")
    told = crossmatch_table(uri, manifest, float(arguments.pop("radius", 1.0)), output, **arguments)
    return told, pd.read_parquet(output)


@pytest.mark.parametrize("seed", range(4))
def test_crossmatch_table__equals_a_loop_over_all_pairs(tmp_path: Path, seed: int) -> None:
    survey, rows = sky(40, seed), sky(60, seed + 100)
    votes = pd.DataFrame(rows, columns=["ra", "dec"]).assign(name=np.arange(60))
    told, matched = run(votes, write_manifest(tmp_path, survey), radius=3.0)
    apart = separations_arcsec(rows, survey)
    nearest, distance = apart.argmin(axis=1), apart.min(axis=1)
    expected = {}
    for row in np.argsort(distance, kind="stable").tolist():
        if distance[row] <= 3:
            expected.setdefault(f"J{nearest[row]:03d}", row)
    assert 5 < len(expected) < (distance <= 3).sum() < 60
    assert dict(zip(matched["id_str"], matched["name"], strict=True)) == expected
    np.testing.assert_allclose(
        matched["match_separation_arcsec"], distance[matched["name"]], atol=1e-6
    )
    assert told.n_unmatched == (distance > 3).sum()
    assert told.n_read == told.n_matched + told.n_unmatched + told.n_rejected == 60


def test_crossmatch_table__keeps_every_column_but_images_as_it_was(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0], [20.0, 5.0]]))
    table = pa.table(
        {
            "id_str": ["old0", "old1"],
            "RA": pa.array([10.0, 20.0], pa.float32()),
            "DEC": pa.array([5.0, 5.0], pa.float32()),
            "objid": pa.array([587722981736579107, None], pa.int64()),
            ANSWER: pa.array([3, 4], pa.int16()),
            "image": [{"bytes": b"\x00", "path": "a"}, {"bytes": b"\x01", "path": "b"}],
            "thumbnail": [b"\x00", b"\x01"],
        }
    )
    pq.write_table(table, tmp_path / "votes.parquet")
    output = tmp_path / "matched.parquet"
    told = crossmatch_table(str(tmp_path / "votes.parquet"), manifest, 1.0, str(output))
    matched = pq.read_table(output)
    assert matched.column_names[:4] == [
        *("id_str", "match_separation_arcsec", "id_str_published", "RA")
    ]
    assert matched["id_str"].to_pylist() == ["J000", "J001"]
    for name in ("RA", "DEC", "objid", ANSWER):
        assert matched[name].type == table[name].type
        assert matched[name].to_pylist() == table[name].to_pylist()
    assert matched["id_str_published"].to_pylist() == ["old0", "old1"]
    assert not {"image", "thumbnail"} & set(matched.column_names)
    assert told.median_separation_arcsec == 0


def test_crossmatch_table__lists_the_farther_of_two_and_rows_without_a_position(
    tmp_path: Path,
) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0], [20.0, 5.0]]))
    lines = [
        "ra,dec,votes",
        f"10.0,{5 + 0.8 * ARCSEC},1",
        f"10.0,{5 + 0.2 * ARCSEC},2",
        f"10.0,{5 + 0.2 * ARCSEC},3",
        "nan,5.0,4",
        "12h 30m,5.0,5",
        "20.0,95.0,6",
        "20.0,5.0,7,8",
        f"20.0,{5 + 3 * ARCSEC},9",
    ]
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")
    output = tmp_path / "matched.parquet"
    told = crossmatch_table(str(tmp_path / "votes.csv"), manifest, 1.0, str(output))
    assert pd.read_parquet(output)["votes"].tolist() == ["2"]
    rejects = pd.read_parquet(told.rejects)
    assert rejects["row"].tolist() == [0, 2, 3, 4, 5, 6]
    assert rejects["id_str"].tolist() == ["J000", "J000", "", "", "", ""]
    assert rejects["value"].tolist()[:5] == [
        "0.800",
        "0.200",
        "nan, 5.0",
        "12h 30m, 5.0",
        "20.0, 95.0",
    ]
    counts = (told.n_read, told.n_matched, told.n_unmatched, told.n_rejected)
    assert counts == (8, 1, 1, 6)


def test_crossmatch_table__votes_are_read_under_the_surveys_ids(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0], [20.0, 5.0]]))
    answers = ("smooth", "featured-or-disk", "artifact")
    votes = pd.DataFrame({f"smooth-or-featured-gz2_{answer}": [5, 7] for answer in answers})
    votes.insert(0, "objid", ["587722981736579107", "587722981736579108"])
    run(votes.assign(ra=[20.0, 10.0], dec=5.0), manifest)
    source = VoteSource(str(tmp_path / "out" / "matched.parquet"), "gz2")
    read_vote_table([source], VotesConfig(), tmp_path / "read", judge_votes)
    assert load_votes(tmp_path / "read").set_index("id_str")[ANSWER].to_dict() == {
        "J001": 5,
        "J000": 7,
    }


def test_crossmatch_table__takes_named_columns(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0]]))
    votes = pd.DataFrame({"ra": [99.0], "dec": [5.0], "alpha": [-350.0 + 360], "delta": [5.0]})
    assert run(votes, manifest, columns=("alpha", "delta"))[0].n_matched == 1
    with pytest.raises(VoteTableError, match=r"lacks the columns \['alpha', 'phi'\]; it has"):
        run(votes, manifest, columns=("alpha", "phi"))


def test_crossmatch_table__refuses_what_cannot_be_matched(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0]]))
    votes = pd.DataFrame({"ra": [10.0], "dec": [5.0]})
    with pytest.raises(ConfigError, match=r"radius_arcsec must be in \(0, 3600\], got 0"):
        run(votes, manifest, radius=0.0)
    with pytest.raises(VoteTableError, match=r"none of the 1 rows .* within 1 arcsec"):
        run(votes.assign(ra=11.0), manifest)
    with pytest.raises(VoteTableError, match="lacks one of the pairs ra_deg/dec_deg, ra/dec"):
        run(votes.rename(columns={"ra": "l", "dec": "b"}), manifest)
    with pytest.raises(VoteTableError, match="has the column dec and no other that makes a pair"):
        run(votes.rename(columns={"ra": "l"}), manifest)
    with pytest.raises(VoteTableError, match="the two columns look swapped"):
        run(pd.DataFrame({"ra": [5.0] * 20, "dec": [100.0] * 20}), manifest)
    with pytest.raises(VoteTableError, match=r"has the columns \['id_str_published'\] already"):
        run(votes.assign(id_str_published="a"), manifest)
    with pytest.raises(VoteTableError, match="column 'dec' stores bool"):
        run(votes.assign(dec=True), manifest)
    bare = write_manifest(tmp_path, np.array([[np.nan, np.nan]]))
    with pytest.raises(ManifestError, match="none of its 1 galaxies has a position"):
        run(votes, bare)


def test_crossmatch_table__finds_positions_as_a_manifest_does(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0], [20.0, 5.0]]))
    catalogue = pd.DataFrame({"RAJ2000": [10.0, 380.0, -999.0], "DEJ2000": 5.0})
    told, matched = run(catalogue, manifest)
    assert matched["id_str"].tolist() == ["J000"]
    # 380 degrees is 20, but a manifest has no such right ascension either.
    assert pd.read_parquet(told.rejects)["value"].tolist() == ["380.0, 5.0", "-999.0, 5.0"]


@pytest.mark.parametrize("columns", [None, ("ra", "dec")])
def test_crossmatch_table__refuses_another_unit_than_degrees(
    tmp_path: Path, columns: tuple[str, str] | None
) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0]]))
    path = tmp_path / "votes.fits"
    Table({"ra": [0.2] * units.rad, "dec": [5.0] * units.deg}).write(path)
    with pytest.raises(VoteTableError, match="states the unit of ra as 'rad'"):
        crossmatch_table(str(path), manifest, 1.0, str(tmp_path / "out.parquet"), columns)


def test_crossmatch_table__leaves_out_cells_of_several_values(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0], [20.0, 5.0]]))
    columns = {
        "ra": [10.0, 20.0],
        "dec": [5.0, 5.0],
        "mags": np.zeros((2, 5)),
        "phase": np.array([1j, 2j]),
        "name": ["a", "b"],
    }
    path = tmp_path / "votes.fits"
    Table(columns).write(path)
    told = crossmatch_table(str(path), manifest, 1.0, str(tmp_path / "out.parquet"))
    assert told.left_out == ("mags", "phase")
    matched = pd.read_parquet(told.output)
    assert matched.columns.tolist()[2:] == ["ra", "dec", "name"]
    assert matched["name"].tolist() == ["a", "b"]


def test_crossmatch_table__names_the_file_of_a_pattern_with_other_types(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0], [20.0, 5.0]]))
    for number, name in enumerate([7, "zz"]):
        part = pd.DataFrame({"name": [name], "ra": 10.0 * (number + 1), "dec": 5.0})
        part.to_parquet(tmp_path / f"part-{number}.parquet", index=False)
    pattern, output = str(tmp_path / "part-*.parquet"), str(tmp_path / "out.parquet")
    with pytest.raises(VoteTableError, match=r"part-1.parquet stores 'name' as .*string, the fir"):
        crossmatch_table(pattern, manifest, 1.0, output)
    pd.DataFrame({"name": [8], "ra": 20.0, "dec": 5.0}).to_parquet(tmp_path / "part-1.parquet")
    assert crossmatch_table(pattern, manifest, 1.0, output).n_matched == 2
    assert pd.read_parquet(output)["name"].tolist() == [7, 8]


def test_crossmatch__takes_the_manifests_column_of_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "survey.csv"
    manifest.write_text("iauname,image_uri,ra,dec\nJ9,x.png,10,5\n")
    votes = pd.DataFrame({"ra": [10.0], "dec": [5.0], "thumbnail": [b"x"]})
    votes.to_parquet(tmp_path / "votes.parquet")
    paths = [str(tmp_path / "votes.parquet"), str(manifest), str(tmp_path / "out.parquet")]
    assert main(["crossmatch", *paths, "--id-column", "iauname"]) == 0
    assert pd.read_parquet(paths[2])["id_str"].tolist() == ["J9"]
    assert "left out  thumbnail (images" in capsys.readouterr().out


def test_crossmatch__prints_counts_that_add_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path, np.array([[10.0, 5.0]]))
    votes = pd.DataFrame({"ra": [10.0, 10.0, 50.0], "dec": [5.0, 5.0, 5.0]})
    votes.to_csv(tmp_path / "votes.csv", index=False)
    output = str(tmp_path / "matched.parquet")
    assert main(["crossmatch", str(tmp_path / "votes.csv"), manifest, output]) == 0
    said = capsys.readouterr().out
    assert "3 rows = 1 matched + 1 unmatched + 1 rejected" in said
    assert output in said
    arguments = ["crossmatch", str(tmp_path / "votes.csv"), manifest, output]
    assert main([*arguments, "--columns", "ra", "DEC", "--radius-arcsec", "2"]) == 1
    assert "lacks the columns ['ra', 'DEC']" in capsys.readouterr().err
