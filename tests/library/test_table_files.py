"""Tables of every format give the same columns and rows, or a clear refusal."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from galaxyloop.errors import ManifestError, StorageError, VoteTableError
from galaxyloop.table_files import read_batches, read_columns, read_header
from galaxyloop.table_files.fits_cells import FitsColumn
from galaxyloop.vote_tables import VotesConfig, VoteSource, load_votes, read_vote_table
from schemas.votes import judge_votes
from tests.library.table_formats import FORMATS, write_as

BIG_ID = 587722981742084144  # more than 2^53: a float would lose its last digits


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "objid": [BIG_ID + i for i in range(7)],
            "name": [f"galaxy {i}" for i in range(7)],
            "ra": [0.1 * i for i in range(7)],
            "smooth-or-featured-gz2_smooth": [3, 0, 9, 1, 1, 2, 5],
            "smooth-or-featured-gz2_featured-or-disk": [1, 20, 2, 1, 0, 0, 5],
            "smooth-or-featured-gz2_artifact": [0, 0, 1, 1, 4, 1, 0],
        }
    )


def read_all(uri: str, columns: list[str], batch_rows: int = 3) -> pd.DataFrame:
    batches = list(read_batches(uri, columns, batch_rows))
    assert all(len(batch.rows) == batch.table.num_rows <= batch_rows for batch in batches)
    cells = {
        name: [cell for batch in batches for cell in batch.table.column(name).to_pylist()]
        for name in columns
    }
    return pd.DataFrame(cells, index=np.concatenate([batch.rows for batch in batches]))


@pytest.mark.parametrize("ending", FORMATS)
def test_read_batches__gives_the_same_from_every_format(
    ending: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    uri = write_as(frame, ending, tmp_path / f"t.{ending}")
    assert read_header(uri) == list(frame.columns)
    columns = ["ra", "objid", "name"]
    found = read_all(uri, columns)
    assert found.index.tolist() == list(range(7))
    assert found["objid"].astype(str).tolist() == frame["objid"].astype(str).tolist()
    assert found["name"].tolist() == frame["name"].tolist()
    assert found["ra"].astype(float).tolist() == frame["ra"].tolist()


def test_read_vote_table__gives_the_same_votes_from_every_format(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    votes = []
    for ending in FORMATS:
        uri = write_as(frame, ending, tmp_path / f"t.{ending}")
        source = VoteSource(uri, "gz2", id_column="objid")
        read_vote_table([source], VotesConfig(), tmp_path / f"votes.{ending}", judge_votes)
        votes.append(load_votes(tmp_path / f"votes.{ending}"))
    assert votes[0]["id_str"].tolist() == frame["objid"].astype(str).tolist()
    assert votes[0]["smooth-or-featured-gz2_smooth"].tolist() == frame.iloc[:, 3].tolist()
    for other in votes[1:]:
        pd.testing.assert_frame_equal(other, votes[0])


@pytest.fixture
def kinds(tmp_path: Path) -> str:
    """A FITS file with a column of each kind, behind an image and an empty table."""
    table = Table(
        {
            "text": np.array([b"a ", b"b\x00x", b"", b"NA"]),
            "uint8": np.array([255, 0, 1, 2], np.uint8),
            "uint16": np.array([65535, 0, 1, 2], np.uint16),
            "uint32": np.array([2**32 - 1, 0, 1, 2], np.uint32),
            "uint64": np.array([2**64 - 1, 0, BIG_ID, 2**63], np.uint64),
            "int64": MaskedColumn(np.array([BIG_ID, -BIG_ID, -1, 2]), mask=[0, 0, 1, 0]),
            "float": np.array([1.5, np.nan, np.inf, -0.1], np.float32),
            "flag": np.array([True, False, True, False]),
            "vector": np.zeros((4, 2)),
            "complex": np.zeros(4, np.complex64),
        }
    )
    table["float"].unit = "deg"
    signed = fits.Column("int8", "B", bzero=-128, array=np.array([-128, 127, 0, 1], np.int8))
    hdu = fits.table_to_hdu(table)
    hdu.columns["int64"].null = 2**62
    hdu.data["int64"][2] = 2**62
    full = fits.BinTableHDU.from_columns(hdu.columns + signed, name="GALAXIES", header=hdu.header)
    empty = fits.BinTableHDU(Table({"x": np.zeros(0)}), name="EMPTY")
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)), name="MAP"), empty, full]
    fits.HDUList(hdus).writeto(tmp_path / "kinds.fits")
    return str(tmp_path / "kinds.fits")


def test_read_batches__keeps_the_exact_values_of_fits(kinds: str) -> None:
    assert {c.name: c.unit for c in read_columns(kinds)}["float"] == "deg"
    columns = [name for name in read_header(kinds) if name not in ("vector", "complex")]
    (batch,) = read_batches(kinds, columns, 10)
    found = batch.table.to_pydict()
    assert found["text"] == ["a", "b", "", "NA"]
    assert found["uint8"] == [255, 0, 1, 2]
    assert found["uint16"] == [65535, 0, 1, 2]
    assert found["uint32"] == [2**32 - 1, 0, 1, 2]
    assert found["uint64"] == [2**64 - 1, 0, BIG_ID, 2**63]
    assert found["int64"] == [BIG_ID, -BIG_ID, None, 2]
    assert found["int8"] == [-128, 127, 0, 1]
    assert found["flag"] == [True, False, True, False]
    np.testing.assert_array_equal(found["float"], np.array([1.5, np.nan, np.inf, -0.1], "f4"))
    stored = {column.name: column.kind for column in read_columns(kinds)}
    assert all(batch.table.schema.field(name).type == stored[name] for name in columns)


def test_fits_column__scales_numbers_and_leaves_nulls() -> None:
    column = FitsColumn("x", "1I", 0, "", null=-9, scale=0.5, zero=10.0)
    cells = np.array([1, -9, -2], ">i2")
    assert column.read(cells, "t.fits").to_pylist() == [10.5, None, 9.0]


@pytest.mark.parametrize("column", ["vector", "complex"])
def test_read_batches__refuses_vectors_only_when_asked_for(column: str, kinds: str) -> None:
    with pytest.raises(VoteTableError, match=f"column '{column}' holds several .*of their own"):
        list(read_batches(kinds, [column], 10))


@pytest.mark.parametrize("part", ["3", "GALAXIES", "galaxies"])
def test_read_header__takes_the_part_of_a_fits_file_that_is_named(part: str, kinds: str) -> None:
    assert read_header(f"{kinds}[{part}]") == read_header(kinds)
    assert read_header(f"{kinds}[EMPTY]") == ["x"]


@pytest.mark.parametrize("part", ["1", "MAP", "9", "STARS"])
def test_read_header__lists_the_parts_of_a_fits_file(part: str, kinds: str) -> None:
    listed = (
        r"\[0\] PRIMARY: image; \[1\] MAP: image; \[2\] EMPTY: binary table of 1 columns; "
        r"\[3\] GALAXIES: binary table of 11 columns; .*as in kinds.fits\[2\]"
    )
    with pytest.raises(ManifestError, match=rf"no binary table \[{part}\]; it has: {listed}"):
        read_header(f"{kinds}[{part}]", ManifestError)


def test_read_header__refuses_images_and_parts_of_other_formats(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(tmp_path / "image.fits")
    with pytest.raises(VoteTableError, match=r"no binary table; it has: \[0\] PRIMARY: image"):
        read_header(str(tmp_path / "image.fits"))
    fits.CompImageHDU(np.zeros((64, 64))).writeto(tmp_path / "packed.fits")
    with pytest.raises(VoteTableError, match="no binary table"):
        read_header(str(tmp_path / "packed.fits"))
    write_as(frame, "csv", tmp_path / "t.fits")
    with pytest.raises(VoteTableError, match=r"is a csv file, which has no parts; .* \[1\]"):
        read_header(f"{tmp_path}/t.fits[1]")


def test_read_batches__reads_a_table_without_rows_as_none(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    for ending in FORMATS:
        uri = write_as(frame.iloc[:0], ending, tmp_path / f"t.{ending}")
        assert read_header(uri) == list(frame.columns)
        assert list(read_batches(uri, ["objid"], 5)) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_read_batches__refuses_a_file_that_is_cut_short(
    ending: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    whole = Path(write_as(frame, ending, tmp_path / "whole")).read_bytes()
    for n_bytes in (len(whole) // 2, len(whole) - 2800 if ending == "fits" else len(whole) - 12):
        cut = tmp_path / f"cut.{ending}"
        cut.write_bytes(whole[:n_bytes])
        if ending == "csv":
            continue  # Rows that are missing at its end cannot be seen.
        with pytest.raises(VoteTableError, match=f"cut.{ending}"):
            list(read_batches(str(cut), read_header(str(cut))[:2] + ["ra"], 5))


def test_read_batches__refuses_altered_pages_of_parquet(tmp_path: Path) -> None:
    table = pa.table({"objid": np.arange(10_000), "name": ["x" * 20] * 10_000})
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False, compression="zstd")
    whole = bytearray((tmp_path / "t.parquet").read_bytes())
    whole[4:200] = bytes(196)
    (tmp_path / "t.parquet").write_bytes(bytes(whole))
    with pytest.raises(VoteTableError, match="t.parquet is a damaged parquet file .* fetch it"):
        list(read_batches(str(tmp_path / "t.parquet"), ["objid"], 5))


VOTABLE = """<?xml version="1.0"?>
<!-- made by hand -->
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<INFO name="QUERY_STATUS" value="OK"/>
<TABLE name="empty"><FIELD name="x" datatype="int"/><DATA><TABLEDATA></TABLEDATA></DATA></TABLE>
<TABLE name="bare"><FIELD name="x" datatype="int"/></TABLE>
<TABLE name="stars" ID="second">
<FIELD name="obj id" datatype="char" arraysize="*"/>
<FIELD name="objid" datatype="long"><VALUES null="-1"/></FIELD>
<FIELD name="ra" datatype="double" arraysize="1" unit="deg"/>
<FIELD name="flag" datatype="boolean"/><FIELD name="shape" datatype="double" arraysize="2"/>
<DATA><TABLEDATA>
<TR><TD>0587</TD><TD>587722981742084145</TD><TD>1.5</TD><TD>T</TD><TD>1 2</TD></TR>
<TR><TD/><TD>-1</TD><TD/><TD>?</TD><TD>1 2</TD></TR>
</TABLEDATA></DATA></TABLE>
</RESOURCE></VOTABLE>"""


def test_read_batches__keeps_the_exact_values_of_a_votable(tmp_path: Path) -> None:
    (tmp_path / "t.xml").write_text(VOTABLE)
    uri = str(tmp_path / "t.xml")
    assert {column.name: column.unit for column in read_columns(uri)}["ra"] == "deg"
    (batch,) = read_batches(uri, ["obj id", "objid", "ra", "flag"], 5)
    assert batch.table.to_pydict() == {
        "obj id": ["0587", ""],
        "objid": [587722981742084145, None],
        "ra": [1.5, None],
        "flag": [True, None],
    }
    with pytest.raises(VoteTableError, match="column 'shape' holds several values"):
        list(read_batches(uri, ["shape"], 5))


def test_read_header__takes_the_table_of_a_votable_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.vot.gz").write_bytes(gzip.compress(VOTABLE.encode()))
    uri = str(tmp_path / "t.vot.gz")
    assert read_header(uri) == ["obj id", "objid", "ra", "flag", "shape"]
    for part in ("stars", "second", "2"):
        assert read_header(f"{uri}[{part}]") == read_header(uri)
    assert read_header(f"{uri}[EMPTY]") == ["x"]
    with pytest.raises(VoteTableError, match=r"no table \[4\]; it has: \[0\] empty of 1 columns"):
        read_header(f"{uri}[4]")


def test_read_header__tells_the_error_that_a_service_sent_as_a_votable(tmp_path: Path) -> None:
    status = '<INFO name="QUERY_STATUS" value="ERROR">No table\n gz9</INFO>'
    (tmp_path / "t.vot").write_text(f"<VOTABLE><RESOURCE>{status}</RESOURCE></VOTABLE>")
    with pytest.raises(VoteTableError, match="error of the service, not a table: No table gz9"):
        read_header(str(tmp_path / "t.vot"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html><body>Sign in</body></html>", "is a web page or XML file; give csv, csv.gz, par"),
        (gzip.compress(b"<html>", mtime=0), "is a web page or XML file"),
        (gzip.compress(b"\x89HDF\r\n\x1a\n", mtime=0), "is a HDF5 file; give"),
        (b"BZh91AY&SY", "is a bzip2 file"),
        (b"\xff\xfea\x00,\x00b\x00", "is a binary file"),
        (b"x" * (16 * 2**20 + 1), "has a line of more than 16777216 characters"),
    ],
)
def test_read_header__refuses_what_is_no_table_in_the_callers_words(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_header(str(tmp_path / "t.csv"), ManifestError)


def test_read_batches__names_the_column_that_is_missing(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    for ending in FORMATS:
        uri = write_as(frame, ending, tmp_path / f"t.{ending}")
        with pytest.raises(VoteTableError, match="lacks the columns dec; it has: objid, name"):
            list(read_batches(uri, ["ra", "dec"], 5))


def test_read_batches__memory_does_not_grow_with_a_fits_file(tmp_path: Path) -> None:
    table = Table({f"x{i}": np.zeros(200_000) for i in range(20)})
    table.write(tmp_path / "t.fits")
    tracemalloc.start()
    n_rows = sum(len(batch.rows) for batch in read_batches(f"{tmp_path}/t.fits", ["x7"], 10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 200_000
    assert peak < 4_000_000 < (tmp_path / "t.fits").stat().st_size / 7


def test_read_batches__a_failing_disk_is_no_damaged_table(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be read"):
        read_header("http://127.0.0.1:2/t.fits")
