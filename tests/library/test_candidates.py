from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import AcquisitionConfig, rank_galaxies, read_candidates
from galaxyloop.campaigns import campaign_tree
from galaxyloop.config import ConfigError
from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))
INFORMATION = "bar-toy_information_nats"


def survey(**digests: str) -> pd.DataFrame:
    """Galaxies whose group is the first letter of their id."""
    ids = list(digests)
    return pd.DataFrame(
        {
            "id_str": ids,
            "group_id": [id_str[0] for id_str in ids],
            "ra_deg": np.arange(len(ids), dtype=float),
            "dec_deg": 0.0,
            "image_digest": list(digests.values()),
        }
    )


def predicted(path: Path, information: float, **digests: str) -> Path:
    rows = {"id_str": list(digests), "image_digest": list(digests.values())}
    pd.DataFrame({**rows, INFORMATION: information}).to_parquet(path)
    return path


def voted(**votes: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"id_str": list(votes), "bar-toy_yes": list(votes.values()), "bar-toy_no": 0}
    )


def test_read_candidates__leaves_out_what_volunteers_have_seen(tmp_path: Path) -> None:
    file = predicted(tmp_path / "p", 0.5, a1="x", a2="x", b1="x", c1="x")
    galaxies = survey(a1="x", a2="x", b1="x", c1="x")
    candidates = read_candidates([file], TREE, galaxies, voted(a1=3, b1=0))
    # a2 shows the same galaxy as a1, and nobody has voted on b1 though it has a row.
    assert candidates["id_str"].tolist() == ["b1", "c1"]


def test_read_candidates__knows_votes_on_an_image_that_has_left_the_survey(
    tmp_path: Path,
) -> None:
    file = predicted(tmp_path / "p", 0.5, a2="x", b1="x")
    galaxies = survey(a2="x", b1="x")
    assert read_candidates([file], TREE, galaxies, voted(a=3))["id_str"].tolist() == ["b1"]


def test_read_candidates__counts_only_predictions_of_the_image_as_it_is(tmp_path: Path) -> None:
    old = predicted(tmp_path / "old", 0.1, a1="before", b1="x", gone="x")
    new = predicted(tmp_path / "new", 0.2, a1="after")
    candidates = read_candidates([old, new], TREE, survey(a1="after", b1="x", c1="x"), voted())
    assert candidates["id_str"].tolist() == ["a1", "b1"]
    assert candidates[INFORMATION].tolist() == [0.2, 0.1]


def test_read_candidates__takes_positions_from_the_survey(tmp_path: Path) -> None:
    file = predicted(tmp_path / "p", 0.5, b1="x", a1="x")
    candidates = read_candidates([file], TREE, survey(a1="x", b1="x"), voted())
    assert candidates["ra_deg"].tolist() == [0.0, 1.0]


def test_read_candidates__of_nothing_is_an_empty_table() -> None:
    assert len(read_candidates([], TREE, survey(a1="x"), voted())) == 0


def test_read_candidates__an_experts_attributes_are_no_volunteers_votes(tmp_path: Path) -> None:
    tree = campaign_tree(["gz_rings", "efigi"])
    names = [f"{question}_information_nats" for question in tree.question_names]
    table = {"id_str": ["a1", "b1"], "image_digest": "x", **dict.fromkeys(names, 0.0)}
    predictions = pd.DataFrame({**table, names[0]: [0.1, 0.2], names[1]: [9.0, 0.0]})
    predictions.to_parquet(tmp_path / "p")
    votes = pd.DataFrame({"id_str": ["a1"], **dict.fromkeys(tree.columns, 0), tree.columns[-1]: 8})
    candidates = read_candidates([tmp_path / "p"], tree, survey(a1="x", b1="x"), votes)
    assert candidates["id_str"].tolist() == ["a1", "b1"]
    ranked = rank_galaxies(candidates, tree, AcquisitionConfig())
    assert ranked["id_str"].tolist() == ["b1", "a1"]
    assert ranked["information_nats"].tolist() == [0.2, 0.1]


def test_read_candidates__reads_what_the_acquisition_scores(tmp_path: Path) -> None:
    file = predicted(tmp_path / "p", 0.5, a1="x", b1="x")
    galaxies = survey(a1="x", b1="x")
    with pytest.raises(ConfigError, match=r"'entropy' scores .*bar-toy_yes_fraction"):
        read_candidates([file], TREE, galaxies, voted(), "entropy")
    scored = {"bar-toy_yes_fraction": [0.1, 0.5], "bar-toy_no_fraction": [0.9, 0.5]}
    pd.read_parquet(file).assign(**scored, **{"bar-toy_asked": 1.0}).to_parquet(file)
    candidates = read_candidates([file], TREE, galaxies, voted(), "entropy")
    ranked = rank_galaxies(candidates, TREE, AcquisitionConfig("entropy"))
    assert ranked["id_str"].tolist() == ["b1", "a1"]
