"""Surveys whose images lie in packed tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.file_server import FileServer, serving
from galaxyloop.cutout_checks import check_rejects
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.errors import StorageError, TooManyRejectsError
from galaxyloop.images import ColourConfig
from galaxyloop.shards import CutoutShard
from galaxyloop.surveys import IngestConfig, SurveyVersion, version_survey
from tests.library.fits_files import cube_bytes, galaxy_planes
from tests.library.image_files import (
    chunk_of,
    galaxy_pixels,
    good_files,
    png_bytes,
    write_chunk,
    write_packed,
)

SMALL = CutoutConfig(image_size_px=16)
BY_URI = IngestConfig(fingerprint="uri", chunk_size=30)


def galaxies_at(uris: list[str], ids: list[str] | None = None) -> pd.DataFrame:
    """Galaxies all over the sky, in the order of their locations."""
    generator = np.random.default_rng(len(uris))
    ids = ids or [f"g{i:04}" for i in generator.permutation(len(uris))]
    galaxies = pd.DataFrame({"id_str": ids, "image_uri": uris, "survey": "s", "group_id": ids})
    galaxies["ra_deg"] = generator.uniform(0, 360, len(uris))
    galaxies["dec_deg"] = generator.uniform(-90, 90, len(uris))
    return galaxies


def cells(table: str, n_rows: int) -> list[str]:
    return [f"/d/{table}.parquet#image/{row}" for row in range(n_rows)]


def chunk_places(version: SurveyVersion) -> list[list[str]]:
    return [version.read_chunk(digest)["image_uri"].tolist() for digest in version.chunks]


# Chunks


def test_version_survey__a_chunk_is_a_run_of_a_table(tmp_path: Path) -> None:
    uris = cells("t-0", 101) + cells("t-1", 60)
    order = np.random.default_rng(0).permutation(len(uris))
    version = version_survey(
        galaxies_at([uris[i] for i in order]), BY_URI, None, tmp_path / "version"
    )
    assert [uri for chunk in chunk_places(version) for uri in chunk] == uris
    assert {len(chunk) for chunk in chunk_places(version)} == {26, 27}


def test_version_survey__files_keep_their_order_beside_packed_images(tmp_path: Path) -> None:
    files = [f"/d/{i:02}.jpg" for i in range(40)]
    alone = version_survey(galaxies_at(files), BY_URI, None, tmp_path / "alone")
    both = pd.concat(
        [galaxies_at(cells("t", 20), [f"p{i}" for i in range(20)]), galaxies_at(files)]
    )
    version = version_survey(both.reset_index(drop=True), BY_URI, None, tmp_path / "both")
    places = [uri for chunk in chunk_places(version) for uri in chunk]
    assert places[:40] == [uri for chunk in chunk_places(alone) for uri in chunk]
    assert places[40:] == cells("t", 20)


@pytest.mark.parametrize("how", ["another table", "more rows"])
def test_version_survey__one_percent_more_touches_no_chunk(tmp_path: Path, how: str) -> None:
    uris = cells("t", 500)
    more = cells("a", 5) if how == "another table" else cells("t", 505)[500:]
    ids = [f"g{i:04}" for i in np.random.default_rng(0).permutation(505)]
    first = version_survey(galaxies_at(uris, ids[:500]), BY_URI, None, tmp_path / "v1")
    grown = galaxies_at(uris + more, ids)
    second = version_survey(grown, BY_URI, first, tmp_path / "v2")
    assert second.chunks[:-1] == first.chunks
    assert chunk_places(second)[-1] == more
    assert (second.n_added, second.n_changed) == (5, 0)


def test_version_survey__images_that_move_into_a_table_are_the_same(tmp_path: Path) -> None:
    files = good_files(12)
    chunk = write_chunk(tmp_path / "in", files)
    first = version_survey(chunk, IngestConfig(), None, tmp_path / "v1")
    packed = write_packed(tmp_path / "t.parquet", list(files.values()), rows_a_group=5)
    second = version_survey(chunk.assign(image_uri=packed), IngestConfig(), first, tmp_path / "v2")
    assert second.digest == first.digest
    assert set(chunk_places(second)[0]) == set(packed)


# Groups


def test_version_survey__groups_what_is_near_on_the_sky(tmp_path: Path) -> None:
    galaxies = galaxies_at([f"/d/{i}.jpg" for i in range(4)], list("abcd"))
    galaxies["ra_deg"], galaxies["dec_deg"] = [10.0, 10.0001, 50.0, 90.0], 0.0
    near = IngestConfig(fingerprint="uri", group_radius_arcsec=1.0)
    apart = version_survey(galaxies, BY_URI, None, tmp_path / "apart")
    first = version_survey(galaxies, near, None, tmp_path / "v1")
    assert apart.galaxies["group_id"].tolist() == list("abcd")
    assert first.galaxies["group_id"].tolist() == ["a", "a", "c", "d"]
    assert first.chunks == apart.chunks
    newcomer = galaxies_at(["/d/4.jpg"], ["A"]).assign(ra_deg=50.0, dec_deg=0.0)
    more = pd.concat([galaxies, newcomer], ignore_index=True)
    second = version_survey(more, near, first, tmp_path / "v2")
    groups = second.galaxies.set_index("id_str")["group_id"].to_dict()
    assert groups == {"a": "a", "b": "a", "c": "c", "d": "d", "A": "c"}


# Cutting out


@pytest.mark.parametrize("n_readers", [1, 4])
def test_cut_out_chunk__a_packed_chunk_gives_the_shard_of_its_files(
    tmp_path: Path, n_readers: int
) -> None:
    files = good_files(40) | {"page": b"<html>", "empty": b""}
    chunk = write_chunk(tmp_path / "in", files)
    packed = write_packed(tmp_path / "t.parquet", list(files.values()), rows_a_group=7)
    of_files = cut_out_chunk(chunk, SMALL, tmp_path / "files")
    in_table = chunk.assign(image_uri=packed)
    assert cut_out_chunk(in_table, SMALL, tmp_path / "table", n_readers).digest == of_files.digest
    order = np.random.default_rng(0).permutation(len(chunk))
    cut_out_chunk(in_table.iloc[order], SMALL, tmp_path / "shuffled", n_readers)
    cut_out_chunk(chunk.iloc[order], SMALL, tmp_path / "files-shuffled")
    shards = [CutoutShard.open(tmp_path / name) for name in ("shuffled", "files-shuffled")]
    assert shards[0].digest == shards[1].digest


def test_cut_out_chunk__reads_a_remote_table_in_few_requests(tmp_path: Path) -> None:
    files = good_files(60)
    write_packed(tmp_path / "t.parquet", list(files.values()))
    with serving(FileServer(tmp_path)) as server:
        uris = [f"{server.url}/t.parquet#image/{row}" for row in range(60)]
        chunk = chunk_of(list(files), uris)
        assert server.n_gets <= 3
        server.forget()
        assert cut_out_chunk(chunk, SMALL, tmp_path / "shard").n_galaxies == 60
        assert server.n_gets <= 3


@pytest.mark.parametrize("fingerprint", ["content", "stat", "uri"])
def test_cut_out_chunk__rejects_what_a_table_lacks_with_the_reason(
    tmp_path: Path, fingerprint: str
) -> None:
    contents = [png_bytes(galaxy_pixels(i)) for i in range(3)]
    uris = write_packed(tmp_path / "t.parquet", [*contents, None])
    uris += [f"{tmp_path}/t.parquet#{cell}" for cell in ("image/4", "other/0")]
    uris += [f"{tmp_path}/J1_{{g,g}}.fits", f"{tmp_path}/J1_{{g,r}}.fits"]
    (tmp_path / "J1_g.fits").write_bytes(cube_bytes(galaxy_planes(1)[0]))
    chunk = chunk_of(list("abcdefgh"), uris, fingerprint)
    cut_out_chunk(chunk, SMALL, tmp_path / "shard")
    rejects = CutoutShard.open(tmp_path / "shard", verify=True).rejects
    assert dict(zip(rejects["id_str"], rejects["reason"], strict=True)) == {
        "d": "a null image cell",
        "e": "no such row in the table",
        "f": "no such column in the table",
        "g": "a location with wrong braces",
        "h": "missing in a band",
    }
    assert "J1_r.fits" in rejects["value"].iloc[-1]
    alive = dict(zip(chunk["id_str"], chunk["image_digest"], strict=True))
    shards = [CutoutShard.open(tmp_path / "shard")]
    with pytest.raises(TooManyRejectsError, match=r"5 of 8 images .*1 x a null image cell"):
        check_rejects([(alive, shards)], 0.5)


@pytest.mark.parametrize("fingerprint", ["content", "stat"])
@pytest.mark.parametrize("event", ["another image", "null", "fewer rows", "gone"])
def test_cut_out_chunk__stops_where_a_table_is_no_more_what_was_seen(
    tmp_path: Path, fingerprint: str, event: str
) -> None:
    contents: list[bytes | None] = [png_bytes(galaxy_pixels(i)) for i in range(4)]
    uris = write_packed(tmp_path / "t.parquet", contents)
    chunk = chunk_of(list("abcd"), uris, fingerprint)
    if event == "gone":
        (tmp_path / "t.parquet").unlink()
    else:
        contents[3] = None if event == "null" else png_bytes(galaxy_pixels(9))
        write_packed(tmp_path / "t.parquet", contents[:3] if event == "fewer rows" else contents)
    with pytest.raises(StorageError, match=r"t.parquet#image/\d .* since the manifest was read"):
        cut_out_chunk(chunk, SMALL, tmp_path / "shard")


def test_cut_out_chunk__bands_are_mixed_as_the_colour_config_says(tmp_path: Path) -> None:
    planes = galaxy_planes(3)
    (tmp_path / "cube.fits").write_bytes(cube_bytes(planes))
    for band, plane in zip("grz", planes, strict=True):
        (tmp_path / f"J1_{band}.fits").write_bytes(cube_bytes(plane))
    uris = [f"{tmp_path}/{name}.fits" for name in ("cube", "J1_{g,r,z}", "J1_{z,g,r}")]
    chunk = chunk_of(list("abc"), uris)
    assert len(set(chunk["image_digest"])) == 3
    digests = []
    for preset in ("auto", "lupton"):
        config = CutoutConfig(image_size_px=16, colour=ColourConfig(preset=preset))
        digests.append(cut_out_chunk(chunk, config, tmp_path / preset).digest)
        images = CutoutShard.open(tmp_path / preset).images
        np.testing.assert_array_equal(images[0], images[1])
        np.testing.assert_array_equal(images[0], images[2])
    assert digests[0] != digests[1]


def test_cutout_config__a_file_without_colour_still_loads(tmp_path: Path) -> None:
    (tmp_path / "cutouts.yaml").write_text("image_size_px: 16\ncentre_fraction: 0.5\n")
    config = CutoutConfig.from_yaml(tmp_path / "cutouts.yaml")
    assert config == CutoutConfig(image_size_px=16, centre_fraction=0.5)
    assert CutoutConfig.from_json(config.to_json()) == config
    summary = cut_out_chunk(write_chunk(tmp_path / "in", good_files(2)), config, tmp_path / "s")
    assert CutoutConfig.from_dict(summary.config) == config
