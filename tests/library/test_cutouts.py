"""Cutting out a chunk."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.errors import ChangedImageError, ConfigError, StorageError
from galaxyloop.images import ImageBounds, cut_out, decode_rgb
from galaxyloop.shards import CutoutShard
from tests.library.image_files import (
    bomb_bytes,
    chunk_of,
    galaxy_pixels,
    good_files,
    jpeg_bytes,
    png_bytes,
    write_chunk,
    write_packed,
)

SMALL = CutoutConfig(image_size_px=32, max_image_px=1_000_000)


def test_cut_out_chunk__pixels_are_those_of_each_file_in_order(tmp_path: Path) -> None:
    files = good_files(9)
    chunk = write_chunk(tmp_path / "in", files)
    exact = dataclasses.replace(SMALL, reduced_decode=False)
    summary = cut_out_chunk(chunk, exact, tmp_path / "shard")
    shard = CutoutShard.open(tmp_path / "shard", verify=True)
    assert summary.n_galaxies == 9
    assert shard.index["id_str"].tolist() == list(files)
    for image, content in zip(shard.images, files.values(), strict=True):
        decoded = decode_rgb(content, ImageBounds(10**6, 8))
        np.testing.assert_array_equal(image, cut_out(decoded, 1.0, 32))


@pytest.mark.parametrize("n_readers", [1, 3, 16])
def test_cut_out_chunk__readers_do_not_change_a_byte(tmp_path: Path, n_readers: int) -> None:
    files = good_files(40)
    files["g13"] = b"<html>"
    chunk = write_chunk(tmp_path / "in", files)
    cut_out_chunk(chunk, SMALL, tmp_path / "one")
    cut_out_chunk(chunk, SMALL, tmp_path / "other", n_readers)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["cutouts.npy", "index.parquet", "rejects.parquet", "shard.json"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_cut_out_chunk__neighbours_and_order_do_not_change_pixels(tmp_path: Path) -> None:
    chunk = write_chunk(tmp_path / "in", good_files(6))
    cut_out_chunk(chunk, SMALL, tmp_path / "all")
    cut_out_chunk(chunk.iloc[[4, 1]], SMALL, tmp_path / "two")
    whole, two = (CutoutShard.open(tmp_path / name) for name in ("all", "two"))
    np.testing.assert_array_equal(two.images, whole.images[[4, 1]])


def test_cut_out_chunk__digest_follows_content_and_not_location(tmp_path: Path) -> None:
    files = good_files(3)
    digests = [
        cut_out_chunk(write_chunk(tmp_path / folder, files), SMALL, tmp_path / f"{folder}-s").digest
        for folder in ("here", "there")
    ]
    assert digests[0] == digests[1]
    chunk = write_chunk(tmp_path / "here", files)
    smaller = CutoutConfig.from_dict(SMALL.to_dict() | {"centre_fraction": 0.5})
    assert cut_out_chunk(chunk, smaller, tmp_path / "smaller").digest != digests[0]
    files["g01"] = jpeg_bytes(galaxy_pixels(99))
    other = write_chunk(tmp_path / "other", files)
    assert cut_out_chunk(other, SMALL, tmp_path / "other-s").digest != digests[0]


def test_cut_out_chunk__each_bad_image_is_rejected_and_the_run_goes_on(tmp_path: Path) -> None:
    jpeg, png = jpeg_bytes(galaxy_pixels(1)), png_bytes(galaxy_pixels(1))
    files = {
        "good": jpeg,
        "empty": b"",
        "page": b"<!doctype html><title>Sign in",
        "cut": jpeg[: len(jpeg) // 2],
        "cut-png": png[: len(png) // 2],
        "bomb": bomb_bytes(50_000),
        "tiny": png_bytes(galaxy_pixels(1, 20, 20)),
        "blank": png_bytes(np.full((64, 64, 3), (3, 5, 7), np.uint8)),
        "heavy": png + b"\x00" * 300_000,
        "good-too": png,
    }
    config = CutoutConfig.from_dict(SMALL.to_dict() | {"max_image_bytes": 200_000})
    chunk = write_chunk(tmp_path, files)
    late = pd.DataFrame({**chunk.iloc[0].to_dict(), "id_str": "late", "image_digest": ""}, [0])
    chunk = pd.concat([chunk, late], ignore_index=True)
    gone = pd.DataFrame({**late.iloc[0].to_dict(), "id_str": "gone", "image_uri": "/absent"}, [0])
    chunk = pd.concat([chunk, gone], ignore_index=True)
    summary = cut_out_chunk(chunk, config, tmp_path / "shard")
    rejects = CutoutShard.open(tmp_path / "shard", verify=True).rejects
    assert dict(zip(rejects["id_str"], rejects["reason"], strict=True)) == {
        "empty": "an empty file",
        "page": "an HTML page instead of an image",
        "cut": "a truncated JPEG",
        "cut-png": "a truncated PNG",
        "bomb": "more than max_image_px=1000000 pixels",
        "tiny": "smaller than min_side_px=32",
        "blank": "blank",
        "heavy": "more than max_image_bytes=200000 bytes",
        "gone": "missing",
        "late": "was not readable when the survey was versioned",
    }
    assert chunk["id_str"][rejects["row"]].tolist() == rejects["id_str"].tolist()
    assert (summary.n_read, summary.n_galaxies, summary.n_rejected) == (12, 2, 10)
    assert rejects.set_index("id_str")["value"]["blank"] == "every pixel is [3, 5, 7]"


@pytest.mark.parametrize("fingerprint", ["content", "stat"])
@pytest.mark.parametrize("event", ["changed", "gone", "forbidden"])
def test_cut_out_chunk__stops_where_an_image_is_no_more_what_was_seen(
    tmp_path: Path, fingerprint: str, event: str
) -> None:
    chunk = write_chunk(tmp_path / "in", good_files(4), fingerprint)
    path = tmp_path / "in" / "g02"
    path.unlink()
    if event == "changed":
        path.write_bytes(png_bytes(galaxy_pixels(77)))
    elif event == "forbidden":
        path.mkdir()
    with pytest.raises(ChangedImageError, match=r"g02 .* since the manifest was read; run again"):
        cut_out_chunk(chunk, SMALL, tmp_path / "out" / "shard")
    assert list((tmp_path / "out").iterdir()) == []
    chunk["is_alive"] = chunk["id_str"] != "g02"
    cut_out_chunk(chunk, SMALL, tmp_path / "out" / "shard")
    shard = CutoutShard.open(tmp_path / "out" / "shard", verify=True)
    assert shard.index["id_str"].tolist() == ["g00", "g01", "g03"]
    assert shard.rejects["reason"].tolist() == [
        "withdrawn from the survey, and its image since gone or changed"
    ]


def test_cut_out_chunk__takes_a_chunk_of_nothing_for_a_storage_that_is_away(
    tmp_path: Path,
) -> None:
    chunk = write_chunk(tmp_path / "in", good_files(3), "uri")
    (tmp_path / "in" / "g00").unlink()
    assert cut_out_chunk(chunk, SMALL, tmp_path / "one-missing").n_rejected == 1
    (tmp_path / "in").rename(tmp_path / "away")
    with pytest.raises(StorageError, match="none of the 3 images of this chunk can be read"):
        cut_out_chunk(chunk, SMALL, tmp_path / "shard")
    assert not (tmp_path / "shard").exists()


def test_cut_out_chunk__takes_a_chunk_of_no_tables_or_bands_for_a_storage_that_is_away(
    tmp_path: Path,
) -> None:
    (tmp_path / "t.parquet").write_bytes(b"half a table")
    (tmp_path / "J1_g").touch()
    tables = [f"{tmp_path}/t.parquet#image/{row}" for row in range(2)]
    uris = [*tables, f"{tmp_path}/J1_{{g,r}}", f"{tmp_path}/absent"]
    chunk = chunk_of(list("abcd"), uris, "uri")
    with pytest.raises(StorageError, match=r"none of the 4 .*t.parquet.* \(a damaged table\)"):
        cut_out_chunk(chunk, SMALL, tmp_path / "shard")
    assert not (tmp_path / "shard").exists()
    seen = write_chunk(tmp_path / "in", {"e": b"<html>"}, "uri")
    summary = cut_out_chunk(pd.concat([chunk, seen]), SMALL, tmp_path / "shard")
    assert summary.n_rejected == 5
    nulls = write_packed(tmp_path / "null.parquet", [None, None])
    looked_at = chunk_of(["a", "b"], nulls, "stat")
    assert cut_out_chunk(looked_at, SMALL, tmp_path / "nulls").n_rejected == 2


def test_cut_out_chunk__digest_tells_rejects_fingerprints_and_groups_apart(tmp_path: Path) -> None:
    pixels = galaxy_pixels(3)
    chunk = write_chunk(tmp_path / "a", {"g": png_bytes(pixels), "h": jpeg_bytes(pixels)})
    recoded = chunk.copy()
    content = png_bytes(pixels) + b"end"
    recoded.loc[0, ["image_uri", "image_digest"]] = write_chunk(tmp_path / "b", {"g": content})[
        ["image_uri", "image_digest"]
    ].iloc[0]
    broken = pd.concat([chunk, write_chunk(tmp_path / "c", {"x": b"<html>"})], ignore_index=True)
    other = pd.concat([chunk, write_chunk(tmp_path / "d", {"x": b"{}"})], ignore_index=True)
    chunks = [chunk, recoded, broken, other, chunk.assign(group_id="one")]
    summaries = [cut_out_chunk(rows, SMALL, tmp_path / f"s{i}") for i, rows in enumerate(chunks)]
    assert summaries[0].sha256["cutouts.npy"] == summaries[1].sha256["cutouts.npy"]
    assert len({summary.digest for summary in summaries}) == len(chunks)


def test_cut_out_chunk__takes_no_galaxies_and_only_rejects(tmp_path: Path) -> None:
    chunk = write_chunk(tmp_path / "in", {"a": b"{}"})
    for rows, n_rejected in ((chunk[:0], 0), (chunk, 1)):
        summary = cut_out_chunk(rows, SMALL, tmp_path / f"s{n_rejected}")
        assert (summary.n_galaxies, summary.n_rejected) == (0, n_rejected)
        assert CutoutShard.open(tmp_path / f"s{n_rejected}", verify=True).images.shape[0] == 0


def test_cut_out_chunk__refuses_a_directory_in_use(tmp_path: Path) -> None:
    chunk = write_chunk(tmp_path / "in", good_files(1))
    with pytest.raises(StorageError, match="in exists already"):
        cut_out_chunk(chunk, SMALL, tmp_path / "in")


def test_cut_out_chunk__memory_does_not_grow_with_the_chunk(tmp_path: Path) -> None:
    import tracemalloc

    chunk = write_chunk(tmp_path / "in", good_files(4))
    peaks = []
    for n_copies in (25, 200):
        rows = pd.concat([chunk] * n_copies, ignore_index=True)
        rows["id_str"] = [f"{i:06}" for i in range(len(rows))]
        tracemalloc.start()
        cut_out_chunk(rows, CutoutConfig(image_size_px=64), tmp_path / f"s{n_copies}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    n_more_bytes = 175 * 4 * 64 * 64 * 3
    assert peaks[1] - peaks[0] < n_more_bytes / 5


def test_cutout_config__refuses_values_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"centre_fraction must be in \(0, 1\], got 1.5"):
        CutoutConfig(centre_fraction=1.5)
    with pytest.raises(ConfigError, match=r"image_size_px must be in \[8, 4096\], got 4"):
        CutoutConfig(image_size_px=4)
    with pytest.raises(ConfigError, match="min_side_px must be >= 1, got 0"):
        CutoutConfig(min_side_px=0)


# HTTPS


class Site(SimpleHTTPRequestHandler):
    """Files of a folder; /flaky fails twice, /broken always, /forbidden is forbidden."""

    n_asked = 0

    def do_GET(self) -> None:
        if self.path.startswith("/flaky"):
            Site.n_asked += 1
            if Site.n_asked <= 2:
                self.send_error(503)
                return
        elif self.path.startswith("/broken"):
            self.send_error(500)
            return
        elif self.path.startswith("/forbidden"):
            self.send_error(403)
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "site"
    folder.mkdir()
    Site.n_asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galaxyloop.storage.time.sleep", lambda _: None)


def test_cut_out_chunk__asks_again_over_http_and_rejects_what_is_not_there(
    tmp_path: Path, site: str, quick: None
) -> None:
    for name in ("flaky.jpg", "plain.jpg"):
        (tmp_path / "site" / name).write_bytes(jpeg_bytes(galaxy_pixels(1)))
    (tmp_path / "site" / "empty.jpg").touch()
    names = ["flaky", "plain", "absent", "forbidden", "empty"]
    chunk = chunk_of(names, [f"{site}/{name}.jpg" for name in names], "uri")
    cut_out_chunk(chunk, SMALL, tmp_path / "shard")
    shard = CutoutShard.open(tmp_path / "shard")
    assert shard.index["id_str"].tolist() == ["flaky", "plain"]
    assert shard.rejects["reason"].tolist() == ["missing", "not readable", "an empty file"]
    assert Site.n_asked == 3


def test_cut_out_chunk__a_broken_server_stops_the_run(
    tmp_path: Path, site: str, quick: None
) -> None:
    chunk = chunk_of(["a"], [f"{site}/broken.jpg"], "uri")
    with pytest.raises(StorageError, match=r"broken.jpg could not be read in 3 attempts.*500"):
        cut_out_chunk(chunk, SMALL, tmp_path / "shard")
    assert not (tmp_path / "shard").exists()
    assert json.dumps([p.name for p in tmp_path.iterdir()]) == '["site"]'
