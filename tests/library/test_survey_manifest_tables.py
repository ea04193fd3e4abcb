"""Manifests in every format, over several files, with packed images; what is refused as a whole."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyloop.errors import ManifestError
from galaxyloop.surveys import IngestConfig, Manifest, read_manifest, tables
from schemas.manifest import judge_manifest
from tests.library.table_formats import FORMATS, write_as

TOLERANT = IngestConfig(max_reject_rate=1.0)
BIG_ID = 587722981742084144


@pytest.fixture
def frame() -> pd.DataFrame:
    n = 9
    return pd.DataFrame(
        {
            "id_str": [BIG_ID + i for i in [*range(n - 1), 0]],  # The last is a duplicate.
            "image_uri": [f"a/{i}.jpg" for i in range(n - 2)] + ["", "s3://b/c.jpg"],
            "ra": [0.1 * i for i in range(n - 4)] + [361.0, -999.0, 1.0, 2.0],
            "dec": [-89.9, -91.0, *([1 / 3] * (n - 5)), -999.0, 5.0, 0.0],
            "group_id": ["", *(["same"] * (n - 1))],
        }
    )


def read(uri: str | Path, config: IngestConfig = TOLERANT) -> Manifest:
    return read_manifest(str(uri), config, judge_manifest)


def check_same(found: Manifest, expected: Manifest) -> None:
    pd.testing.assert_frame_equal(found.galaxies, expected.galaxies)
    pd.testing.assert_frame_equal(found.rejects, expected.rejects)
    assert found.n_read == expected.n_read


@pytest.mark.parametrize("ending", FORMATS)
def test_read_manifest__gives_the_same_from_every_format(
    ending: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    write_as(frame, "csv", tmp_path / "m.csv")
    expected = read(tmp_path / "m.csv")
    galaxies, rejects = expected.galaxies, expected.rejects
    assert galaxies["id_str"].tolist() == [str(BIG_ID + i) for i in (0, 2, 3, 4, 6)]
    assert galaxies["ra_deg"].tolist()[:4] == [0.0, 0.2, 0.30000000000000004, 0.4]
    assert np.isnan(galaxies["ra_deg"][4])
    assert np.isnan(galaxies["dec_deg"][4])
    assert galaxies["group_id"].tolist()[:2] == [str(BIG_ID), "same"]
    assert rejects[["row", "column"]].to_numpy().tolist() == [
        [1, "dec"],
        [5, "ra"],
        [7, "image_uri"],
        [8, "id_str"],
    ]
    check_same(read(write_as(frame, ending, tmp_path / f"other.{ending}")), expected)


@pytest.mark.parametrize("ending", FORMATS)
def test_read_manifest__gives_the_same_from_several_files(
    ending: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    expected = read(write_as(frame, ending, tmp_path / f"m.{ending}"))
    for number, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        write_as(frame.iloc[part], ending, tmp_path / f"part-{number}.{ending}")
    found = read(f"{tmp_path}/part-?.{ending}")
    check_same(found, expected)


def test_read_manifest__resolves_locations_from_the_folder_of_each_file(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        lines = f'id_str,image_uri\n{name}0,i.jpg\n{name}1,./u/../i.jpg\n{name}2,"h_{{g,r}}.fits"\n'
        (tmp_path / name / "m.csv").write_text(f"{lines}{name}3,/abs.jpg\n{name}4,s3://b/i.jpg\n")
    galaxies = read(f"{tmp_path}/*/m.csv").galaxies
    assert galaxies["image_uri"].tolist() == [
        place
        for folder in (tmp_path / "x", tmp_path / "y")
        for place in (
            f"{folder}/i.jpg",
            f"{folder}/i.jpg",
            f"{folder}/h_{{g,r}}.fits",
            "/abs.jpg",
            "s3://b/i.jpg",
        )
    ]


def test_read_manifest__rejects_ids_that_repeat_across_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id_str,image_uri\nx,1.jpg\ny,2.jpg\n")
    (tmp_path / "b.csv").write_text("id_str,image_uri\nz,3.jpg\nx,4.jpg\n")
    manifest = read(f"{tmp_path}/*.csv")
    assert manifest.galaxies["id_str"].tolist() == ["x", "y", "z"]
    assert manifest.rejects.iloc[0].tolist() == [3, "x", "id_str", "x", "duplicate"]


@pytest.mark.parametrize("column", ["group_id", "image_uri", "survey"])
def test_read_manifest__takes_ids_from_a_column_with_a_meaning_of_its_own(
    column: str, tmp_path: Path
) -> None:
    (tmp_path / "m.csv").write_text("group_id,image_uri,survey,id_str\ng,a.jpg,s,\n")
    galaxy = read(tmp_path / "m.csv", IngestConfig(id_column=column)).galaxies.iloc[0]
    expected = {"group_id": "g", "image_uri": "a.jpg", "survey": "s"}
    assert galaxy["id_str"] == expected[column]
    assert galaxy["group_id"] == "g"
    assert galaxy["image_uri"] == f"{tmp_path}/a.jpg"


def test_read_manifest__refuses_files_of_other_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id_str,image_uri\nx,1.jpg\n")
    (tmp_path / "b.csv").write_text("id_str,image_uri,ra_deg,dec_deg\ny,2.jpg,1,2\n")
    with pytest.raises(ManifestError, match="a.csv lacks the columns ra_deg, dec_deg; it has: id_"):
        read(f"{tmp_path}/*.csv")


@pytest.mark.parametrize("batch_rows", [7, 64])
def test_read_manifest__gives_the_same_however_rows_are_cut_into_batches(
    batch_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    n_rows = 120
    frame = pd.DataFrame(
        {
            "id_str": rng.integers(0, 80, n_rows).astype(str),
            "image_uri": [f"{i}.jpg" if i % 11 else "" for i in range(n_rows)],
            "ra_deg": rng.choice([10.0, 370.0, np.nan], n_rows, p=[0.8, 0.1, 0.1]),
            "dec_deg": rng.choice([-5.0, 95.0], n_rows, p=[0.9, 0.1]),
        }
    )
    lines = frame.to_csv(index=False).splitlines()
    lines[20:20] = lines[90:90] = ["too,few"]
    for name, part in (("0", lines[:60]), ("1", [lines[0], *lines[60:], "too,few"])):
        (tmp_path / f"{name}.csv").write_text("\n".join(part) + "\n")
    whole = read(f"{tmp_path}/*.csv")
    monkeypatch.setattr(tables, "_BATCH_ROWS", batch_rows)
    found = read(f"{tmp_path}/*.csv")
    check_same(found, whole)
    # Of good rows with one id the first is kept.
    is_good = (frame["image_uri"] != "") & ~(frame["ra_deg"] > 360) & (frame["dec_deg"] < 90)
    good = frame[is_good & frame["ra_deg"].notna()]
    kept = good.drop_duplicates("id_str")
    assert found.galaxies["id_str"].tolist() == kept["id_str"].tolist()
    assert (found.rejects["reason"] == "duplicate").sum() == len(good) - len(kept)
    assert found.n_read == len(found.galaxies) + len(found.rejects) == n_rows + 3


def write_packed(path: Path, ids: list[str], kind: pa.DataType, column: str = "image") -> None:
    image = {"bytes": b"\xff\xd8 no image", "path": None} if pa.types.is_struct(kind) else b"\xff"
    table = {
        "id_str": ids,
        column: pa.array([image] * len(ids), kind),
        "ra": np.arange(float(len(ids))),
        "dec": np.zeros(len(ids)),
        "smooth-or-featured-gz2_smooth": pa.array([3] * len(ids), pa.int32()),
    }
    pq.write_table(pa.table(table), path, row_group_size=2)


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    ],
)
def test_read_manifest__names_the_rows_of_images_in_parquet(
    kind: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    write_packed(tmp_path / "data" / "train-0.parquet", ["a", "b", "c"], kind)
    write_packed(tmp_path / "data" / "train-1.parquet", ["d", "e"], kind)
    monkeypatch.chdir(tmp_path)
    first, second = (f"{tmp_path}/data/train-{i}.parquet" for i in range(2))
    galaxies = read("data/train-*.parquet").galaxies
    assert galaxies["id_str"].tolist() == ["a", "b", "c", "d", "e"]
    assert galaxies["image_uri"].tolist() == [
        *(f"{first}#image/{row}" for row in range(3)),
        *(f"{second}#image/{row}" for row in range(2)),
    ]
    assert galaxies["ra_deg"].tolist() == [0.0, 1.0, 2.0, 0.0, 1.0]
    alone = read("data/train-1.parquet").galaxies["image_uri"].tolist()
    assert alone == galaxies["image_uri"].tolist()[3:]


def test_read_manifest__takes_image_column_and_prefers_image_uri(tmp_path: Path) -> None:
    write_packed(tmp_path / "m.parquet", ["a", "b"], pa.binary(), "cutout/rgb")
    with pytest.raises(ManifestError, match="set image_column if cutout/rgb holds encoded images"):
        read(tmp_path / "m.parquet")
    config = IngestConfig(image_column="cutout/rgb")
    uris = read(tmp_path / "m.parquet", config).galaxies["image_uri"].tolist()
    assert uris == [f"{tmp_path}/m.parquet#cutout/rgb/{row}" for row in range(2)]
    table = pq.read_table(tmp_path / "m.parquet").append_column("image_uri", [["1.jpg", "2.jpg"]])
    pq.write_table(table, tmp_path / "m.parquet")
    assert read(tmp_path / "m.parquet", config).galaxies["image_uri"][0] == f"{tmp_path}/1.jpg"


def test_read_manifest__refuses_packed_images_that_could_not_be_found_again(
    tmp_path: Path,
) -> None:
    write_packed(tmp_path / "m.dat", ["a"], pa.binary())
    with pytest.raises(ManifestError, match=r"m.dat holds images .* name it \*.parquet"):
        read(tmp_path / "m.dat")


def test_read_manifest__loads_no_image(tmp_path: Path) -> None:
    # Bytes of an image page that are altered are not seen, as they are not read.
    write_packed(tmp_path / "m.parquet", ["a", "b", "c"], pa.binary())
    place = pq.ParquetFile(tmp_path / "m.parquet").metadata.row_group(0).column(1)
    assert place.path_in_schema == "image"
    whole = bytearray((tmp_path / "m.parquet").read_bytes())
    start = place.dictionary_page_offset or place.data_page_offset
    whole[start : start + place.total_compressed_size] = bytes(place.total_compressed_size)
    (tmp_path / "m.parquet").write_bytes(bytes(whole))
    assert len(read(tmp_path / "m.parquet").galaxies) == 3


def test_read_manifest__refuses_ids_that_lost_digits(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ids = random.integers(5 * 10**17, 6 * 10**17, 40)
    frame = pd.DataFrame({"id_str": ids, "image_uri": "a.jpg", "group_id": ids})
    assert len(read(write_as(frame, "csv", tmp_path / "good.csv")).galaxies) == 40
    for column in ("id_str", "group_id"):
        lost = frame.assign(**{column: ids.astype(float).astype(np.int64)})
        for ending in ("csv", "parquet", "fits"):
            uri = write_as(lost, ending, tmp_path / f"{column}.{ending}")
            with pytest.raises(ManifestError, match=f"in column '{column}' all 40 ids above 2"):
                read(uri)


def test_read_manifest__rejects_ids_in_floating_point(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "id_str,image_uri,group_id\n5.877e+17,a.jpg,\n587722981742084144.0,b.jpg,\n"
        "a,c.jpg,5.877E+17\n12e5,d.jpg,\n"
    )
    manifest = read(tmp_path / "m.csv")
    assert manifest.galaxies["id_str"].tolist() == ["12e5"]
    assert manifest.rejects["column"].tolist() == ["id_str", "id_str", "group_id"]
    assert set(manifest.rejects["reason"]) == {
        "written as a floating-point number; write all its digits"
    }


def test_read_manifest__refuses_columns_that_are_no_text(tmp_path: Path) -> None:
    table = pa.table({"id_str": [["a"]], "image_uri": ["a.jpg"]})
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"holds id_str as list<.*>; store it as text or as nu"):
        read(tmp_path / "m.parquet")
    float_groups = pa.table({"id_str": ["a"], "image_uri": ["a.jpg"], "group_id": [5.8e17]})
    pq.write_table(float_groups, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="holds group_id as double, which rounds long ids"):
        read(tmp_path / "m.parquet")


def test_read_manifest__reads_text_of_every_arrow_type(tmp_path: Path) -> None:
    expected = ["a", "b", "a"]
    for kind in (pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        ids = pa.array(["x", "y", "z"], pa.string()).cast(kind)
        table = pa.table({"id_str": ids, "image_uri": ["a.jpg"] * 3, "survey": expected})
        pq.write_table(table, tmp_path / "m.parquet")
        galaxies = read(tmp_path / "m.parquet").galaxies
        assert galaxies["id_str"].tolist() == ["x", "y", "z"]
        assert galaxies["survey"].tolist() == expected


def test_read_manifest__reads_a_table_of_hugging_faces_shape(tmp_path: Path) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    write_packed(tmp_path / "train-00000-of-00001.parquet", ["J1", "J2"], image)
    table = pq.read_table(tmp_path / "train-00000-of-00001.parquet")
    features = {"info": {"features": {"image": {"_type": "Image"}}}}
    described = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(described, tmp_path / "train-00000-of-00001.parquet")
    galaxies = read(f"{tmp_path}/train-*-of-*.parquet").galaxies
    assert galaxies["image_uri"].str.endswith(("#image/0", "#image/1")).all()


@pytest.mark.skipif("GALAXYLOOP_REAL_DATA" not in os.environ, reason="needs published tables")
def test_read_manifest__reads_a_published_table_in_every_format(tmp_path: Path) -> None:
    tables = Path(os.environ["GALAXYLOOP_REAL_DATA"]) / "tables"
    columns = ["objid", "ra", "dec", "total_votes"]
    published = pd.read_csv(tables / "gz2_stripe82_coadd_votes.csv.gz", usecols=columns)
    frame = published.assign(image_uri=[f"{i}.jpg" for i in published["objid"]])
    config = IngestConfig(id_column="objid")
    expected = read(write_as(frame, "csv", tmp_path / "m.csv"), config)
    assert len(expected.galaxies) == 13_836
    assert expected.galaxies["id_str"].tolist() == published["objid"].astype(str).tolist()
    np.testing.assert_allclose(expected.galaxies["ra_deg"], published["ra"], atol=1e-12)
    for ending in ("parquet", "fits.gz", "binary.vot"):
        check_same(read(write_as(frame, ending, tmp_path / f"m.{ending}"), config), expected)
