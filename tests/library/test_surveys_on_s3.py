"""A survey on an object store, read from a server on this machine."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.errors import ManifestError, StorageError
from galaxyloop.shards import CutoutShard
from galaxyloop.surveys import IngestConfig, fingerprint_images, read_manifest, version_survey
from tests.library.image_files import chunk_of, galaxy_pixels, png_bytes, write_chunk
from tests.library.object_store import new_bucket, put

TOLERANT = CutoutConfig(image_size_px=32)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_bucket(monkeypatch) as bucket:
        yield bucket


def test_survey_on_s3__gives_the_shard_of_the_same_files_on_disk(
    tmp_path: Path, bucket: str
) -> None:
    files = {f"g{i}": png_bytes(galaxy_pixels(i)) for i in range(5)}
    put(bucket, {f"images/{name}": content for name, content in files.items()})
    rows = "".join(f"{name},images/{name}\n" for name in files)
    put(bucket, {"m.csv": f"id_str,image_uri\n{rows}g9,images/absent\n".encode()})
    manifest = read_manifest(f"{bucket}/m.csv", IngestConfig(survey="s"))
    assert manifest.galaxies["image_uri"][0] == f"{bucket}/images/g0"
    version = version_survey(manifest.galaxies, IngestConfig(), None, tmp_path / "v")
    cut_out_chunk(version.read_chunk(version.chunks[0]), TOLERANT, tmp_path / "s3")
    remote = CutoutShard.open(tmp_path / "s3", verify=True)
    assert remote.rejects[["id_str", "reason"]].to_numpy().tolist() == [["g9", "missing"]]
    chunk = write_chunk(tmp_path / "in", files)
    absent = chunk_of(["g9"], [str(tmp_path / "absent")])
    chunk = pd.concat([chunk, absent], ignore_index=True)
    local = cut_out_chunk(chunk, TOLERANT, tmp_path / "disk")
    assert remote.digest == local.digest
    np.testing.assert_array_equal(remote.images, CutoutShard.open(tmp_path / "disk").images)


def test_fingerprint_images__etag_tells_a_change_on_s3(bucket: str) -> None:
    put(bucket, {"a": b"1", "b": b"2"})
    uris = [f"{bucket}/{name}" for name in ("a", "b", "absent")]
    config = IngestConfig(fingerprint="stat")
    before = fingerprint_images(uris, config)
    assert fingerprint_images(uris, config) == before
    put(bucket, {"b": b"3"})
    after = fingerprint_images(uris, config)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    assert after[2] == ""


def test_cut_out_chunk__rejects_empty_and_oversized_objects_on_s3(
    tmp_path: Path, bucket: str
) -> None:
    put(bucket, {"empty": b"", "heavy": png_bytes(galaxy_pixels(0)) + b"\x00" * 300_000})
    chunk = pd.DataFrame({"id_str": ["empty", "heavy"]}).assign(
        image_uri=lambda rows: f"{bucket}/" + rows["id_str"],
        image_digest="uri:0",
        ra_deg=np.nan,
        dec_deg=np.nan,
        survey="s",
        group_id="g",
    )
    settings = TOLERANT.to_dict() | {"max_image_bytes": 100_000}
    cut_out_chunk(chunk, CutoutConfig.from_dict(settings), tmp_path / "shard")
    rejects = CutoutShard.open(tmp_path / "shard").rejects
    assert rejects["reason"].tolist() == ["an empty file", "more than max_image_bytes=100000 bytes"]


def test_cut_out_chunk__stops_when_an_object_has_another_etag(tmp_path: Path, bucket: str) -> None:
    put(bucket, {"a": png_bytes(galaxy_pixels(0)), "b": png_bytes(galaxy_pixels(1))})
    chunk = chunk_of(["a", "b"], [f"{bucket}/{name}" for name in ("a", "b")], "stat")
    assert cut_out_chunk(chunk, TOLERANT, tmp_path / "shard").n_galaxies == 2
    put(bucket, {"b": png_bytes(galaxy_pixels(2))})
    with pytest.raises(StorageError, match="/b has changed since the manifest was read"):
        cut_out_chunk(chunk, TOLERANT, tmp_path / "other")


def test_read_manifest__refuses_what_no_credentials_open(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(ManifestError, match=r"m.csv may not be read: .*credentials"):
        read_manifest(f"{bucket}/m.csv", IngestConfig())


def test_read_manifest__calls_a_silent_endpoint_a_failure_of_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in (settings | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(StorageError, match=r"s3://nobody/m.csv could not be read.*endpoint"):
        read_manifest("s3://nobody/m.csv", IngestConfig())
    fsspec.filesystem("s3").clear_instance_cache()


def test_read_manifest__refuses_a_missing_object(bucket: str) -> None:
    with pytest.raises(ManifestError, match=r"there is no .* at s3://survey-\d+/absent.csv"):
        read_manifest(f"{bucket}/absent.csv", IngestConfig())
