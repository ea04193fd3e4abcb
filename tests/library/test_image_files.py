"""Images by location: files, bands in braces, rows of packed tables."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.file_server import FileServer, serving
from galaxyloop.errors import StorageError
from galaxyloop.image_files import (
    ImageFiles,
    ImagePart,
    NoImageError,
    PackedLocation,
    band_locations,
    map_in_order,
    packed_location,
)
from galaxyloop.image_files.ranges import ByteRange, RangedFile, plan_pieces
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


# Locations


def test_packed_location__is_table_column_and_row() -> None:
    assert packed_location("s3://b/t-0.parquet#image/17") == ("s3://b/t-0.parquet", "image", 17)
    assert packed_location("/d/t.pq#cutout/small/0") == PackedLocation("/d/t.pq", "cutout/small", 0)


@pytest.mark.parametrize(
    "uri", ["a.parquet", "a.parquet#image", "a.parquet#image/x", "a.parquet#image/-1", "a.csv#b/1"]
)
def test_packed_location__takes_nothing_else_for_one(uri: str) -> None:
    assert packed_location(uri) is None


def test_band_locations__braces_expand_in_their_order() -> None:
    assert band_locations("d/J1.fits") == [("", "d/J1.fits")]
    assert band_locations("d/J1_{g,r,z}.fits") == [
        ("g", "d/J1_g.fits"),
        ("r", "d/J1_r.fits"),
        ("z", "d/J1_z.fits"),
    ]
    assert band_locations("s3://b/{VIS}.fits?v=1") == [("VIS", "s3://b/VIS.fits?v=1")]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("J1_{g,r.fits", "give one pair"),
        ("J1_g}.fits", "give one pair"),
        ("{a,b}_{c,d}.fits", "give one pair"),
        ("J1_{{g,r}}.fits", "give one pair"),
        ("J1_{}.fits", "a band without a name"),
        ("J1_{g,,z}.fits", "a band without a name"),
        ("J1_{g, r}.fits", "blanks around it"),
        ("J1_{g,r,g}.fits", "named twice"),
    ],
)
def test_band_locations__refuses_wrong_braces(uri: str, told: str) -> None:
    with pytest.raises(NoImageError, match=told) as caught:
        band_locations(uri)
    assert caught.value.reason == "a location with wrong braces"
    assert uri in caught.value.value
    assert read_all(ImageFiles(100), [uri]) == ["a location with wrong braces"]
    assert fingerprint_images([uri], IngestConfig()) == [""]


# Bands


def test_read__bands_come_with_their_names(tmp_path: Path) -> None:
    for band in "grz":
        (tmp_path / f"J1_{band}.fits").write_bytes(band.encode())
    files = ImageFiles(100)
    assert files.read(f"{tmp_path}/J1_{{z,g}}.fits") == [ImagePart("z", b"z"), ImagePart("g", b"g")]
    assert files.read(f"{tmp_path}/J1_r.fits") == [ImagePart("", b"r")]


def test_read__names_the_band_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "J1_g.fits").write_bytes(b"g")
    with pytest.raises(NoImageError, match=r"missing in a band: .*J1_r.fits, .*J1_z.fits"):
        ImageFiles(100).read(f"{tmp_path}/J1_{{g,r,z}}.fits")
    with pytest.raises(FileNotFoundError) as caught:
        ImageFiles(100).read(f"{tmp_path}/J2_{{g,r,z}}.fits")
    assert not isinstance(caught.value, NoImageError)


def test_content_fingerprint__of_one_file_is_its_sha256_and_of_bands_tells_all_apart() -> None:
    plain = content_fingerprint([ImagePart("", b"one")], 10)
    assert plain == "sha256:" + hashlib.sha256(b"one").hexdigest()
    images = [
        [("g", b"one"), ("r", b"two")],
        [("r", b"two"), ("g", b"one")],
        [("r", b"one"), ("g", b"two")],
        [("g", b"onetwo"), ("r", b"")],
        [("g", b"one")],
        [("", b"one")],
    ]
    marks = {content_fingerprint([ImagePart(*part) for part in image], 10) for image in images}
    assert len(marks) == len(images)
    assert content_fingerprint([ImagePart("g", b"one"), ImagePart("r", b"long")], 3) == ""


def test_fingerprint_images__sees_a_change_of_any_band(tmp_path: Path) -> None:
    uri = f"{tmp_path}/J1_{{g,r}}.fits"
    for band in "gr":
        (tmp_path / f"J1_{band}.fits").write_bytes(b"x")
    for kind in ("content", "stat"):
        config = IngestConfig(fingerprint=kind)
        before = fingerprint_images([uri], config)
        assert fingerprint_images([uri], config) == before != [""]
        (tmp_path / "J1_r.fits").write_bytes(b"longer" * (1 + len(kind)))
        assert fingerprint_images([uri], config) != before


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
        "a damaged table",
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


# Ranges


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), max_size=8),
    st.integers(1, 50),
    st.integers(0, 30),
)
def test_plan_pieces__cover_what_is_wanted_in_order_within_bounds(
    parts: list[tuple[int, int]], piece_bytes: int, gap_bytes: int
) -> None:
    wanted = [ByteRange(start, start + length) for start, length in parts]
    pieces = plan_pieces(wanted, piece_bytes, gap_bytes)
    covered = {i for piece in pieces for i in range(*piece)}
    assert covered >= {i for part in wanted for i in range(*part)}
    assert all(0 < piece.stop - piece.start <= piece_bytes for piece in pieces)
    assert all(one.stop <= other.start for one, other in zip(pieces, pieces[1:], strict=False))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(-1, 120)), max_size=9))
def test_ranged_file__reads_like_the_file(reads: list[tuple[int, int]]) -> None:
    content = bytes(range(100))
    pieces = plan_pieces([ByteRange(10, 33), ByteRange(60, 81)], 7, 5)
    file = RangedFile(lambda start, stop: content[start:stop], len(content), pieces)
    for start, length in reads:
        assert file.seek(start) == file.tell() == start
        assert file.read(length) == (content[start:][:length] if length >= 0 else content[start:])
    assert file.seek(-3, 2) == 97
    assert file.seek(1, 1) == 98
    file.close()


# Threads


def test_map_in_order__draws_a_bounded_number_ahead_and_ends_with_its_reader() -> None:
    drawn = []

    def items() -> Iterator[int]:
        for i in range(10_000):
            drawn.append(i)
            yield i

    n_threads = threading.active_count()
    results = map_in_order(lambda i: i * i, items(), 2)
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    assert len(drawn) <= 8 * 5 + 8
    results.close()
    assert threading.active_count() == n_threads
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda i: 1 / (i - 50), range(100), 3))
    assert threading.active_count() == n_threads
