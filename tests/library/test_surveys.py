"""Fingerprints and survey versions."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyloop.errors import ManifestError, StorageError
from galaxyloop.surveys import (
    IngestConfig,
    SurveyVersion,
    fingerprint_images,
    version_survey,
)

CONTENT = IngestConfig(chunk_size=4)


def write_files(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content)


def galaxies_of(folder: Path, ids: list[str], ra: float = np.nan) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id_str": ids,
            "image_uri": [str(folder / f"{name}.jpg") for name in ids],
            "ra_deg": [ra + i for i in range(len(ids))],
            "dec_deg": [ra / 10 for _ in ids],
            "survey": "s",
            "group_id": ids,
        }
    )


def grow(
    folder: Path, contents: dict[str, bytes], previous: SurveyVersion | None, to: Path
) -> SurveyVersion:
    write_files(folder, contents)
    return version_survey(galaxies_of(folder, sorted(contents)), CONTENT, previous, to)


def test_fingerprint_images__content_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"one", "b": b"two"})
    uris = [str(tmp_path / f"{name}.jpg") for name in ("a", "b", "absent")]
    expected = ["sha256:" + hashlib.sha256(c).hexdigest() for c in (b"one", b"two")]
    assert fingerprint_images(uris, IngestConfig()) == [*expected, ""]
    assert fingerprint_images(uris, IngestConfig(max_image_bytes=2)) == ["", "", ""]


def test_fingerprint_images__stat_sees_a_change_and_uri_does_not(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"one"})
    uris = [str(tmp_path / "a.jpg")]
    kinds = [IngestConfig(fingerprint=kind) for kind in ("stat", "uri")]
    before = [fingerprint_images(uris, kind) for kind in kinds]
    write_files(tmp_path, {"a": b"longer"})
    after = [fingerprint_images(uris, kind) for kind in kinds]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_version_survey__one_changed_galaxy_makes_one_new_chunk(tmp_path: Path) -> None:
    contents = {f"g{i:02}": b"%d" % i for i in range(10)}
    first = grow(tmp_path / "a", contents, None, tmp_path / "v1")
    assert [len(first.read_chunk(c)) for c in first.chunks] == [4, 3, 3]
    contents |= {"g03": b"new", "g77": b"77"}
    del contents["g05"]
    second = grow(tmp_path / "a", contents, first, tmp_path / "v2")
    assert (second.n_added, second.n_changed, second.n_removed) == (1, 1, 1)
    assert second.n_galaxies == 10
    assert second.chunks[:3] == first.chunks
    assert second.read_chunk(second.chunks[3])["id_str"].tolist() == ["g03", "g77"]
    assert second.previous == first.digest
    assert second.alive["g03"] != first.alive["g03"]
    assert "g05" not in second.alive
    assert second.galaxies.set_index("id_str")["chunk"]["g03"] == 3


def test_version_survey__moved_images_change_locations_and_no_digest(tmp_path: Path) -> None:
    contents = {f"g{i:02}": b"%d" % i for i in range(6)}
    here = grow(tmp_path / "here", contents, None, tmp_path / "v1")
    there = grow(tmp_path / "there", contents, here, tmp_path / "v2")
    alone = grow(tmp_path / "there", contents, None, tmp_path / "v3")
    assert (there.n_added, there.n_changed, there.n_removed) == (0, 0, 0)
    assert here.chunks == there.chunks == alone.chunks
    assert here.digest == there.digest == alone.digest
    assert str(tmp_path / "there") in there.read_chunk(there.chunks[0])["image_uri"][0]


def test_version_survey__keeps_dead_rows_in_a_chunk_and_drops_a_chunk_of_them(
    tmp_path: Path,
) -> None:
    contents = {f"g{i}": b"%d" % i for i in range(8)}
    first = grow(tmp_path / "a", contents, None, tmp_path / "v1")
    rest = {name: contents[name] for name in ("g0", "g1")}
    second = grow(tmp_path / "a", rest, first, tmp_path / "v2")
    assert second.chunks == first.chunks[:1]
    rows = second.read_chunk(second.chunks[0])
    assert rows["id_str"].tolist() == ["g0", "g1", "g2", "g3"]
    assert rows["is_alive"].tolist() == [True, True, False, False]
    assert first.read_chunk(first.chunks[0])["is_alive"].all()
    assert set(second.alive) == {"g0", "g1"}


def test_version_survey__a_change_taken_back_is_found_in_the_last_chunk(tmp_path: Path) -> None:
    first = grow(tmp_path / "a", {"g0": b"old"}, None, tmp_path / "v1")
    second = grow(tmp_path / "a", {"g0": b"new"}, first, tmp_path / "v2")
    third = grow(tmp_path / "a", {"g0": b"old"}, second, tmp_path / "v3")
    assert third.chunks == first.chunks
    assert third.alive == first.alive
    assert third.digest == first.digest


def test_version_survey__a_corrected_position_changes_the_survey_but_no_chunk(
    tmp_path: Path,
) -> None:
    write_files(tmp_path / "a", {"g0": b"0", "g1": b"1"})
    galaxies = galaxies_of(tmp_path / "a", ["g0", "g1"], ra=10.0)
    first = version_survey(galaxies, CONTENT, None, tmp_path / "v1")
    moved = galaxies.assign(ra_deg=galaxies["ra_deg"] + 100)
    second = version_survey(moved, CONTENT, first, tmp_path / "v2")
    assert second.chunks == first.chunks
    assert second.digest != first.digest
    rows = second.read_chunk(second.chunks[0]).set_index("id_str")
    assert rows["ra_deg"].to_dict() == {"g0": 110.0, "g1": 111.0}
    withdrawn = galaxies.assign(ra_deg=np.nan, dec_deg=np.nan)
    third = version_survey(withdrawn, CONTENT, second, tmp_path / "v3")
    assert third.read_chunk(third.chunks[0])["ra_deg"].isna().all()


def test_version_survey__orders_by_healpix_cell_and_the_unplaced_last_by_id(
    tmp_path: Path,
) -> None:
    from astropy import units
    from astropy_healpix import HEALPix

    generator = np.random.default_rng(1)
    galaxies = pd.DataFrame(
        {
            "id_str": [f"g{i:03}" for i in range(50)],
            "image_uri": [f"/images/{i}.jpg" for i in range(50)],
            "ra_deg": np.where(np.arange(50) % 10 == 0, np.nan, generator.uniform(0, 360, 50)),
            "dec_deg": np.where(np.arange(50) % 10 == 0, np.nan, generator.uniform(-90, 90, 50)),
            "survey": "s",
            "group_id": "g",
        }
    )
    config = IngestConfig(chunk_size=100, fingerprint="uri")
    version = version_survey(galaxies, config, None, tmp_path / "v")
    rows = version.read_chunk(version.chunks[0])
    placed = rows[rows["ra_deg"].notna()]
    cells = HEALPix(nside=2**29, order="nested").lonlat_to_healpix(
        placed["ra_deg"].to_numpy() * units.deg, placed["dec_deg"].to_numpy() * units.deg
    )
    assert placed["healpix_29"].tolist() == sorted(cells)
    assert rows["id_str"].tolist()[-5:] == ["g000", "g010", "g020", "g030", "g040"]


@settings(max_examples=15, deadline=None)
@given(
    states=st.lists(
        st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("123"), max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_version_survey__every_history_ends_with_the_same_galaxies(
    states: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("history")
    config = IngestConfig(chunk_size=3, fingerprint="uri")
    version = None
    for i, state in enumerate(states):
        before = {} if version is None else version.alive
        galaxies = pd.DataFrame(
            {"id_str": sorted(state), "image_uri": [state[g] for g in sorted(state)]}, dtype=str
        ).assign(ra_deg=np.nan, dec_deg=np.nan, survey="s", group_id="g")
        version = version_survey(galaxies, config, version, folder / f"v{i}")
        alone = version_survey(galaxies, config, None, folder / f"alone{i}")
        assert version.alive == alone.alive
        assert version.n_galaxies == len(before) + version.n_added - version.n_removed
        rows = pd.concat([version.read_chunk(c) for c in version.chunks] or [galaxies[:0]])
        last = rows.drop_duplicates("id_str", keep="last").set_index("id_str")
        for name, place in state.items():
            assert last.loc[name, "image_uri"] == place
        assert len(set(version.chunks)) == len(version.chunks)


def test_version_survey__writes_the_same_bytes_again(tmp_path: Path) -> None:
    contents = {f"g{i}": b"%d" % i for i in range(9)}
    for name in ("v1", "v2"):
        grow(tmp_path / "a", contents, None, tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "v1") for p in (tmp_path / "v1").rglob("*.*"))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "v1" / file).read_bytes() == (tmp_path / "v2" / file).read_bytes()


def test_version_survey__refuses_to_overwrite_and_leaves_no_draft(tmp_path: Path) -> None:
    grow(tmp_path / "a", {"g": b"1"}, None, tmp_path / "out" / "v1")
    with pytest.raises(StorageError, match="v1 exists already"):
        grow(tmp_path / "a", {"g": b"1"}, None, tmp_path / "out" / "v1")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["v1"]


def test_survey_version_open__refuses_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no survey version"):
        SurveyVersion.open(tmp_path)
    (tmp_path / "survey.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ManifestError, match="another format"):
        SurveyVersion.open(tmp_path)
    (tmp_path / "survey.json").write_text("[]")
    with pytest.raises(ManifestError, match="holds no survey version"):
        SurveyVersion.open(tmp_path)
    with pytest.raises(ManifestError, match="survey.json holds no .*/survey-version/DIGEST"):
        SurveyVersion.open(tmp_path / "survey.json")
