"""What locations name, requests for parts of files, and threads."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    assert band_locations("s3://b/{VIS,Y}.fits?v=1")[0] == ("VIS", "s3://b/VIS.fits?v=1")
    assert band_locations("run{1}/{g,r}_{}.fits")[1] == ("r", "run{1}/r_{}.fits")


@pytest.mark.parametrize("uri", ["run{1}/J1.jpg", "J{1}.jpg", "{}/{a}{b}.jpg", "{VIS}.fits", "a,b"])
def test_band_locations__braces_without_a_comma_belong_to_the_name(uri: str) -> None:
    assert band_locations(uri) == [("", uri)]


def test_read__a_file_of_that_very_name_goes_before_bands(tmp_path: Path) -> None:
    (tmp_path / "a{b,c}").mkdir()
    for name in ("run{1,2}.jpg", "odd{.jpg", "a{b,c}/J{d,e}.jpg"):
        uri = f"{tmp_path}/{name}"
        (tmp_path / name).write_bytes(b"x")
        assert ImageFiles(100).read(uri) == [ImagePart("", b"x")]
        marks = [
            fingerprint_images([uri], IngestConfig(fingerprint=f)) for f in ("content", "stat")
        ]
        assert marks[0] == [content_fingerprint([ImagePart("", b"x")], 10)]
        assert marks[1] != [""]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("J1_{g,r.fits", "give one pair"),
        ("J1_g}.fits", "give one pair"),
        ("{a,b}_{c,d}.fits", "give one pair"),
        ("J1_{{g,r}}.fits", "give one pair"),
        ("J1_{,}.fits", "a band without a name"),
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
    (reading,) = ImageFiles(100).in_order([uri])
    with pytest.raises(NoImageError, match=told):
        reading()
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


@settings(deadline=None)
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


def test_ranged_file__a_request_under_way_holds_no_exit() -> None:
    code = (
        "import threading; from galaxyloop.image_files.ranges import ByteRange, RangedFile;"
        "wait = threading.Event().wait;"
        "fetch = lambda start, stop: bytes(9) if start == 0 else wait();"
        "file = RangedFile(fetch, 18, [ByteRange(0, 9), ByteRange(9, 18)]);"
        "print(len(file.read(3))); file.close()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300)
    assert run.stdout == b"3\n", run.stderr.decode()


def test_ranged_file__raises_what_a_request_raises() -> None:
    def fetch(start: int, stop: int) -> bytes:
        raise PermissionError(f"{start} to {stop}")

    file = RangedFile(fetch, 9, [ByteRange(0, 9)])
    with pytest.raises(PermissionError, match="0 to 9"):
        file.read(3)


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
