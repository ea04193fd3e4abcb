"""The simulated survey on disk: tables that fit together, the same bytes, broken inputs."""

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.errors import UnknownNameError
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies, write_survey

SMALL = SimulationConfig(n_galaxies=60, image_size_px=32, seed=3)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_survey(SMALL, tmp_path_factory.mktemp("survey") / "simulated", progress=False)


def digests_of(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_write_survey__tables_fit_together(written: Path) -> None:
    manifest = pd.read_csv(written / "manifest.csv", dtype=str)
    votes = pd.read_csv(written / "votes.csv", dtype=str)
    truth = pd.read_parquet(written / "truth.parquet")
    broken = pd.read_csv(written / "broken.csv", dtype=str)
    tree = find_campaign("gz2").tree
    assert len(manifest) == 60 + 4 + 3
    assert manifest["id_str"].is_unique
    assert list(votes.columns) == ["id_str", *tree.columns]
    assert set(votes["id_str"]) < set(manifest["id_str"])
    assert list(truth["id_str"]) == list(manifest["id_str"])
    assert {f"{column}_fraction" for column in tree.columns} < set(truth.columns)
    assert set(broken["id_str"]) < set(manifest["id_str"])
    assert list(broken["table"]) == ["manifest.csv"] * 4 + ["votes.csv"] * 3


def test_write_survey__sound_images_hold_what_was_simulated(written: Path) -> None:
    survey = simulate_galaxies(SMALL)
    manifest = pd.read_csv(written / "manifest.csv", dtype=str)[: SMALL.n_galaxies]
    assert manifest["image_uri"].str.endswith(".png").sum() == 2
    for place, uri in enumerate(manifest["image_uri"]):
        image = cv2.imread(str(written / uri))[..., ::-1].astype(int)
        difference = np.abs(image - survey.images[place].astype(int)).mean()
        assert difference == 0 if uri.endswith(".png") else difference < 8


def test_write_survey__sound_rows_hold_the_votes(written: Path) -> None:
    survey = simulate_galaxies(SMALL)
    votes = pd.read_csv(written / "votes.csv", dtype=str).set_index("id_str")
    labelled = survey.galaxies["is_labelled"].to_numpy()
    sound = votes.loc[survey.galaxies["id_str"][labelled]].astype(int).to_numpy()
    np.testing.assert_array_equal(sound, survey.votes[labelled])


def test_write_survey__broken_inputs_are_broken(written: Path) -> None:
    broken = pd.read_csv(written / "broken.csv", dtype=str).set_index("reason")["id_str"]
    paths = {reason: written / "images" / f"{id_str}.jpg" for reason, id_str in broken.items()}
    assert not paths["missing"].exists()
    assert cv2.imread(str(paths["blank"])).max() == 0
    assert paths["not an image"].read_text().startswith("<html>")
    assert not paths["truncated"].read_bytes().endswith(b"\xff\xd9")
    first = pd.read_csv(written / "votes.csv", dtype=str).set_index("id_str").iloc[:, 0]
    assert first[broken["negative count"]] == "-3"
    assert pd.isna(first[broken["empty count"]])
    assert first[broken["fractional count"]] == "7.5"


def test_write_survey__same_config_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    again = write_survey(SMALL, tmp_path / "again", progress=False)
    assert digests_of(again) == digests_of(written)


def test_write_survey__grown_survey_keeps_its_old_files(written: Path, tmp_path: Path) -> None:
    grown = dataclasses.replace(SMALL, n_galaxies=70)
    new = digests_of(write_survey(grown, tmp_path / "grown", progress=False))
    old = digests_of(written)
    assert {p: d for p, d in old.items() if p.startswith("images/")}.items() <= new.items()


def test_write_survey__replaces_only_a_simulated_survey(tmp_path: Path) -> None:
    tiny = dataclasses.replace(SMALL, n_galaxies=2)
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match="holds no simulated survey"):
        write_survey(tiny, tmp_path, progress=False)
    write_survey(tiny, tmp_path / "new", progress=False)
    write_survey(dataclasses.replace(tiny, seed=9), tmp_path / "new", progress=False)
    manifest = pd.read_csv(tmp_path / "new" / "manifest.csv", dtype=str)
    assert manifest["id_str"].str.startswith("5877000009").all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "thesis.tex"]


def test_write_survey__refuses_an_unknown_campaign(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, campaign="gz3")
    with pytest.raises(UnknownNameError, match="gz3"):
        write_survey(config, tmp_path / "new", progress=False)
    assert list(tmp_path.iterdir()) == []
