"""Tables of several files, and from the web and object stores."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from galaxyloop.errors import ManifestError, StorageError, VoteTableError
from galaxyloop.table_files import read_batches, read_header
from tests.library.table_formats import FORMATS, object_store, write_as


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"id_str": [f"g{i}" for i in range(10)], "n": range(10)})


def read_ids(uri: str) -> list[str]:
    return [
        str(cell)
        for batch in read_batches(uri, ["id_str"], 4)
        for cell in batch.table.column("id_str").to_pylist()
    ]


@pytest.mark.parametrize("ending", FORMATS)
def test_read_batches__reads_the_files_of_a_pattern_as_one_table(
    ending: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    for number, part in enumerate((slice(0, 5), slice(5, 5), slice(5, 10))):
        write_as(frame[part], ending, tmp_path / f"part-{number}.{ending}")
    (tmp_path / f".part-9.{ending}").write_text("hidden")
    (tmp_path / f"part-folder.{ending}").mkdir()
    uri = f"{tmp_path}/part-*.{ending}"
    assert read_header(uri) == ["id_str", "n"]
    batches = list(read_batches(uri, ["id_str"], 4))
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(10))
    assert [cell for b in batches for cell in b.table["id_str"].to_pylist()] == list(
        frame["id_str"]
    )
    assert [(Path(b.file).name[:6], b.file_rows.tolist()) for b in batches] == [
        ("part-0", [0, 1, 2, 3]),
        ("part-0", [4]),
        ("part-2", [0, 1, 2, 3]),
        ("part-2", [4]),
    ]


def test_read_batches__numbers_malformed_lines_on_through_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\n0,0\nx\n2,2\ny\n")
    (tmp_path / "b.csv").write_text("id,n\nz\n5,5\n")
    batches = list(read_batches(f"{tmp_path}/[ab].csv", ["id"], 10))
    assert [row for batch in batches for row in batch.rows.tolist()] == [0, 2, 5]
    bad = [line for batch in batches for line in batch.malformed]
    assert [(line.row, line.text, line.n_cells, line.n_columns) for line in bad] == [
        (1, "x", 1, 2),
        (3, "y", 1, 2),
        (4, "z", 1, 2),
    ]


def test_read_batches__names_the_file_that_lacks_a_column_of_the_others(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.assign(extra=1).to_parquet(tmp_path / "b.parquet", index=False)
    assert read_header(f"{tmp_path}/*") == ["id_str", "n", "extra"]
    assert len(read_ids(f"{tmp_path}/*")) == 20
    with pytest.raises(VoteTableError, match=r"a.csv lacks the columns extra; it has: id_str, n"):
        list(read_batches(f"{tmp_path}/*", ["id_str", "extra"], 5))


def test_read_header__refuses_a_pattern_that_nothing_matches(tmp_path: Path) -> None:
    for pattern in (f"{tmp_path}/*.csv", f"{tmp_path}/none/t-[0-9].csv"):
        with pytest.raises(ManifestError, match="no file matches .* check the pattern"):
            read_header(pattern, ManifestError)


def test_read_header__takes_a_file_whose_name_has_wildcards(tmp_path: Path) -> None:
    for name in ("t[1].csv", "t?.csv"):
        (tmp_path / name).write_text(f"{name}\n1\n")
        assert read_header(f"{tmp_path}/{name}") == [name]


def test_read_header__takes_a_part_of_each_file_of_a_pattern(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_as(frame, "fits", tmp_path / f"{name}.fits")
    assert len(read_ids(f"{tmp_path}/*.fits[2]")) == 20
    with pytest.raises(VoteTableError, match=r"a.fits has no binary table \[COVERAGE\]"):
        read_header(f"{tmp_path}/*.fits[COVERAGE]")


class Endless(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, ranges in /ranges only; /endless never ends, /busy fails."""

    n_sent = 0

    def do_GET(self) -> None:
        if self.path.startswith("/ranges/") and "Range" in self.headers:
            self.send_part()
            return
        if self.path.startswith("/busy"):
            self.send_error(503)
            return
        if not self.path.startswith("/endless"):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        start = b"SIMPLE  =                    T" if "fits" in self.path else b"<VOTABLE>"
        try:
            self.wfile.write(start.ljust(2880))
            while True:
                self.wfile.write(b" " * 2**16)
        except OSError:
            return

    def send_part(self) -> None:
        whole = Path(self.translate_path(self.path)).read_bytes()
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        part = whole[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        Endless.n_sent += len(part)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(Endless, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("ending", FORMATS)
def test_read_batches__reads_every_format_from_a_server_without_ranges(
    ending: str, frame: pd.DataFrame, tmp_path: Path, web: str
) -> None:
    many = pd.concat([frame] * 300, ignore_index=True)
    write_as(many, ending, tmp_path / f"t.{ending}")
    uri = f"{web}/t.{ending}"
    assert read_header(uri) == ["id_str", "n"]
    assert read_ids(uri) == many["id_str"].tolist()


def test_read_batches__fetches_only_the_columns_asked_for(tmp_path: Path, web: str) -> None:
    (tmp_path / "ranges").mkdir()
    images = [np.random.default_rng(i).bytes(100_000) for i in range(300)]
    frame = pd.DataFrame({"image": images, "id_str": [f"g{i}" for i in range(300)]})
    frame.to_parquet(tmp_path / "ranges" / "t.parquet", row_group_size=100)
    before = Endless.n_sent
    assert read_ids(f"{web}/ranges/t.parquet") == frame["id_str"].tolist()
    assert 0 < Endless.n_sent - before < (tmp_path / "ranges" / "t.parquet").stat().st_size


def test_read_batches__takes_a_query_for_no_pattern_and_lists_a_folder(
    frame: pd.DataFrame, tmp_path: Path, web: str
) -> None:
    for name in ("a", "b"):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    assert len(read_ids(f"{web}/a.csv?columns=[1]*")) == 10
    assert len(read_ids(f"{web}/*.csv")) == 20


@pytest.mark.parametrize("query", ["", "?columns=[1]*"])
def test_read_header__tells_a_server_that_fails_from_a_file_that_is_not_there(
    web: str, query: str
) -> None:
    with pytest.raises(StorageError, match="busy.csv.* could not be read .*503.*run again"):
        read_header(f"{web}/busy.csv{query}")
    with pytest.raises(VoteTableError, match="there is no file at .*absent.csv"):
        read_header(f"{web}/absent.csv{query}")


@pytest.mark.parametrize("ending", ["fits", "vot"])
def test_read_batches__stops_at_a_response_without_end(ending: str, web: str) -> None:
    with pytest.raises(ManifestError, match="is longer than max_table_bytes=1000000; raise it"):
        list(read_batches(f"{web}/endless.{ending}", ["x"], 5, ManifestError, 1_000_000))


def test_read_batches__leaves_no_temporary_file(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    uri = write_as(frame, "fits.gz", tmp_path / "t.fits.gz")
    batches = read_batches(uri, ["id_str"], 4)
    next(batches)
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    batches.close()  # type: ignore[attr-defined]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_read_batches__reads_the_files_of_a_pattern_in_an_object_store(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with object_store(monkeypatch) as store:
        store.mkdir("tables")
        for name, ending in (("b/1", "parquet"), ("b/0", "fits"), ("c", "vot.gz"), ("d", "csv.gz")):
            local = write_as(frame, ending, tmp_path / f"t.{ending}")
            store.put(local, f"tables/{name}.{ending}")
        assert read_ids("s3://tables/b/*") == list(frame["id_str"]) * 2
        files = [batch.file for batch in read_batches("s3://tables/b/*", ["n"], 99)]
        assert files == ["s3://tables/b/0.fits", "s3://tables/b/1.parquet"]
        assert read_ids("s3://tables/c.vot.gz") == list(frame["id_str"])
        assert len(read_ids("s3://tables/**")) == 40
        with pytest.raises(VoteTableError, match="no file matches s3://tables/z"):
            read_header("s3://tables/z*.csv")


def test_read_header__reads_only_the_beginning_of_a_remote_fits_file(tmp_path: Path) -> None:
    write_as(pd.DataFrame({"id_str": ["x" * 100] * 100_000}), "fits", tmp_path / "t.fits")
    n_read = []

    class Counting(MemoryFileSystem):
        """Counts what is read."""

        protocol = "counting"

        def _open(self, path: str, *_: object, **__: object) -> "CountedFile":
            return CountedFile(tmp_path / "t.fits", n_read)

    fsspec.register_implementation("counting", Counting, clobber=True)
    assert read_header("counting://t.fits") == ["id_str"]
    assert sum(n_read) < 100_000 < (tmp_path / "t.fits").stat().st_size / 90


class CountedFile:
    """A file that tells how many bytes were read from it."""

    mode = "rb"

    def __init__(self, path: Path, n_read: list[int]) -> None:
        self.file = path.open("rb")
        self.n_read = n_read

    def read(self, size: int = -1) -> bytes:
        content = self.file.read(size)
        self.n_read.append(len(content))
        return content

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> "CountedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
