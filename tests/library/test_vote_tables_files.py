"""Files of every kind and from every place give the same votes, or a clear refusal."""

import functools
import gzip
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from galaxyloop.errors import StorageError, VoteTableError
from galaxyloop.table_files import read_batches, read_header
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from schemas.votes import judge_votes
from tests.library.table_formats import object_store

BIG_ID = 587722981742084144  # more than 2^53: a float would lose its last digits


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "objid": [BIG_ID, BIG_ID + 1, BIG_ID + 2],
            "note": ["a, b", "c", 'd "e"'],
            "smooth-or-featured-gz2_smooth": [3, 0, 9],
            "smooth-or-featured-gz2_featured-or-disk": [1, 20, 2],
            "smooth-or-featured-gz2_artifact": [0, 0, 1],
        }
    )


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Address of a web server over the folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def read(uri: str, directory: Path, config: VotesConfig | None = None) -> pd.DataFrame:
    sources = [VoteSource(uri, "gz2")]
    read_vote_table(sources, config or VotesConfig(), directory / "votes", judge_votes)
    return load_votes(directory / "votes")


def check(votes: pd.DataFrame, table: pd.DataFrame) -> None:
    assert votes["id_str"].tolist() == table["objid"].astype(str).tolist()
    assert votes.iloc[:, 2:5].to_numpy().tolist() == table.iloc[:, 2:5].to_numpy().tolist()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "csv_without_ending"])
def test_read_vote_table__reads_every_kind_of_file(
    name: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / name
    write = table.to_parquet if name.endswith("parquet") else table.to_csv
    write(path, index=False)
    check(read(str(path), tmp_path), table)


def test_read_vote_table__reads_a_byte_order_mark_and_windows_line_ends(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    text = table.to_csv(index=False, lineterminator="\r\n")
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    check(read(str(tmp_path / "t.csv"), tmp_path), table)


def test_read_vote_table__reads_dictionary_and_float_columns_of_parquet(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    stored = table.astype({"objid": str}).astype({"objid": "category"})
    stored["smooth-or-featured-gz2_smooth"] = stored.iloc[:, 2].astype("float32")
    stored.to_parquet(tmp_path / "t.parquet", index=False)
    check(read(str(tmp_path / "t.parquet"), tmp_path), table)


def test_read_vote_table__reads_from_the_web(table: pd.DataFrame, tmp_path: Path, web: str) -> None:
    table.to_csv(tmp_path / "t.csv.gz", index=False)
    check(read(f"{web}/t.csv.gz", tmp_path), table)
    with pytest.raises(VoteTableError, match="there is no file at http"):
        read(f"{web}/other.csv", tmp_path / "second")


def test_read_vote_table__reads_from_an_object_store(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_store(monkeypatch) as store:
        store.mkdir("votes-bucket")
        table.to_parquet(tmp_path / "t.parquet", index=False)
        store.put(str(tmp_path / "t.parquet"), "votes-bucket/t.parquet")
        check(read("s3://votes-bucket/t.parquet", tmp_path), table)
        with pytest.raises(VoteTableError, match="there is no file at s3://votes-bucket/no.csv"):
            read("s3://votes-bucket/no.csv", tmp_path / "second")


def test_read_vote_table__rejects_lines_with_other_numbers_of_cells_in_place(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    lines = table.to_csv(index=False).splitlines()
    lines.insert(2, "1,only two")
    lines.append("2,x,1,1,1,one too many")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    config = VotesConfig(max_reject_rate=1.0, batch_rows=1)
    check(read(str(tmp_path / "t.csv"), tmp_path, config), table)
    rejects = load_vote_rejects(tmp_path / "votes")
    assert rejects["row"].tolist() == [1, 4]
    assert rejects["value"].tolist() == ["2 cells", "6 cells"]
    assert rejects["reason"].str.contains("must have 5 cells").all()


def test_read_batches__number_rows_across_blocks_and_malformed_lines(tmp_path: Path) -> None:
    n_lines = 300_000
    bad = {0, 7, 150_000, n_lines - 1}
    lines = ["too,many,cells" if i in bad else f"{i},{i % 40}" for i in range(n_lines)]
    path = tmp_path / "long.csv"
    path.write_text("id,votes\n" + "\n".join(lines) + "\n" * 2)
    batches = list(read_batches(str(path), ["id"], 50_000))
    for batch in batches:
        assert batch.rows.astype(str).tolist() == batch.table.column("id").to_pylist()
        assert len(batch.rows) <= 50_000
    assert {line.row for batch in batches for line in batch.malformed} == bad
    assert sum(len(batch.rows) for batch in batches) == n_lines - len(bad)


def write_file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; fetch it again"),
        (b" \n\n", "is empty; fetch it again"),
        (b"<!DOCTYPE html><html>", "is a web page or XML file; give csv"),
        (b"SIMPLE  =                    T", "is a damaged FITS file"),
        (
            b"\xff\xd8\xff\xe0\x00\x10JFIF",
            "is a binary file; give csv, csv.gz, parquet, FITS or VOTable",
        ),
        (b"PAR1 and nothing more", "is a damaged parquet file"),
        (b"\x1f\x8b and nothing more", "is a damaged gzip file"),
        (
            b"objid,objid,smooth-or-featured-gz2_smooth,smooth-or-featured-gz2_artifact,"
            b"smooth-or-featured-gz2_featured-or-disk\n1,2,3,4,5\n",
            r"has the columns \['objid'\] twice",
        ),
        (b"name\xe9e,a\n1,2\n", "not a csv table in UTF-8"),
        (b"objid,smooth-or-featured-gz2_smooth\n", "none on"),
    ],
)
def test_read_vote_table__refuses_what_is_no_table(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(VoteTableError, match=message):
        read(write_file(tmp_path / "t.csv", content), tmp_path)
    assert not (tmp_path / "votes").exists()


def test_read_vote_table__refuses_a_header_without_rows(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    table.iloc[:0].to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(VoteTableError, match="has a header but no rows"):
        read(str(tmp_path / "t.csv"), tmp_path)


def test_read_vote_table__refuses_a_download_with_a_wrong_byte(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    whole = bytearray(gzip.compress(table.to_csv(index=False).encode()))
    whole[10] = 0xFF  # The first byte after the header says which kind of block follows.
    with pytest.raises(VoteTableError, match="t.csv"):
        read(write_file(tmp_path / "t.csv", bytes(whole)), tmp_path)


def test_read_vote_table__refuses_a_truncated_download(table: pd.DataFrame, tmp_path: Path) -> None:
    whole = gzip.compress(table.to_csv(index=False).encode())
    with pytest.raises(VoteTableError, match="t.csv"):
        read(write_file(tmp_path / "t.csv", whole[:-20]), tmp_path)


def test_read_header__refuses_an_address_that_nothing_opens() -> None:
    with pytest.raises(VoteTableError, match="carrier://pigeon cannot be opened .* s3://"):
        read_header("carrier://pigeon")


def test_read_header__tells_missing_credentials_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Connections are shared by settings: an endpoint of its own asks for the credentials anew.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(VoteTableError, match=r"s3://bucket/t.csv may not be read: .*credentials"):
        read_header("s3://bucket/t.csv")


def test_read_header__a_server_that_is_away_may_come_back() -> None:
    with pytest.raises(StorageError, match="could not be read .* then run again"):
        read_header("http://127.0.0.1:2/t.csv")


def test_read_batches__a_connection_that_breaks_may_come_back(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    class Breaking(MemoryFileSystem):
        """Gives the beginning of a file and no more."""

        protocol = "breaking"

        def _open(self, path: str, **_: object) -> "BreakingFile":
            return BreakingFile((tmp_path / "t.parquet").read_bytes())

    table.to_parquet(tmp_path / "t.parquet", index=False)
    fsspec.register_implementation("breaking", Breaking, clobber=True)
    with pytest.raises(StorageError, match="breaking://t.parquet could not be read .reset by peer"):
        list(read_batches("breaking://t.parquet", ["objid"], 10))


class BreakingFile(io.BytesIO):
    """A file that can only be read at its beginning."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            raise OSError("reset by peer")
        return super().read(size)


@pytest.mark.parametrize("name", ["missing.csv", ".", "t.csv/in_a_file.csv"])
def test_read_header__names_the_path_that_is_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").touch()
    with pytest.raises(VoteTableError, match=str(tmp_path)):
        read_header(str(tmp_path / name))


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ("objid", pa.float64(), "stored as double, which may have lost digits"),
        ("smooth-or-featured-gz2_smooth", pa.bool_(), "stores bool; votes, fractions and totals"),
    ],
)
def test_read_vote_table__refuses_columns_of_the_wrong_type(
    column: str, kind: pa.DataType, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    stored = pa.Table.from_pandas(table, preserve_index=False)
    index = stored.schema.get_field_index(column)
    cells = pa.array(table[column].astype(bool if kind == pa.bool_() else float).tolist(), kind)
    pq.write_table(stored.set_column(index, column, cells), tmp_path / "t.parquet")
    with pytest.raises(VoteTableError, match=message):
        read(str(tmp_path / "t.parquet"), tmp_path)
