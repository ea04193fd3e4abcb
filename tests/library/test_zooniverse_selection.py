"""The galaxies to ask about next: not retired, best ranked, unlike each other, with the reason."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import AcquisitionConfig, RetirementConfig
from galaxyloop.acquisition.retirement import ENOUGH_VOTES
from galaxyloop.errors import SubjectSetError
from galaxyloop.zooniverse.checks import check_rules
from galaxyloop.zooniverse.selection import ASKED, CLOSED, Selection, read_vectors, select_galaxies
from galaxyloop.zooniverse.subject_set import SubjectSetSummary
from galaxyloop.zooniverse.writing import say_selection
from schemas.acquisition import judge_acquisition
from schemas.selection import judge_selection
from tests.library.representation_tables import write_shard_file
from tests.library.selection_sources import INFORMATION, TREE, rules, sources, survey


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


def at_random(seed: int) -> list[str]:
    """The galaxies by the hash of seed and id, the highest first."""
    digests = {
        name: hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()[::-1]
        for name in INFORMATION
    }
    return sorted(INFORMATION, key=lambda name: digests[name], reverse=True)


@pytest.mark.parametrize(
    ("acquisition", "ranked"),
    [
        ("mutual_information", ["g1", "g2", "g3", "g4", "g5", "g0"]),
        # The same fractions are predicted of all, so that their ids decide.
        ("entropy", ["g0", "g1", "g2", "g3", "g4", "g5"]),
        ("random", at_random(7)),
    ],
)
def test_select_galaxies__ranks_by_any_acquisition_that_predictions_have(
    acquisition: str, ranked: list[str], tmp_path: Path
) -> None:
    how = AcquisitionConfig(acquisition, seed=7)
    check_rules([], TREE, how, RetirementConfig())
    selected = select_galaxies(sources(tmp_path), replace(rules(6), acquisition=how))
    assert selected.ranked["id_str"].tolist() == ranked
    assert judge_acquisition(selected.ranked, TREE).empty
    assert judge_selection(selected.chosen, TREE).empty


@pytest.mark.parametrize("votes", [{"g5": 30}, {"g4": 14, "g5": 16}, {"gone": 3, "g5": 27}])
def test_select_galaxies__counts_the_votes_on_all_images_of_a_galaxy(
    votes: dict[str, int], tmp_path: Path
) -> None:
    known = sources(tmp_path, votes)
    # An image that has left the survey gave the group of g4 and g5 its name.
    galaxies = known.galaxies.replace({"group_id": {"g4": "gone"}})
    selected = select_galaxies(replace(known, galaxies=galaxies), rules(6))
    asked = selected.chosen.set_index("id_str")
    assert "g5" not in asked.index
    assert (asked.loc["g4", "n_votes"], asked.loc["g4", "votes_wanted"]) == (30, 10)
    assert selected.retired["group_id"].tolist() == ["gone"]


def test_select_galaxies__retires_all_images_of_a_galaxy_together(tmp_path: Path) -> None:
    votes = {"g4": 25, "g5": 25, "g1": 12, "stranger": 40}
    selected = select_galaxies(sources(tmp_path, votes), rules(6))
    assert selected.ranked["id_str"].tolist() == ["g1", "g2", "g3", "g0"]
    retired = selected.retired.set_index("group_id")
    assert retired["n_votes"].to_dict() == {"g4": 50, "g1": 12, "stranger": 40}
    said = say_selection(selected, SubjectSetSummary(2, 2, 0, {}, 1000), "out")
    assert "not again    1 of 2 galaxies with votes" in said
    assert "foreign      1 galaxies with votes are not in the survey" in said


def test_select_galaxies__asks_nobody_whose_further_votes_would_be_lost(tmp_path: Path) -> None:
    known = replace(sources(tmp_path, {"g1": 3, "g2": 12, "g3": 0}), closed={"g1", "g3"})
    selected = select_galaxies(known, rules(6))
    # g3 stands in the table without a vote; g2's votes are of an export that grows.
    assert selected.ranked["id_str"].tolist() == ["g2", "g3", "g4", "g5", "g0"]
    assert selected.retired["is_retired"].tolist() == [True, False, False]
    assert selected.retired["reason"].tolist() == [CLOSED, "", ""]
    # A published table with votes on g4 closes g5, its other image, too; one without does not.
    for n_votes, reason in ((3, CLOSED), (0, "")):
        known = replace(sources(tmp_path, {"g4": n_votes, "g5": 12}), closed={"g4"})
        assert select_galaxies(known, rules(6)).retired["reason"].tolist() == [reason]


def test_select_galaxies__asks_nobody_of_an_earlier_batch(tmp_path: Path) -> None:
    votes = {"g1": 40, "g2": 12}
    known = replace(sources(tmp_path, votes), asked={"g1", "g2", "g4", "gone"})
    selected = select_galaxies(known, rules(6))
    # g5 shows the galaxy of g4.
    assert selected.ranked["id_str"].tolist() == ["g3", "g0"]
    retired = selected.retired.set_index("group_id")
    assert retired["reason"].to_dict() == {"g1": ENOUGH_VOTES, "g2": ASKED, "g4": ASKED}
    assert retired["n_votes"].to_dict() == {"g1": 40, "g2": 12, "g4": 0}
    told = SubjectSetSummary(2, 2, 0, {}, 1000)
    said = say_selection(selected, told, "out")
    assert "1 of 2 galaxies with votes" in said
    assert "foreign" not in said
    assert "waiting      2 galaxies of earlier batches" in said


@pytest.mark.parametrize("asked", [{"g1", "g4"}, {"g4"}])
def test_select_galaxies__remembers_batches_of_images_that_left_the_survey(
    asked: set[str], tmp_path: Path
) -> None:
    known = sources(tmp_path)
    # g5 shows the galaxy of g4, which was asked about and is gone.
    left = known.galaxies[known.galaxies["id_str"] != "g4"]
    selected = select_galaxies(replace(known, galaxies=left, asked=asked), rules(6))
    assert set(selected.ranked["id_str"]) == {"g0", "g1", "g2", "g3"} - asked
    assert set(selected.retired["group_id"]) == asked


def test_select_galaxies__without_votes_asks_nobody_of_an_earlier_batch(tmp_path: Path) -> None:
    selected = select_galaxies(replace(sources(tmp_path), asked={"g1"}), rules(6))
    assert "g1" not in set(selected.ranked["id_str"])
    assert selected.retired["n_votes"].tolist() == [0]


def test_select_galaxies__refuses_batches_of_another_survey(tmp_path: Path) -> None:
    with pytest.raises(SubjectSetError, match="none of the 2 galaxies .*'a1' is in this survey"):
        select_galaxies(replace(sources(tmp_path), asked={"a1", "a2"}), rules())


def test_select_galaxies__refuses_if_nobody_is_left(tmp_path: Path) -> None:
    # g4 and g5 are one galaxy; another's votes are of no galaxy of this survey.
    everybody = dict.fromkeys([*INFORMATION, "stranger"], 40)
    with pytest.raises(SubjectSetError, match="of 5 galaxies 5 have votes enough.*max_votes"):
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
