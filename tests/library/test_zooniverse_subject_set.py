"""Subject sets hold what Zooniverse takes, and say of each picture what it is of."""

import csv
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.errors import ConfigError, StorageError, SubjectSetError
from galaxyloop.image_files import ImagePart
from galaxyloop.shards import CutoutCollection
from galaxyloop.surveys.fingerprints import content_fingerprint
from galaxyloop.zooniverse.config import SubjectSetConfig
from galaxyloop.zooniverse.pictures import MAX_BYTES, Picture, encode_jpeg, read_pictures
from galaxyloop.zooniverse.subject_set import (
    SubjectSetSummary,
    check_subject_set,
    write_subject_set,
)
from tests.library.shard_files import random_images, write_shard

HOW = CutoutConfig(image_size_px=16, centre_fraction=0.5)


def subjects(n_galaxies: int) -> pd.DataFrame:
    """Galaxies g0, g1 ... as they are chosen; the position of g1 is not known."""
    rows = np.arange(n_galaxies)
    return pd.DataFrame(
        {
            "rank": rows + 1,
            "id_str": [f"g{i}" for i in rows],
            "ra_deg": np.where(rows == 1, np.nan, 10.25 + rows),
            "dec_deg": np.where(rows == 1, np.nan, -1.5),
            "information_nats": 0.5 / (1 + rows),
            "most_informative_question": "bar-gz2",
            "n_votes": rows,
            "votes_wanted": 40 - rows,
        }
    )


def originals(folder: Path, n_galaxies: int) -> pd.DataFrame:
    """Images of 80 px as PNG, with their fingerprints."""
    images = random_images(n_galaxies, 80)
    paths = [folder / f"{i}.png" for i in range(n_galaxies)]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image)
    digests = [content_fingerprint([ImagePart("", path.read_bytes())], 10**6) for path in paths]
    names = [f"g{i}" for i in range(n_galaxies)]
    uris = list(map(str, paths))
    return pd.DataFrame({"id_str": names, "image_uri": uris, "image_digest": digests})


def cutouts(folder: Path, n_galaxies: int) -> CutoutCollection:
    return CutoutCollection([write_shard(folder / "shard", random_images(n_galaxies, 16, seed=1))])


def written(
    folder: Path, n_galaxies: int = 3, **settings: object
) -> tuple[SubjectSetSummary, list[dict[str, str]]]:
    """A subject set of galaxies whose images are there, and its manifest."""
    config = SubjectSetConfig.from_dict({"image_size_px": 64, **settings})
    galaxies = originals(folder, n_galaxies)
    pictures = read_pictures(galaxies, cutouts(folder, n_galaxies), HOW, config)
    told = write_subject_set(subjects(n_galaxies), pictures, config, "gz/7", folder / "set")
    with (folder / "set" / "manifest.csv").open(newline="") as file:
        return told, list(csv.DictReader(file))


def test_write_subject_set__writes_a_row_a_galaxy_without_blanks(tmp_path: Path) -> None:
    told, rows = written(tmp_path)
    assert rows[0] == {
        "file": rows[0]["file"],
        "#id_str": "g0",
        "!ra": "10.25",
        "!dec": "-1.5",
        "#galaxyloop_model": "gz/7",
        "#rank": "1",
        "#information_nats": "0.5",
        "#most_informative_question": "bar-gz2",
        "#votes_before": "0",
        "#retirement_limit": "40",
        "#image": "original",
    }
    assert (rows[1]["!ra"], rows[1]["!dec"], rows[1]["#votes_before"]) == ("-999", "-999", "1")
    assert not any(value in ("", "nan") for row in rows for value in row.values())
    assert "g0" not in rows[0]["file"]
    assert (told.n_subjects, told.n_originals, told.n_cutouts) == (3, 3, 0)
    files = {path.name for path in (tmp_path / "set").iterdir()}
    assert files == {"manifest.csv", "README.md", *(row["file"] for row in rows)}


def test_write_subject_set__shows_the_centre_of_the_original_as_the_model_sees_it(
    tmp_path: Path,
) -> None:
    _, rows = written(tmp_path, image_size_px=40, jpeg_quality=100)
    seen, original = (
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        for path in (tmp_path / "set" / rows[2]["file"], tmp_path / "2.png")
    )
    assert seen is not None
    assert original is not None
    # Half the side around the centre, 40 of 80 px, so that nothing is resampled.
    assert np.abs(seen.astype(float) - original[20:60, 20:60]).mean() < 2
    assert np.abs(seen.astype(float) - original[21:61, 20:60]).mean() > 4


def test_read_pictures__falls_back_on_cutouts_and_says_why(tmp_path: Path) -> None:
    galaxies = originals(tmp_path, 4)
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").write_bytes((tmp_path / "2.png").read_bytes())
    (tmp_path / "3.png").write_text("<html>")
    galaxies.loc[3, "image_digest"] = "uri:3"
    config = SubjectSetConfig(image_size_px=32)
    small = cutouts(tmp_path, 4)
    pictures = list(read_pictures(galaxies, small, HOW, config))
    assert [one.origin for one in pictures] == ["cutout", "cutout", "original", "cutout"]
    assert [one.image.shape for one in pictures] == [(32, 32, 3)] * 4
    assert "cannot be read" in pictures[0].why
    assert "changed" in pictures[1].why
    assert pictures[2].why == ""
    enlarged = cv2.resize(small.read(np.array([0]))[0], (32, 32), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(pictures[0].image, enlarged)
    told = write_subject_set(subjects(4), pictures, config, "gz/7", tmp_path / "set")
    assert (told.n_originals, told.n_cutouts) == (1, 3)
    assert sum(told.why_cutouts.values()) == 3
    readme = (tmp_path / "set" / "README.md").read_text()
    assert "1 pictures are of the survey's original images, 3 are the model's cutouts" in readme


def test_read_pictures__takes_cutouts_if_asked_to(tmp_path: Path) -> None:
    told, rows = written(tmp_path, images="cutout")
    assert (told.n_cutouts, told.why_cutouts) == (3, {})
    assert {row["#image"] for row in rows} == {"cutout"}


def test_read_pictures__refuses_galaxies_without_cutouts(tmp_path: Path) -> None:
    galaxies = originals(tmp_path, 3)
    pictures = read_pictures(galaxies, cutouts(tmp_path, 2), HOW, SubjectSetConfig())
    with pytest.raises(SubjectSetError, match="1 of 3 galaxies have no cutout, the first 'g2'"):
        next(pictures)


def test_encode_jpeg__lowers_the_quality_until_zooniverse_takes_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    at_full = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    assert len(at_full) > MAX_BYTES
    assert len(encode_jpeg(noise, 100)) < MAX_BYTES
    huge = np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), dtype=np.uint8)
    with pytest.raises(SubjectSetError, match="2048 px has .* bytes at quality 50.*image_size_px"):
        encode_jpeg(huge, 100)


def test_write_subject_set__tells_how_to_upload_it(tmp_path: Path) -> None:
    written(tmp_path, name="Odd spirals")
    readme = (tmp_path / "set" / "README.md").read_text()
    assert "panoptes subject-set create PROJECT_ID 'Odd spirals'" in readme
    assert "upload-subjects --file-column 1 SUBJECT_SET_ID manifest.csv" in readme
    assert "`#retirement_limit`" in readme
    assert "unless it was allowed more" not in readme


@pytest.mark.parametrize("name", ["$HOME `date` $(date)", 'Bob\'s "odd" ones; true', "a\\nb!"])
def test_write_subject_set__hands_the_name_to_a_shell_as_it_is(tmp_path: Path, name: str) -> None:
    written(tmp_path, name=name)
    lines = (tmp_path / "set" / "README.md").read_text().splitlines()
    line = next(line for line in lines if line.startswith("panoptes subject-set create"))
    printed = subprocess.run(
        ["sh", "-c", line.replace("panoptes subject-set create PROJECT_ID", "printf %s")],
        capture_output=True,
        check=True,
        text=True,
    )
    assert printed.stdout == name


def test_write_subject_set__warns_of_the_usual_quota(tmp_path: Path) -> None:
    images = iter([Picture(random_images(1)[0], "cutout")] * 101)
    write_subject_set(subjects(101), images, SubjectSetConfig(), "gz/7", tmp_path / "set")
    assert "may upload 100 subjects" in (tmp_path / "set" / "README.md").read_text()


def test_write_subject_set__leaves_nothing_if_it_fails(tmp_path: Path) -> None:
    def pictures() -> Iterator[Picture]:
        yield Picture(random_images(1)[0], "cutout")
        raise StorageError("the network is away")

    with pytest.raises(StorageError, match="the network is away"):
        write_subject_set(subjects(2), pictures(), SubjectSetConfig(), "gz/7", tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_write_subject_set__refuses_no_galaxies_and_a_full_folder(tmp_path: Path) -> None:
    with pytest.raises(SubjectSetError, match="needs at least one galaxy, got none"):
        write_subject_set(subjects(0), [], SubjectSetConfig(), "gz/7", tmp_path / "set")
    written(tmp_path)
    images = [Picture(random_images(1)[0], "cutout")]
    with pytest.raises(StorageError, match="exists already"):
        write_subject_set(subjects(1), images, SubjectSetConfig(), "gz/7", tmp_path / "set")


def first_picture(folder: Path) -> Path:
    return min(folder.glob("*.jpg"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "manifest.csv").unlink(), "holds no manifest.csv"),
        (lambda folder: first_picture(folder).unlink(), "is in the manifest, but not there"),
        (lambda folder: first_picture(folder).write_bytes(b""), "got 0 bytes"),
        (
            lambda folder: first_picture(folder).write_bytes(b"\xff\xd8\xff" + bytes(MAX_BYTES)),
            "must be a JPEG of fewer than 1000000 bytes, got 1000003",
        ),
        (lambda folder: first_picture(folder).write_bytes(b"GIF89a"), "begin with b'GIF8'"),
    ],
)
def test_check_subject_set__refuses_what_the_upload_would_refuse(
    spoil: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    written(tmp_path)
    spoil(tmp_path / "set")
    with pytest.raises(SubjectSetError, match=message):
        check_subject_set(tmp_path / "set")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gz/7", "", "line 2: '#galaxyloop_model' is ''"),
        ("-1.5", "NaN", "line 2: '!dec' is 'NaN'; give every cell a value, -999"),
        ("g1", "g0", "2 rows with #id_str 'g0'"),
    ],
)
def test_check_subject_set__refuses_manifests_that_would_be_spoilt(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    written(tmp_path)
    manifest = tmp_path / "set" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(f",{old},", f",{new},"))
    with pytest.raises(SubjectSetError, match=message):
        check_subject_set(tmp_path / "set")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": " "}, "name must be a name .*, got ' '"),
        ({"name": "Round\n2"}, r"name must be a name without line ends .*, got 'Round\\n2'"),
        ({"name": "Round\x1b2"}, r"name must be a name without .*, got 'Round\\x1b2'"),
        ({"image_size_px": 4096}, r"image_size_px must be in \[32, 2048\], got 4096"),
        ({"images": "sketch"}, "images must be one of original, cutout, got 'sketch'"),
        ({"jpeg_quality": 20}, r"jpeg_quality must be in \[50, 100\], got 20"),
        ({"n_readers": 0}, "n_readers must be >= 1, got 0"),
    ],
)
def test_subject_set_config__refuses_values_out_of_range(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        SubjectSetConfig.from_dict(settings)
