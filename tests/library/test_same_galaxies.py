"""The same galaxies, however their images are stored, are the same survey."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.images import ColourConfig
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import IngestConfig, read_manifest, version_survey
from galaxyloop.synthetic import SimulationConfig
from galaxyloop.synthetic.simulation import iterate_galaxies
from tests.library.fits_files import cube_bytes
from tests.library.image_files import jpeg_bytes, png_bytes, write_packed
from tests.library.object_store import new_bucket, put_folder

N_GALAXIES = 8
JPEG_QUALITY = 92
LINEAR = ColourConfig(preset="lupton", minimum=0.0, stretch=255.0, q=0.0)
"""Levels of 0 to 255 stay as they are."""
CONFIG = CutoutConfig(image_size_px=64, colour=LINEAR)
INGEST = IngestConfig(survey="s", chunk_size=3)
LOSSLESS = ["png", "bands", "bands blue to red", "cube", "packed png", "packed binary png"]
LOSSY = ["jpeg", "packed jpeg"]


@pytest.fixture(scope="module")
def galaxies() -> dict[str, np.ndarray]:
    config = SimulationConfig(n_galaxies=N_GALAXIES, seed=3, repeated_share=0.0)
    simulated = iterate_galaxies(config, find_campaign("gz2").tree)
    return {galaxy.id_str: galaxy.image for galaxy in simulated}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_bucket(monkeypatch) as bucket:
        yield bucket


# Ways to store them: each writes files and gives the locations, relative to the folder


def as_jpeg(pixels: np.ndarray) -> bytes:
    return jpeg_bytes(pixels, JPEG_QUALITY)


def planes_of(pixels: np.ndarray) -> np.ndarray:
    """Red, green and blue as FITS has them: rows from the bottom."""
    return np.ascontiguousarray(pixels[::-1].transpose(2, 0, 1))


def write_files(
    folder: Path, galaxies: dict[str, np.ndarray], encode: Callable[[np.ndarray], bytes], end: str
) -> list[str]:
    for name, pixels in galaxies.items():
        (folder / f"{name}.{end}").write_bytes(encode(pixels))
    return [f"{name}.{end}" for name in galaxies]


def write_bands(folder: Path, galaxies: dict[str, np.ndarray], braces: str) -> list[str]:
    for name, pixels in galaxies.items():
        for band, plane in zip("zrg", planes_of(pixels), strict=True):
            (folder / f"{name}_{band}.fits").write_bytes(cube_bytes(plane))
    return [f"{name}_{braces}.fits" for name in galaxies]


def write_cubes(folder: Path, galaxies: dict[str, np.ndarray]) -> list[str]:
    def encode(pixels: np.ndarray) -> bytes:
        return cube_bytes(planes_of(pixels)[::-1].astype(np.int16))

    return write_files(folder, galaxies, encode, "fits")


def write_tables(
    folder: Path,
    galaxies: dict[str, np.ndarray],
    encode: Callable[[np.ndarray], bytes],
    kind: str = "struct",
) -> list[str]:
    """Two tables, as a data set that is published in parts."""
    uris, half = [], N_GALAXIES // 2
    contents = [encode(pixels) for pixels in galaxies.values()]
    for i, rows in enumerate((slice(None, half), slice(half, None))):
        table = folder / f"train-{i}.parquet"
        ids = list(galaxies)[rows]
        uris += write_packed(table, contents[rows], kind, 4, id_str=ids)
    return [uri.removeprefix(f"{folder}/") for uri in uris]


WAYS: dict[str, Callable[[Path, dict[str, np.ndarray]], list[str]]] = {
    "jpeg": lambda folder, galaxies: write_files(folder, galaxies, as_jpeg, "jpg"),
    "png": lambda folder, galaxies: write_files(folder, galaxies, png_bytes, "png"),
    "bands": lambda folder, galaxies: write_bands(folder, galaxies, "{r,z,g}"),
    "bands blue to red": lambda folder, galaxies: write_bands(folder, galaxies, "{g,r,z}"),
    "cube": write_cubes,
    "packed jpeg": lambda folder, galaxies: write_tables(folder, galaxies, as_jpeg),
    "packed png": lambda folder, galaxies: write_tables(folder, galaxies, png_bytes),
    "packed binary png": lambda folder, galaxies: write_tables(
        folder, galaxies, png_bytes, "binary"
    ),
}


def store(way: str, folder: Path, galaxies: dict[str, np.ndarray]) -> None:
    """Images and their manifest."""
    folder.mkdir()
    uris = WAYS[way](folder, galaxies)
    rows = pd.DataFrame({"id_str": list(galaxies), "image_uri": uris})
    rows.to_csv(folder / "manifest.csv", index=False)


def cut_out_all(manifest: str, folder: Path) -> CutoutCollection:
    """From a manifest to cutouts, in order of id."""
    rows = read_manifest(manifest, INGEST)
    version = version_survey(rows.galaxies, INGEST, None, folder / "version")
    shards = []
    for i, digest in enumerate(version.chunks):
        cut_out_chunk(version.read_chunk(digest), CONFIG, folder / f"shard-{i}")
        shards.append(CutoutShard.open(folder / f"shard-{i}", verify=True))
    return CutoutCollection(shards, version.alive)


def pixels_by_id(cutouts: CutoutCollection) -> dict[str, np.ndarray]:
    images = cutouts.read(np.arange(len(cutouts)))
    return dict(zip(cutouts.id_strs.tolist(), images, strict=True))


@pytest.fixture(scope="module")
def of_png(
    galaxies: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("png")
    store("png", folder / "in", galaxies)
    return pixels_by_id(cut_out_all(f"{folder}/in/manifest.csv", folder))


def check_same(
    way: str, of_png: dict[str, np.ndarray], pixels: dict[str, np.ndarray], is_lossy: bool
) -> None:
    """Equal ids, and equal pixels; JPEG of quality 92 halves the resolution of colour, so that
    noisy pixels are within 48 levels of 255 anywhere and within 6 on average."""
    assert set(pixels) == set(of_png)
    for name, image in pixels.items():
        difference = np.abs(image.astype(int) - of_png[name])
        assert difference.max() <= (48 if is_lossy else 0), way
        assert difference.mean() <= 6


@pytest.mark.parametrize("way", [*LOSSY, *LOSSLESS])
def test_same_galaxies__any_way_to_store_them_gives_the_same_cutouts(
    way: str, galaxies: dict[str, np.ndarray], of_png: dict[str, np.ndarray], tmp_path: Path
) -> None:
    store(way, tmp_path / "in", galaxies)
    pixels = pixels_by_id(cut_out_all(f"{tmp_path}/in/manifest.csv", tmp_path))
    assert len(pixels) == N_GALAXIES
    check_same(way, of_png, pixels, way in LOSSY)


@pytest.mark.parametrize("way", ["jpeg", "bands", "packed png"])
def test_same_galaxies__on_an_object_store_too(
    way: str,
    galaxies: dict[str, np.ndarray],
    of_png: dict[str, np.ndarray],
    tmp_path: Path,
    bucket: str,
) -> None:
    store(way, tmp_path / "in", galaxies)
    put_folder(bucket, tmp_path / "in")
    (tmp_path / "disk").mkdir()
    remote = cut_out_all(f"{bucket}/manifest.csv", tmp_path)
    local = cut_out_all(f"{tmp_path}/in/manifest.csv", tmp_path / "disk")
    check_same(way, of_png, pixels_by_id(remote), way in LOSSY)
    assert [shard.digest for shard in remote.shards] == [shard.digest for shard in local.shards]


def test_same_galaxies__packed_files_keep_their_fingerprints(
    galaxies: dict[str, np.ndarray], tmp_path: Path
) -> None:
    alive = {}
    for way in ("png", "packed png", "packed binary png", "jpeg", "packed jpeg", "cube"):
        store(way, tmp_path / way, galaxies)
        rows = read_manifest(f"{tmp_path}/{way}/manifest.csv", INGEST)
        version = version_survey(rows.galaxies, INGEST, None, tmp_path / f"{way} version")
        alive[way] = version.alive
    assert alive["png"] == alive["packed png"] == alive["packed binary png"]
    assert alive["jpeg"] == alive["packed jpeg"]
    marks = [mark for way in ("png", "jpeg", "cube") for mark in alive[way].values()]
    assert len(set(marks)) == 3 * N_GALAXIES


def test_same_galaxies__an_id_in_two_files_is_taken_once(
    galaxies: dict[str, np.ndarray], tmp_path: Path
) -> None:
    store("packed png", tmp_path / "in", galaxies)
    manifest = tmp_path / "in" / "manifest.csv"
    name = next(iter(galaxies))
    with manifest.open("a") as file:
        file.write(f"{name},train-1.parquet#image/0\n")
    rows = read_manifest(str(manifest), IngestConfig(max_reject_rate=0.2))
    assert rows.rejects[["id_str", "reason"]].to_numpy().tolist() == [[name, "duplicate"]]
    places = rows.galaxies.set_index("id_str")["image_uri"]
    assert places[name] == f"{tmp_path}/in/train-0.parquet#image/0"


def test_same_galaxies__tables_of_images_are_their_own_manifest(
    galaxies: dict[str, np.ndarray], of_png: dict[str, np.ndarray], tmp_path: Path, bucket: str
) -> None:
    store("packed png", tmp_path / "in", galaxies)
    put_folder(bucket, tmp_path / "in")
    for i, place in enumerate((f"{tmp_path}/in", bucket)):
        (tmp_path / str(i)).mkdir()
        cutouts = cut_out_all(f"{place}/train-*.parquet", tmp_path / str(i))
        check_same("tables", of_png, pixels_by_id(cutouts), is_lossy=False)
