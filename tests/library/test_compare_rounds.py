"""The table of rounds side by side, and the frames of real galaxies, which are examples."""

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from examples.compare_rounds import compare
from examples.real_galaxies import framed

Row = tuple[str, str, str, float, int]
ONE: list[Row] = [
    ("gz2", "shape-gz2", "rmse", 0.1234, 40),
    ("gz2", "shape-gz2", "rmse_ratio", 0.5, 40),
    ("gz2", "shape-gz2", "log_likelihood", -1.0, 90),
    ("gz2", "all", "rmse_ratio", 0.5, 40),
]
TWO: list[Row] = [
    ("gz2", "shape-gz2", "rmse", 0.1, 50),
    ("gz2", "shape-gz2", "rmse_ratio", 0.4, 50),
    ("efigi", "bar-efigi", "rmse", 0.2, 30),
    ("efigi", "bar-efigi", "rmse_ratio", 0.6, 30),
    ("gz2", "all-gz2", "rmse_ratio", 0.4, 50),
    ("efigi", "all-efigi", "rmse_ratio", 0.6, 30),
    ("all", "all", "rmse_ratio", 0.5, 50),
]


def write_round(folder: Path, rows: list[Row]) -> Path:
    columns = ["campaign", "question", "metric", "value", "n_galaxies"]
    table = pd.DataFrame(rows, columns=columns).assign(galaxies="folds")
    worse = table.assign(galaxies="test", value=9.0, n_galaxies=999)
    folder.mkdir(parents=True)
    pd.concat([worse, table]).to_csv(folder / "metrics.csv", index=False)
    return folder / "metrics.csv"


def test_compare__shows_each_question_once_and_averages_last(tmp_path: Path) -> None:
    paths = [write_round(tmp_path / "gz2", ONE), write_round(tmp_path / "both", TWO)]
    assert compare(paths).splitlines()[2:] == [
        "| shape-gz2 | 50 | 0.123 | 0.50 | 0.100 | 0.40 |",
        "| bar-efigi | 30 |  |  | 0.200 | 0.60 |",
        "| all-gz2 |  |  | 0.50 |  | 0.40 |",
        "| all-efigi |  |  |  |  | 0.60 |",
        "| all |  |  |  |  | 0.50 |",
    ]


def test_compare__counts_the_galaxies_of_the_error(tmp_path: Path) -> None:
    assert "| shape-gz2 | 40 |" in compare([write_round(tmp_path / "gz2", ONE)])


def test_compare__refuses_rounds_of_one_name(tmp_path: Path) -> None:
    paths = [write_round(tmp_path / place / "round", ONE) for place in "xy"]
    with pytest.raises(SystemExit, match="must differ, got round, round; rename one"):
        compare(paths)


def test_framed__refuses_what_is_no_image_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    row = {"image_uri": str(tmp_path / "a.jpg"), "survey": "s"}
    with pytest.raises(SystemExit, match=r"a\.jpg is no image that can be read"):
        list(framed([row], tmp_path / "out"))


def test_framed__writes_anew_what_is_older_than_its_image(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    row = {"image_uri": str(image), "survey": "s"}
    for moment_s, level, shown in ((1000, 10, 10), (900, 20, 10), (2000, 30, 30)):
        cv2.imwrite(str(image), np.full((20, 20, 3), level, np.uint8))
        os.utime(image, (moment_s, moment_s))
        (framed_row,) = framed([row], tmp_path / "out")
        centre = np.asarray(cv2.imread(framed_row["image_uri"]))
        assert centre.shape == (12, 12, 3)
        assert (centre == shown).all()
        os.utime(framed_row["image_uri"], (1500, 1500))
