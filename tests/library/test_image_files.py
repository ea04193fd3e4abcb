"""Rows of packed tables, read from disk and from a server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from benchmarks.file_server import FileServer, serving
from galaxyloop.errors import StorageError
from galaxyloop.image_files import (
    ImageFiles,
    ImagePart,
    NoImageError,
    map_in_order,
)
from galaxyloop.surveys.fingerprints import content_fingerprint, fingerprint_images
from galaxyloop.surveys.manifest import IngestConfig
from tests.library.image_files import write_packed

N_IMAGES = 53


@pytest.fixture
def contents() -> list[bytes]:
    generator = np.random.default_rng(0)
    return [generator.bytes(int(size)) for size in generator.integers(1, 9000, N_IMAGES)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with serving(FileServer(tmp_path)) as server:
        yield server


def read_all(files: ImageFiles, uris: list[str]) -> list[bytes | str]:
    """Each image's bytes, or the reason why there are none."""

    def one(reading: object) -> bytes | str:
        try:
            (part,) = reading()  # type: ignore[operator]
        except NoImageError as error:
            return error.reason
        except OSError as error:
            return type(error).__name__
        return part.content

    return list(map_in_order(one, files.in_order(uris), 3))


# Packed tables


@pytest.mark.parametrize("kind", ["struct", "binary", "large_binary"])
@pytest.mark.parametrize("where", ["disk", "http"])
def test_in_order__gives_the_bytes_that_were_packed(
    tmp_path: Path, contents: list[bytes], server: FileServer, kind: str, where: str
) -> None:
    uris = write_packed(tmp_path / "t.parquet", contents, kind)
    if where == "http":
        uris = [uri.replace(str(tmp_path), server.url) for uri in uris]
    files = ImageFiles(10_000)
    assert read_all(files, uris) == contents
    assert read_all(files, uris[7:31:3]) == contents[7:31:3]
    assert files.read(uris[20]) == [ImagePart("", contents[20])]


def test_in_order__any_order_of_files_and_tables_gives_each_its_image(
    tmp_path: Path, contents: list[bytes]
) -> None:
    uris = write_packed(tmp_path / "a.parquet", contents)
    uris += write_packed(tmp_path / "b.parquet", contents[::-1])
    (tmp_path / "plain").write_bytes(b"plain")
    uris += [str(tmp_path / "plain"), f"{tmp_path}/a.parquet#image/999"]
    expected = [*contents, *contents[::-1], b"plain", "no such row in the table"]
    order = np.random.default_rng(1).integers(0, len(uris), 3 * len(uris))
    got = read_all(ImageFiles(10_000), [uris[i] for i in order])
    assert got == [expected[i] for i in order]


def test_in_order__fetches_a_table_in_few_requests_and_only_what_it_needs(
    tmp_path: Path, server: FileServer
) -> None:
    generator = np.random.default_rng(0)
    contents = [generator.bytes(14_000) for _ in range(1000)]
    names = [f"{i:04}" * 100 for i in range(1000)]
    uris = write_packed(tmp_path / "t.parquet", contents, rows_a_group=100, id_str=names)
    uris = [uri.replace(str(tmp_path), server.url) for uri in uris]
    assert read_all(ImageFiles(20_000), uris) == contents
    assert server.n_gets <= 5
    assert server.n_bytes < 1.1 * 14_000 * 1000
    server.forget()
    assert read_all(ImageFiles(20_000), uris[250:350]) == contents[250:350]
    assert server.n_gets <= 3
    assert server.n_bytes < 1.1 * 14_000 * 200


def test_in_order__one_row_group_of_a_whole_table_is_not_held(tmp_path: Path) -> None:
    image, n_images = bytes(30_000), 6000
    cells = pa.array([image] * n_images, pa.binary())
    pa.parquet.write_table(
        pa.table({"image": cells}),
        tmp_path / "t.parquet",
        row_group_size=n_images,
        compression="none",
        use_dictionary=False,
    )
    del cells
    held_bytes = pa.total_allocated_bytes()
    uris = [f"{tmp_path}/t.parquet#image/{row}" for row in range(n_images)]
    most_bytes = 0
    for reading in ImageFiles(40_000).in_order(uris):
        assert reading()[0].content == image
        most_bytes = max(most_bytes, pa.total_allocated_bytes() - held_bytes)
    # A page of pyarrow's has 1024 rows: 31 MB, of 180 MB.
    assert most_bytes < 2.5 * 1024 * len(image)


def test_in_order__each_bad_cell_has_its_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    uris = write_packed(tmp_path / "t.parquet", [b"one", None, b"", b"a long one"], rows_a_group=2)
    write_packed(tmp_path / "numbers.parquet", [b"one"], label=["spiral"])
    (tmp_path / "page.parquet").write_bytes(b"<html>")
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "folder.parquet").mkdir()
    other = ["numbers.parquet#label/0", "page.parquet#image/0", "empty.parquet#image/0"]
    other += ["t.parquet#absent/0", "t.parquet#image/4", "away.parquet#image/0"]
    other += ["folder.parquet#image/0"]
    got = read_all(ImageFiles(5), uris + [f"{tmp_path}/{name}" for name in other])
    assert got == [
        b"one",
        "a null image cell",
        b"",
        b"a long",
        "a column that holds no images",
        "a damaged table",
        "a damaged table",
        "no such column in the table",
        "no such row in the table",
        "FileNotFoundError",
        "IsADirectoryError",
    ]
    with pytest.raises(NoImageError, match=r"absent in .*t.parquet, which has: image"):
        ImageFiles(5).read(f"{tmp_path}/t.parquet#absent/0")
    with pytest.raises(NoImageError, match=r"row 4 of 4 in .*t.parquet"):
        ImageFiles(5).read(f"{tmp_path}/t.parquet#image/4")


def test_in_order__a_damaged_row_group_spoils_no_other(
    tmp_path: Path, contents: list[bytes]
) -> None:
    uris = write_packed(tmp_path / "t.parquet", contents, "binary")
    chunk = pa.parquet.read_metadata(tmp_path / "t.parquet").row_group(2).column(0)
    table = bytearray((tmp_path / "t.parquet").read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    table[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    (tmp_path / "t.parquet").write_bytes(table)
    expected = [*contents[:20], *["a damaged table"] * 10, *contents[30:]]
    assert read_all(ImageFiles(10_000), uris) == expected


def test_in_order__a_table_that_vanishes_leaves_its_images_missing(
    tmp_path: Path, contents: list[bytes], server: FileServer
) -> None:
    uris = write_packed(tmp_path / "t.parquet", contents)
    for place in (str(tmp_path), server.url):
        write_packed(tmp_path / "t.parquet", contents)
        files = ImageFiles(10_000)
        here = [uri.replace(str(tmp_path), place) for uri in uris]
        assert files.read(here[0])[0].content == contents[0]
        (tmp_path / "t.parquet").unlink()
        assert read_all(files, here) == ["FileNotFoundError"] * N_IMAGES


def test_in_order__refuses_a_server_that_sends_whole_files_only(
    tmp_path: Path, contents: list[bytes], server: FileServer
) -> None:
    server.takes_ranges = False
    write_packed(tmp_path / "t.parquet", contents * 5)
    with pytest.raises(StorageError, match=r"t.parquet: the server sends whole files only"):
        ImageFiles(10_000).read(f"{server.url}/t.parquet#image/0")


def test_fingerprint_images__a_packed_image_keeps_the_fingerprint_of_its_file(
    tmp_path: Path, contents: list[bytes]
) -> None:
    uris = write_packed(tmp_path / "t.parquet", [*contents, None])
    expected = [content_fingerprint([ImagePart("", content)], 10_000) for content in contents]
    assert fingerprint_images(uris[::-1], IngestConfig()) == ["", *expected[::-1]]


def test_fingerprint_images__stat_of_a_packed_image_is_the_table_and_the_row(
    tmp_path: Path, contents: list[bytes], server: FileServer
) -> None:
    config = IngestConfig(fingerprint="stat")
    uris = write_packed(tmp_path / "t.parquet", contents)
    for place in (str(tmp_path), server.url):
        here = [uri.replace(str(tmp_path), place) for uri in [*uris, f"{uris[0][:-1]}999"]]
        before = fingerprint_images(here, config)
        assert len(set(before)) == N_IMAGES + 1
        assert before[-1] == ""
        assert fingerprint_images(here, config) == before
        write_packed(tmp_path / "t.parquet", [*contents, b"one more"])
        after = fingerprint_images(here, config)
        assert not set(after[:-1]) & set(before)
        write_packed(tmp_path / "t.parquet", contents)
