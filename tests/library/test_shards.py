"""Shards on disk and collections of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.errors import ShardError
from galaxyloop.shards import CutoutCollection, CutoutShard
from tests.library.image_files import galaxy_pixels, png_bytes, write_chunk


def make_shard(folder: Path, seeds: dict[str, int], size_px: int = 32) -> CutoutShard:
    files = {name: png_bytes(galaxy_pixels(seed)) for name, seed in seeds.items()}
    chunk = write_chunk(folder / "in", files)
    cut_out_chunk(chunk, CutoutConfig(image_size_px=size_px), folder / "shard")
    return CutoutShard.open(folder / "shard", verify=True)


@pytest.fixture
def shard(tmp_path: Path) -> CutoutShard:
    return make_shard(tmp_path / "a", {"g0": 0, "g1": 1, "g2": 2})


def test_cutout_shard__is_a_plain_numpy_file(shard: CutoutShard) -> None:
    plain = np.load(shard.directory / "cutouts.npy")
    assert plain.shape == (3, 32, 32, 3)
    assert plain.dtype == np.uint8
    np.testing.assert_array_equal(plain, shard.images)
    assert isinstance(shard.images, np.memmap)


def test_cutout_shard__index_keeps_position_and_group(shard: CutoutShard) -> None:
    row = shard.index.iloc[1]
    assert (row["id_str"], row["group_id"], row["survey"]) == ("g1", "g1", "s")
    assert (row["ra_deg"], row["dec_deg"]) == (10.0, -5.0)
    assert row["image_digest"].startswith("sha256:")


@pytest.mark.parametrize("name", ["cutouts.npy", "index.parquet", "rejects.parquet"])
def test_cutout_shard_open__verification_finds_one_changed_byte(
    shard: CutoutShard, name: str
) -> None:
    path = shard.directory / name
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ShardError, match=rf"{name} has SHA-256 .*damaged"):
        CutoutShard.open(shard.directory, verify=True)


def test_cutout_shard_batches__are_the_images_and_tell_one_changed_byte(shard: CutoutShard) -> None:
    np.testing.assert_array_equal(np.concatenate(list(shard.batches(2))), shard.images)
    path = shard.directory / "cutouts.npy"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(bytes(content))
    batches = CutoutShard.open(shard.directory).batches(2)
    assert [len(next(batches)), len(next(batches))] == [2, 1]
    with pytest.raises(ShardError, match=r"cutouts.npy has SHA-256 .*damaged: remove its folder"):
        next(batches)


def test_cutout_shard_open__sizes_are_always_checked(shard: CutoutShard) -> None:
    path = shard.directory / "cutouts.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ShardError, match="index.parquet is damaged: .*remove its folder"):
        CutoutShard.open(shard.directory)
    path.unlink()
    with pytest.raises(ShardError, match="lacks cutouts.npy"):
        CutoutShard.open(shard.directory)


def test_cutout_shard_open__refuses_what_is_no_shard(shard: CutoutShard, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="is no cutout shard"):
        CutoutShard.open(tmp_path)
    path = shard.directory / "shard.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format": 7}))
    with pytest.raises(ShardError, match="format 7"):
        CutoutShard.open(shard.directory)
    path.write_text(json.dumps(content | {"n_galaxies": 5}))
    told = r"shape \(3, 32, 32, 3\) and .* 3 rows, expected \(5, 32, 32, 3\) and 5"
    with pytest.raises(ShardError, match=told):
        CutoutShard.open(shard.directory)


def test_cutout_collection__reads_in_the_order_asked(tmp_path: Path, shard: CutoutShard) -> None:
    other = make_shard(tmp_path / "b", {"h0": 10, "h1": 11})
    both = CutoutCollection([shard, other])
    assert both.id_strs.tolist() == ["g0", "g1", "g2", "h0", "h1"]
    assert len(both) == 5
    read = both.read(np.array([4, 0, 3, 0]))
    expected = [other.images[1], shard.images[0], other.images[0], shard.images[0]]
    np.testing.assert_array_equal(read, expected)
    assert both.read(np.array([], dtype=np.int64)).shape == (0, 32, 32, 3)


def test_cutout_collection__does_not_depend_on_how_galaxies_are_chunked(tmp_path: Path) -> None:
    seeds = {f"g{i}": i for i in range(6)}
    one = CutoutCollection([make_shard(tmp_path / "one", seeds)])
    parts = [dict(list(seeds.items())[i : i + 2]) for i in (0, 2, 4)]
    many = CutoutCollection([make_shard(tmp_path / f"{i}", p) for i, p in enumerate(parts)])
    assert one.id_strs.tolist() == many.id_strs.tolist()
    np.testing.assert_array_equal(one.read(np.arange(6)), many.read(np.arange(6)))


def test_cutout_collection__the_last_shard_counts(tmp_path: Path, shard: CutoutShard) -> None:
    newer = make_shard(tmp_path / "b", {"g1": 77})
    collection = CutoutCollection([shard, newer])
    assert sorted(collection.id_strs) == ["g0", "g1", "g2"]
    at = collection.id_strs.tolist().index("g1")
    np.testing.assert_array_equal(collection.read(np.array([at]))[0], newer.images[0])


def test_cutout_collection__leaves_out_the_dead_and_the_outdated(
    tmp_path: Path, shard: CutoutShard
) -> None:
    alive = dict(zip(shard.index["id_str"], shard.index["image_digest"], strict=True))
    del alive["g0"]
    alive["g2"] = "sha256:of a newer image that was rejected"
    assert CutoutCollection([shard], alive).id_strs.tolist() == ["g1"]
    assert CutoutCollection([shard], alive).index["id_str"].tolist() == ["g1"]
    assert len(CutoutCollection([shard], {})) == 0


def test_cutout_collection__keeps_the_rejects_of_the_living_alone(tmp_path: Path) -> None:
    shards = []
    for name, contents in {
        "old": {"g0": b"{}", "g1": b"<html>", "g2": b""},
        "new": {"g1": png_bytes(galaxy_pixels(1)), "g3": b"GIF", "g4": png_bytes(galaxy_pixels(4))},
    }.items():
        chunk = write_chunk(tmp_path / f"{name}-in", contents)
        cut_out_chunk(chunk, CutoutConfig(image_size_px=32), tmp_path / name)
        shards.append(CutoutShard.open(tmp_path / name))
    everything = CutoutCollection(shards).rejects
    assert everything["id_str"].tolist() == ["g0", "g2", "g3"]
    digests = everything.set_index("id_str")["image_digest"]
    alive = {"g0": digests["g0"], "g2": "sha256:newer", "g3": digests["g3"]}
    assert CutoutCollection(shards, alive).rejects["id_str"].tolist() == ["g0", "g3"]


def test_cutout_collection__refuses_shards_of_two_sizes(tmp_path: Path, shard: CutoutShard) -> None:
    other = make_shard(tmp_path / "b", {"h0": 10}, size_px=16)
    with pytest.raises(ShardError, match=r"share one image size \[px\], got \[16, 32\]"):
        CutoutCollection([shard, other])
    with pytest.raises(ShardError, match=r"got \[\]"):
        CutoutCollection([])
