"""The galaxies to ask about next: not retired, best ranked, unlike each other, with the reason."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import AcquisitionConfig, BatchConfig, RetirementConfig
from galaxyloop.acquisition.retirement import ENOUGH_VOTES
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import SubjectSetError, UnknownNameError
from galaxyloop.shards import CutoutCollection
from galaxyloop.zooniverse.checks import check_rules
from galaxyloop.zooniverse.config import SubjectSetConfig
from galaxyloop.zooniverse.page import draw_gallery, render_page
from galaxyloop.zooniverse.selection import (
    ASKED,
    CLOSED,
    Selection,
    SelectionRules,
    SelectionSources,
    read_vectors,
    select_galaxies,
)
from galaxyloop.zooniverse.subject_set import SubjectSetSummary
from galaxyloop.zooniverse.writing import SurveyImages, say_selection, write_selection
from schemas.acquisition import judge_acquisition
from schemas.selection import judge_selection
from tests.library.representation_tables import write_shard_file
from tests.library.shard_files import random_images, write_shard

TREE = DecisionTree(
    "toy",
    (
        Question("bar-toy", ("yes", "no")),
        Question("arms-toy", ("1", "2", "more"), ("bar-toy_yes", "bar-toy_no")),
    ),
)
INFORMATION = {"g0": 0.1, "g1": 0.9, "g2": 0.8, "g3": 0.7, "g4": 0.6, "g5": 0.5}
"""Of bars; arms tell 0.3 of every galaxy, so that they are asked for of g0 alone."""
KINDS = {"g0": 0, "g1": 1, "g2": 1, "g3": 1, "g4": 2, "g5": 0}
"""g1, g2 and g3 look alike."""


def survey(n_galaxies: int = 6) -> pd.DataFrame:
    """Galaxies g0 to g5; g4 and g5 are two images of one."""
    ids = [f"g{i}" for i in range(n_galaxies)]
    return pd.DataFrame(
        {
            "id_str": ids,
            "group_id": [one.replace("g5", "g4") for one in ids],
            "ra_deg": 10.0 * np.arange(n_galaxies),
            "dec_deg": np.zeros(n_galaxies),
            "image_uri": "nowhere.jpg",
            "image_digest": [f"sha256:{one}" for one in ids],
        }
    )


def predictions(path: Path) -> Path:
    """What a model may say of them; old images of g1 are there too."""
    rows = []
    for name, information in INFORMATION.items():
        for digest in (f"sha256:{name}", "sha256:before")[: 1 + (name == "g1")]:
            is_now = digest != "sha256:before"
            row = {"id_str": name, "image_digest": digest}
            for column in TREE.columns:
                own = {"fraction": 0.4, "fraction_p05": 0.1, "fraction_p95": 0.7}
                row |= {f"{column}_{end}": value * is_now for end, value in own.items()}
            row |= {"bar-toy_asked": 1.0, "arms-toy_asked": 0.5}
            row |= {"bar-toy_information_nats": information * is_now}
            row |= {"arms-toy_information_nats": 0.3 * is_now}
            rows.append(row)
    pd.DataFrame(rows).to_parquet(path)
    return path


def sources(folder: Path, votes: dict[str, int] | None = None) -> SelectionSources:
    """The galaxies with so many votes for a bar."""
    directions = np.eye(3, dtype=np.float32)
    vectors = np.stack([directions[kind] + 0.01 * i for i, kind in enumerate(KINDS.values())])
    table = None
    if votes is not None:
        columns = dict.fromkeys(TREE.columns, 0)
        table = pd.DataFrame({"id_str": list(votes), **columns})
        table["bar-toy_yes"] = list(votes.values())
    return SelectionSources(
        TREE,
        survey(),
        [predictions(folder / "predictions.parquet")],
        [write_shard_file(folder / "vectors.parquet", survey(), vectors.astype(np.float32))],
        table,
        TREE,
    )


def rules(n_galaxies: int = 3, **retirement: object) -> SelectionRules:
    return SelectionRules(
        AcquisitionConfig(),
        BatchConfig(n_galaxies=n_galaxies, candidates_per_galaxy=4.0),
        RetirementConfig.from_dict({"max_votes": 40, "max_interval_width": 0.0, **retirement}),
    )


def test_select_galaxies__asks_about_unlike_galaxies_and_says_why(tmp_path: Path) -> None:
    selected = select_galaxies(sources(tmp_path), rules())
    # By rank alone it would be g1, g2, g3, which are alike; of g4 and g5, one galaxy, the better.
    assert selected.ranked["id_str"].tolist() == ["g1", "g2", "g3", "g4", "g5", "g0"]
    assert selected.chosen["id_str"].tolist() == ["g1", "g4", "g0"]
    assert selected.chosen["rank"].tolist() == [1, 4, 6]
    assert selected.chosen["most_informative_question"].tolist() == [
        *("bar-toy", "bar-toy", "arms-toy")
    ]
    assert selected.chosen["asked"].tolist() == [1.0, 1.0, 0.5]
    assert selected.chosen["why"].iloc[0] == "yes 0.40 (0.10 to 0.70), no 0.40 (0.10 to 0.70)"
    assert selected.fractions["answer"].tolist() == ["yes", "no", "yes", "no", "1", "2", "more"]
    assert selected.retired.empty
    assert judge_acquisition(selected.ranked, TREE).empty
    assert judge_selection(selected.chosen, TREE).empty


def test_select_galaxies__asks_again_until_a_galaxy_is_retired(tmp_path: Path) -> None:
    selected = select_galaxies(sources(tmp_path, {"g1": 40, "g2": 12, "g4": 41}), rules(6))
    # g5 shows the galaxy of g4, which has votes enough.
    assert selected.ranked["id_str"].tolist() == ["g2", "g3", "g0"]
    asked = selected.chosen.set_index("id_str")
    assert asked["n_votes"].to_dict() == {"g2": 12, "g3": 0, "g0": 0}
    assert asked["votes_wanted"].to_dict() == {"g2": 28, "g3": 40, "g0": 40}
    assert selected.retired["is_retired"].tolist() == [True, False, True]


def test_select_galaxies__asks_nobody_whose_further_votes_would_be_lost(tmp_path: Path) -> None:
    known = replace(sources(tmp_path, {"g1": 3, "g2": 12, "g3": 0}), closed={"g1", "g3"})
    selected = select_galaxies(known, rules(6))
    # g3 stands in the table without a vote; g2's votes are of an export that grows.
    assert selected.ranked["id_str"].tolist() == ["g2", "g3", "g4", "g5", "g0"]
    assert selected.retired["is_retired"].tolist() == [True, False, False]
    assert selected.retired["reason"].tolist() == [CLOSED, "", ""]


def test_select_galaxies__asks_nobody_of_an_earlier_batch(tmp_path: Path) -> None:
    votes = {"g1": 40, "g2": 12}
    known = replace(sources(tmp_path, votes), asked={"g1", "g2", "g4", "gone"})
    selected = select_galaxies(known, rules(6))
    # g5 shows the galaxy of g4.
    assert selected.ranked["id_str"].tolist() == ["g3", "g0"]
    retired = selected.retired.set_index("id_str")
    assert retired["reason"].to_dict() == {"g1": ENOUGH_VOTES, "g2": ASKED, "g4": ASKED}
    assert retired["n_votes"].to_dict() == {"g1": 40, "g2": 12, "g4": 0}
    told = SubjectSetSummary(2, 2, 0, {}, 1000)
    said = say_selection(selected, told, "out")
    assert "1 of 2 galaxies with votes" in said
    assert "waiting      2 galaxies of earlier batches" in said


def test_select_galaxies__without_votes_asks_nobody_of_an_earlier_batch(tmp_path: Path) -> None:
    selected = select_galaxies(replace(sources(tmp_path), asked={"g1"}), rules(6))
    assert "g1" not in set(selected.ranked["id_str"])
    assert selected.retired["n_votes"].tolist() == [0]


def test_select_galaxies__refuses_batches_of_another_survey(tmp_path: Path) -> None:
    with pytest.raises(SubjectSetError, match="none of the 2 galaxies .*'a1' is in this survey"):
        select_galaxies(replace(sources(tmp_path), asked={"a1", "a2"}), rules())


def test_select_galaxies__refuses_if_nobody_is_left(tmp_path: Path) -> None:
    everybody = dict.fromkeys(INFORMATION, 40)
    with pytest.raises(SubjectSetError, match="of 6 galaxies 6 have votes enough.*max_votes"):
        select_galaxies(sources(tmp_path, everybody), rules())


def test_selection__comes_back_from_its_files(tmp_path: Path) -> None:
    selected = select_galaxies(sources(tmp_path, {"g1": 40}), rules())
    (tmp_path / "a").mkdir()
    digest = selected.save(tmp_path / "a")
    loaded = Selection.load(tmp_path / "a")
    for name in ("ranked", "chosen", "fractions", "retired"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(selected, name))
    fewer = Selection(selected.ranked, selected.chosen, selected.fractions, selected.retired[:0])
    assert fewer.save(tmp_path / "a") != digest


def test_read_vectors__takes_those_of_the_images_as_they_are(tmp_path: Path) -> None:
    galaxies = survey(3)
    old = write_shard_file(tmp_path / "old", galaxies, np.zeros((3, 4), np.float32))
    changed = galaxies.iloc[[1]].assign(image_digest="sha256:new")
    new = write_shard_file(tmp_path / "new", changed, np.ones((1, 4), np.float32))
    galaxies.loc[1, "image_digest"] = "sha256:new"
    wanted = pd.Series(["g1", "g0", "stranger"])
    vectors = read_vectors([new, old], galaxies, wanted)
    np.testing.assert_array_equal(vectors[:2], [[1] * 4, [0] * 4])
    assert np.isnan(vectors[2]).all()


def images(folder: Path) -> SurveyImages:
    names = list(INFORMATION)
    cutouts = CutoutCollection([write_shard(folder / "shard", random_images(6), names)])
    return SurveyImages(survey(), cutouts, CutoutConfig(image_size_px=16))


def test_write_selection__leaves_what_it_says(tmp_path: Path) -> None:
    selected = select_galaxies(sources(tmp_path, {"g1": 40, "g2": 12}), rules())
    folder, facts = tmp_path / "out", {"model": "toy/3", "survey_digest": "5" * 64}
    folder.mkdir()
    config = SubjectSetConfig(image_size_px=32)
    told = write_selection(selected, images(tmp_path), TREE, config, facts, folder)
    assert (told.n_subjects, told.n_cutouts) == (3, 3)
    said = say_selection(selected, told, "out/")
    for name in ("ask_next.csv", "ask_next.html", "subject_set"):
        assert f"out/{name}" in said
        assert (folder / name).exists()
    assert "3 of 5 galaxies" in said
    assert "1 of 2 galaxies with votes" in said
    record = json.loads((folder / "selection.json").read_text())
    assert (record["n_ranked"], record["n_retired"], record["model"]) == (5, 1, "toy/3")
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
    assert "1 of them have some votes already" in page
    assert "<td>nan</td>" not in page


@pytest.mark.parametrize(
    ("campaigns", "acquisition", "retirement", "message"),
    [
        (["gz9"], {}, {}, "there is no campaign 'gz9'"),
        ([], {"name": "best"}, {}, "there is no acquisition 'best'"),
        ([], {"questions": ["odd"]}, {}, "there is no question 'odd'"),
        (["gz2"], {}, {"questions": ["bar-toy"]}, "there is no question 'bar-toy'"),
    ],
)
def test_check_rules__refuses_names_that_do_not_exist(
    campaigns: list[str],
    acquisition: dict[str, object],
    retirement: dict[str, object],
    message: str,
) -> None:
    rules = (AcquisitionConfig.from_dict(acquisition), RetirementConfig.from_dict(retirement))
    with pytest.raises(UnknownNameError, match=message):
        check_rules(campaigns, TREE, *rules)


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("rank", [1, 1, 2], "ranks must rise"),
        ("votes_wanted", [0, 1, 1], "greater_than_or_equal_to(1)"),
        ("n_votes", [-1, 1, 1], "greater_than_or_equal_to(0)"),
        ("asked", [1.5, 1.0, 1.0], "in_range"),
        ("id_str", ["a", "a", "b"], "field_uniqueness"),
        ("why", ["", "b", "c"], "str_length"),
    ],
)
def test_judge_selection__names_the_reason(
    column: str, values: list[object], reason: str, tmp_path: Path
) -> None:
    chosen = select_galaxies(sources(tmp_path), rules()).chosen
    found = judge_selection(chosen.assign(**{column: values}), TREE)
    assert found["reason"].str.contains(reason, regex=False).any()
