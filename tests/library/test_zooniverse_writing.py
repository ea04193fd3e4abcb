"""A selection as a person gets it: every file is there, and the page says why."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.shards import CutoutCollection
from galaxyloop.zooniverse.config import SubjectSetConfig
from galaxyloop.zooniverse.page import draw_gallery, render_page
from galaxyloop.zooniverse.selection import select_galaxies
from galaxyloop.zooniverse.writing import Origin, SurveyImages, say_selection, write_selection
from tests.library.selection_sources import INFORMATION, TREE, rules, sources, survey
from tests.library.shard_files import random_images, write_shard


def images(folder: Path) -> SurveyImages:
    names = list(INFORMATION)
    cutouts = CutoutCollection([write_shard(folder / "shard", random_images(6), names)])
    return SurveyImages(survey(), cutouts, CutoutConfig(image_size_px=16))


def test_write_selection__leaves_what_it_says(tmp_path: Path) -> None:
    votes = {"g1": 40, "g2": 12, "stranger": 40}
    selected = select_galaxies(sources(tmp_path, votes), rules())
    folder, origin = tmp_path / "out", Origin({"model": "toy/3", "survey_digest": "5" * 64})
    folder.mkdir()
    config = SubjectSetConfig(image_size_px=32)
    told = write_selection(selected, images(tmp_path), TREE, config, origin, folder)
    assert (told.n_subjects, told.n_cutouts) == (3, 3)
    said = say_selection(selected, told, "out/")
    for name in ("ask_next.csv", "ask_next.html", "subject_set"):
        assert f"out/{name}" in said
        assert (folder / name).exists()
    assert "3 of 5 galaxies" in said
    assert "1 of 2 galaxies with votes" in said
    record = json.loads((folder / "selection.json").read_text())
    assert (record["n_ranked"], record["n_retired"], record["model"]) == (5, 1, "toy/3")
    assert (record["n_foreign"], record["classifications"]) == (1, [])
    read = pd.read_csv(folder / "ask_next.csv", dtype={"id_str": str})
    pd.testing.assert_frame_equal(
        read, pd.read_parquet(folder / "ask_next.parquet"), check_dtype=False
    )
    manifest = pd.read_csv(folder / "subject_set" / "manifest.csv", dtype=str)
    assert manifest["#id_str"].tolist() == read["id_str"].tolist()
    assert manifest["#galaxyloop_model"].unique().tolist() == ["toy/3"]
    picture = cv2.imread(str(folder / "ask_next.png"))
    assert picture is not None
    assert len(np.unique(picture)) > 50


def test_render_page__names_every_galaxy_and_its_reason(tmp_path: Path) -> None:
    selected = select_galaxies(sources(tmp_path, {"g1": 40, "g2": 12}), rules(6))
    selected.chosen.loc[0, "ra_deg"] = np.nan
    gallery = draw_gallery(selected, images(tmp_path).cutouts, TREE)
    page = render_page(selected, gallery, TREE, {"model": "<toy> 3"})
    for row in selected.chosen.itertuples():
        assert f"<code>{row.id_str}</code>" in page
        assert str(row.why) in page
    assert "&lt;toy&gt; 3" in page
    assert "4 galaxies whose votes" in page
    assert "1 of them has some votes already; 148 classifications are wanted" in page
    assert "<td>nan</td>" not in page
