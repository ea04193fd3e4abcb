"""Shards on an object store: the same pixels and predictions, in few requests, all checked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import ShardError, StorageError
from galaxyloop.image_files.ranges import PIECE_BYTES
from galaxyloop.inference import predict_shard
from galaxyloop.shard_streams import StreamedShard, open_shard
from galaxyloop.shards import CutoutShard
from galaxyloop.storage import FileReader
from tests.library.object_store import new_bucket, note_requests, put, put_folder
from tests.library.shard_files import random_images, write_shard
from tests.library.test_inference_shards import INFORMATION, POSTERIOR, make_model


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_bucket(monkeypatch) as bucket:
        yield bucket


def store_shard(bucket: str, directory: Path, n_galaxies: int, side_px: int = 16) -> CutoutShard:
    shard = write_shard(directory, random_images(n_galaxies, side_px))
    put_folder(bucket, directory)
    return shard


@pytest.mark.parametrize(("n_galaxies", "side_px"), [(3, 16), (20, 512), (100, 512)])
def test_streamed_shard__takes_a_request_for_8_mib_and_two_more(
    tmp_path: Path,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    n_galaxies: int,
    side_px: int,
) -> None:
    shard = store_shard(bucket, tmp_path / "shard", n_galaxies, side_px)
    fsspec.filesystem("s3").invalidate_cache()
    requests = note_requests(monkeypatch)
    remote = StreamedShard.open(bucket)
    batches = list(remote.batches(7))
    index = remote.index
    np.testing.assert_array_equal(np.concatenate(batches), shard.images)
    assert [len(batch) for batch in batches[:-1]] == [7] * (len(batches) - 1)
    pd.testing.assert_frame_equal(index, shard.index)
    assert (remote.digest, remote.summary) == (shard.digest, shard.summary)
    n_bytes = sum(path.stat().st_size for path in (tmp_path / "shard").iterdir())
    assert all(request.startswith("GET ") for request in requests)
    assert len(requests) <= max(1, n_bytes // PIECE_BYTES) + 2


def test_predict_shard__from_an_object_store_gives_the_same_file(
    tmp_path: Path, bucket: str
) -> None:
    shard = store_shard(bucket, tmp_path / "shard", 30)
    config = replace(POSTERIOR, batch_size=7)
    for name, one in (("disk", shard), ("s3", open_shard(f"{bucket}/"))):
        assert predict_shard([make_model()], one, config, INFORMATION, tmp_path / name) == 30
    assert (tmp_path / "disk").read_bytes() == (tmp_path / "s3").read_bytes()


@pytest.mark.parametrize("place", ["disk", "bucket"])
@pytest.mark.parametrize("name", ["cutouts.npy", "index.parquet"])
def test_predict_shard__finds_one_changed_byte_and_leaves_no_file(
    tmp_path: Path, bucket: str, name: str, place: str
) -> None:
    folder = write_shard(tmp_path / "shard", random_images(30)).directory
    content = bytearray((folder / name).read_bytes())
    content[200] ^= 1
    (folder / name).write_bytes(bytes(content))
    put_folder(bucket, folder)
    shard = open_shard(folder if place == "disk" else bucket)
    with pytest.raises(ShardError, match=rf"{name} has SHA-256 .*damaged: remove its folder"):
        predict_shard([make_model()], shard, POSTERIOR, INFORMATION, tmp_path / "p")
    assert [path.name for path in tmp_path.iterdir()] == ["shard"]


def test_streamed_shard__refuses_pixels_that_end_early_or_are_of_another_shape(
    tmp_path: Path, bucket: str
) -> None:
    store_shard(bucket, tmp_path / "shard", 30)
    pixels = (tmp_path / "shard" / "cutouts.npy").read_bytes()
    put(bucket, {"cutouts.npy": pixels[:-5000]})
    with pytest.raises(ShardError, match="cutouts.npy has SHA-256"):
        list(StreamedShard.open(bucket).batches(8))
    put(bucket, {"cutouts.npy": pixels.replace(b"(30, 16, 16, 3)", b"(15, 32, 16, 3)")})
    with pytest.raises(ShardError, match=r"shape \(15, 32, 16, 3\) .*expected \(30, 16, 16, 3\)"):
        list(StreamedShard.open(bucket).batches(8))
    put(bucket, {"cutouts.npy": b"<html>"})
    with pytest.raises(ShardError, match="cutouts.npy is damaged"):
        list(StreamedShard.open(bucket).batches(8))


class Forbidden(FileReader):
    """Reads nothing, since the server wants other credentials."""

    def read_range(self, uri: str, start: int, stop: int) -> bytes:
        raise PermissionError("the server answers 403")


def test_streamed_shard__without_pixels_says_what_to_do(tmp_path: Path, bucket: str) -> None:
    store_shard(bucket, tmp_path / "shard", 3)
    shard = StreamedShard.open(bucket)
    with pytest.raises(ShardError, match=r"lacks cutouts.npy: the server .*check your credentials"):
        list(replace(shard, reader=Forbidden(1 << 20)).batches(8))
    fsspec.filesystem("s3").rm_file(f"{bucket}/cutouts.npy")
    with pytest.raises(ShardError, match=rf"{bucket} lacks cutouts.npy: .*remove its folder"):
        list(shard.batches(8))


def test_open_shard__refuses_what_is_no_shard(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(ShardError, match=rf"{bucket}/absent is no cutout shard"):
        open_shard(f"{bucket}/absent")
    put(bucket, {"shard.json": b"{}"})
    with pytest.raises(ShardError, match="is no cutout shard: 'format'"):
        open_shard(bucket)
    assert isinstance(
        open_shard(write_shard(tmp_path / "s", random_images(1)).directory), CutoutShard
    )


def test_streamed_shard__calls_a_network_that_fails_a_failure_of_storage(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_shard(bucket, tmp_path / "shard", 3)
    shard = StreamedShard.open(bucket, FileReader(1 << 20, n_attempts=1))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    shard.reader._filesystems.clear()
    with pytest.raises(StorageError, match="cutouts.npy could not be read"):
        list(shard.batches(8))
