"""Reading manifests."""

import gc
import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import ConfigError, ManifestError, TooManyRejectsError
from galaxyloop.surveys import IngestConfig, judge_rows, read_manifest

TOLERANT = IngestConfig(max_reject_rate=1.0, fingerprint="uri", chunk_size=4)


def test_read_manifest__keeps_ids_as_text_and_resolves_relative_locations(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(
        "\ufeffid_str,ignored,image_uri\n0587732578312454276,1,a/x.jpg\nNA,2,/abs/y.jpg\n"
    )
    galaxies = read_manifest(str(path), IngestConfig(survey="sdss")).galaxies
    assert galaxies["id_str"].tolist() == ["0587732578312454276", "NA"]
    assert galaxies["image_uri"].tolist() == [str(tmp_path / "a" / "x.jpg"), "/abs/y.jpg"]
    assert galaxies["survey"].tolist() == ["sdss", "sdss"]
    assert galaxies["group_id"].tolist() == galaxies["id_str"].tolist()
    assert galaxies["ra_deg"].isna().all()


def test_read_manifest__gives_the_same_from_csv_gzip_and_parquet(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "id_str": [587732578312454276, 2],
            "image_uri": ["a.jpg", "b.jpg"],
            "ra_deg": [10.5, np.nan],
            "dec_deg": [-1.25, np.nan],
        }
    )
    table.to_csv(tmp_path / "m.csv", index=False)
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress((tmp_path / "m.csv").read_bytes()))
    table.to_parquet(tmp_path / "m.parquet", index=False)
    read = [
        read_manifest(str(tmp_path / name), TOLERANT) for name in ("m.csv", "m.csv.gz", "m.parquet")
    ]
    for other in read[1:]:
        pd.testing.assert_frame_equal(other.galaxies, read[0].galaxies)
    assert read[0].galaxies["id_str"][0] == "587732578312454276"
    assert len(read[0].rejects) == 0


def test_read_manifest__rejects_each_bad_row_with_its_number_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(
        "id_str,image_uri,ra_deg,dec_deg\n"
        "a,a.jpg,10,20\n"  # 0 good
        ",b.jpg,10,20\n"  # 1 empty id
        "c,,10,20\n"  # 2 empty location
        "d,d.jpg,361,20\n"  # 3 out of range
        "e,e.jpg,10,-91\n"  # 4 out of range
        "f,f.jpg,10,\n"  # 5 one coordinate
        "g,g.jpg,ten,20\n"  # 6 no number
        "a,h.jpg,10,20\n"  # 7 duplicate
        "i,i.jpg,10\n"  # 8 ragged
        "j,j.jpg,,\n"  # 9 good
        " k,k.jpg,,\n"  # 10 spaces
        "c,later.jpg,,\n"  # 11 good: the earlier c was rejected
        "l,l.jpg,inf,3\n"  # 12 not finite
    )
    manifest = read_manifest(str(path), TOLERANT)
    found = [tuple(line) for line in manifest.rejects.itertuples(index=False)]
    assert found == [
        (1, "", "id_str", "", "empty"),
        (2, "c", "image_uri", "", "empty"),
        (3, "d", "ra_deg", "361.0", "outside [0, 360]"),
        (4, "e", "dec_deg", "-91.0", "outside [-90, 90]"),
        (5, "f", "dec_deg", "", "absent though ra_deg is given"),
        (6, "g", "ra_deg", "ten", "not a number"),
        (7, "a", "id_str", "a", "duplicate"),
        (8, "", "", "i,i.jpg,10", "another number of columns than the header"),
        (10, " k", "id_str", " k", "spaces around it"),
        (12, "l", "ra_deg", "inf", "not a number"),
    ]
    assert manifest.galaxies["id_str"].tolist() == ["a", "j", "c"]
    assert manifest.n_read == 13


@pytest.mark.parametrize("word", ["nan", "NaN", " None", "null", "<NA>"])
def test_read_manifest__takes_no_word_for_a_missing_id(word: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"id_str,image_uri,group_id\n{word},a.jpg,g\nnano,b.jpg,{word}\n")
    manifest = read_manifest(str(path), TOLERANT)
    assert manifest.rejects["reason"].tolist() == ["a word for a missing id; give every image one"]
    assert manifest.galaxies["id_str"].tolist() == ["nano"]
    assert manifest.galaxies["group_id"].tolist() == ["nano"]


def test_read_manifest__rejects_control_characters_in_ids(tmp_path: Path) -> None:
    names = ["a\nb", "a\tb", "a\x00b", "a\u2028b", "b"]
    table = pd.DataFrame({"id_str": names, "image_uri": "a.jpg", "group_id": [*["g"] * 4, "g\x1b"]})
    table.to_parquet(tmp_path / "m.parquet")
    rejects = read_manifest(str(tmp_path / "m.parquet"), TOLERANT).rejects
    assert rejects["id_str"].tolist() == names
    assert rejects["column"].tolist() == [*["id_str"] * 4, "group_id"]
    assert set(rejects["reason"]) == {"holds a line end or another control character; remove it"}


def test_read_manifest__stops_when_too_many_rows_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id_str,image_uri\na,a.jpg\na,b.jpg\na,c.jpg\n")
    with pytest.raises(TooManyRejectsError, match=r"2 of 3 manifest rows .*id_str duplicate") as e:
        read_manifest(str(path), IngestConfig(max_reject_rate=0.5))
    assert e.value.n_rejected == 2
    assert e.value.reasons == {"id_str duplicate": 2}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"objid,file\n1,a.jpg\n", r"lacks the columns id_str, image_uri.*objid, file"),
        ("m.csv", b"", "is empty; fetch it again"),
        ("m.csv", b"id_str,image_uri,id_str\n1,2,3\n", r"\['id_str'\] twice"),
        ("m.csv", b"id_str,image_uri\n\xff\xfe,b\n", "is not a csv table in UTF-8"),
        ("m.csv", b"id_str,image_uri\n", "has a header but no rows"),
        ("m.csv", b"<!doctype html><p>Sign in", "is a web page or XML file; give csv"),
        ("m.csv", b"iauname,image_uri\nJ1,a\n", "; set id_column if one of iauname names"),
        ("m.csv", b"id_str,image\na,b\n", "; image holds string, no encoded images"),
    ],
)
def test_read_manifest__refuses_what_is_no_manifest(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_manifest(str(tmp_path / name), TOLERANT)


def test_read_manifest__refuses_a_missing_file_and_rounded_ids(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no file at .*absent.csv"):
        read_manifest(str(tmp_path / "absent.csv"), TOLERANT)
    table = pd.DataFrame({"id_str": [5.87e17], "image_uri": ["a"]})
    table.to_parquet(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="id_str as double"):
        read_manifest(str(tmp_path / "m.parquet"), TOLERANT)


def test_read_manifest__refuses_places_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id_str,image_uri\n")
    with pytest.raises(ManifestError, match=r"is a directory; .*/\*.parquet"):
        read_manifest(str(tmp_path), TOLERANT)
    with pytest.raises(ManifestError, match="no file at .*m.csv/m.csv"):
        read_manifest(str(tmp_path / "m.csv" / "m.csv"), TOLERANT)
    with pytest.raises(
        ManifestError, match=r"foo://a/m.csv cannot be opened.*s3:// or an https://"
    ):
        read_manifest("foo://a/m.csv", TOLERANT)


def test_read_manifest__takes_the_verdict_of_the_judge(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id_str,image_uri\na,a.jpg\nb,b.gif\n")

    def judge(rows: pd.DataFrame) -> pd.DataFrame:
        gifs = rows[rows["image_uri"].str.endswith("gif")]
        return (
            judge_rows(gifs)
            .reindex([0])
            .assign(row=gifs.index, column="image_uri", value="b.gif", reason="a GIF")
        )

    rejects = read_manifest(str(tmp_path / "m.csv"), TOLERANT, judge).rejects
    assert rejects["reason"].tolist() == ["a GIF"]


def test_ingest_config__refuses_values_out_of_range() -> None:
    with pytest.raises(ConfigError, match="fingerprint must be one of content, stat, uri.*'md5'"):
        IngestConfig(fingerprint="md5")
    with pytest.raises(ConfigError, match="chunk_size must be >= 1, got 0"):
        IngestConfig(chunk_size=0)
    with pytest.raises(ConfigError, match=r"^max_reject_rate must be in \[0, 1\], got 1.5"):
        IngestConfig(max_reject_rate=1.5)
    with pytest.raises(ConfigError, match=r"max_image_reject_rate must be in \[0, 1\], got -1"):
        IngestConfig(max_image_reject_rate=-1.0)
    for radius in (-1.0, 61.0, float("nan")):
        with pytest.raises(ConfigError, match=rf"group_radius_arcsec must be in .*got {radius}"):
            IngestConfig(group_radius_arcsec=radius)
    with pytest.raises(ConfigError, match="id_column must have no spaces around it, got ' a'"):
        IngestConfig(id_column=" a")
    with pytest.raises(ConfigError, match="image_column must name a column, got ''"):
        IngestConfig(image_column="")
    with pytest.raises(ConfigError, match="max_table_bytes must be >= 1, got 0"):
        IngestConfig(max_table_bytes=0)
    with pytest.raises(ConfigError, match="n_readers must be >= 1, got 0"):
        IngestConfig(n_readers=0)


def test_read_manifest__leaves_nothing_on_disk_when_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scratch = tmp_path / "m.csv", tmp_path / "scratch"
    scratch.mkdir()
    path.write_text("id_str,image_uri\na,a.jpg\na,b.jpg\n")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    manifest = read_manifest(str(path), TOLERANT)
    assert len(list(scratch.iterdir())) == 1
    assert manifest.galaxies["id_str"].tolist() == ["a"]
    del manifest
    with pytest.raises(TooManyRejectsError) as caught:
        read_manifest(str(path), IngestConfig())
    del caught
    gc.collect()
    assert not list(scratch.iterdir())
