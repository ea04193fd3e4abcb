"""Experts' attributes become whole pseudo-votes, and nobody can take them for volunteers'."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from galaxyloop.campaigns import Campaign, find_campaign
from galaxyloop.campaigns.campaign import Grammar, PseudoVotes
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from galaxyloop.vote_tables.counts import count_votes
from galaxyloop.vote_tables.layout import TableLayout, find_layout
from galaxyloop.vote_tables.rejects import BatchRejects
from schemas.votes import judge_votes

ATTRIBUTES = Path(os.environ.get("GALAXYLOOP_REAL_DATA") or "/nowhere") / "efigi_expert"
TREE = DecisionTree(
    "experts",
    (
        Question("ring-experts", ("yes", "no")),
        # The second answer is the one that the attribute counts.
        Question("dust-experts", ("none", "much"), ("ring-experts_yes",)),
    ),
)
EXPERTS = Campaign(
    name="experts",
    title="Attributes",
    reference="none",
    tree=TREE,
    published=Grammar({}, {}, {"": "count"}),
    id_columns=("id_str",),
    pseudo_votes=(
        PseudoVotes("Ring", "ring-experts", "ring-experts_yes", "ring-experts_no", 4),
        PseudoVotes("Dust", "dust-experts", "dust-experts_much", "dust-experts_none", 10, -9.0),
    ),
)


def layout_of(header: list[str]) -> TableLayout:
    return find_layout(header, VoteSource("a.csv", "experts"), EXPERTS)


def count(**columns: list[float]) -> tuple[dict[str, list[float]], BatchRejects]:
    layout = layout_of(["id_str", *columns])
    n_galaxies = len(next(iter(columns.values())))
    ids = pa.array([str(i) for i in range(n_galaxies)])
    rejects = BatchRejects(np.arange(n_galaxies), ids)
    numbers = {name: np.array(values, dtype=float) for name, values in columns.items()}
    counts = count_votes(layout, numbers, rejects, VotesConfig())
    return {name: votes.tolist() for name, votes in counts.votes.items()}, rejects


def test_count_votes__shares_the_pseudo_votes_of_an_attribute() -> None:
    votes, rejects = count(Ring=[0.0, 0.25, 0.75, 1.0], Dust=[0.1, 0.3, 0.7, 1.0])
    assert votes == {
        "ring-experts_yes": [0, 1, 3, 4],
        "ring-experts_no": [4, 3, 1, 0],
        "dust-experts_none": [9, 7, 3, 0],
        "dust-experts_much": [1, 3, 7, 10],
    }
    assert not rejects.found


def test_count_votes__gives_no_votes_where_the_attribute_is_undefined_or_empty() -> None:
    votes, rejects = count(Ring=[-1.0, np.nan, 0.5], Dust=[0.5, -9.0, np.nan])
    totals = {
        name: np.add(votes[f"{name}_{one}"], votes[f"{name}_{other}"]).tolist()
        for name, one, other in (("ring-experts", "yes", "no"), ("dust-experts", "none", "much"))
    }
    assert totals == {"ring-experts": [0, 0, 4], "dust-experts": [10, 0, 0]}
    assert not rejects.found


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.25, "must be from 0 to 1, or -1 where undefined"),
        (-9.0, "must be from 0 to 1"),
        (np.inf, "must be from 0 to 1"),
        (0.3, "x n_votes=4 is not a whole number of votes; give the campaign's PseudoVotes"),
    ],
)
def test_count_votes__rejects_attributes_that_make_no_votes(value: float, reason: str) -> None:
    _, rejects = count(Ring=[0.5, value])
    assert list(rejects.found) == [1]
    column, shown, told = rejects.found[1]
    assert (column, float(shown)) == ("Ring", value)
    assert reason in told


def test_find_layout__reads_attributes_as_derived_votes() -> None:
    layout = layout_of(["id_str", "Dust", "comment"])
    assert [question.method for question in layout.questions] == ["absent", "attributes"]
    assert (layout.origin, layout.number_columns) == ("derived", ("Dust",))
    assert layout.ignored == ("comment",)


def test_find_layout__reads_counts_of_a_derived_campaign_as_counts() -> None:
    assert layout_of(["id_str", "ring-experts_yes", "ring-experts_no"]).origin == "counts"


def test_read_vote_table__marks_galaxies_with_pseudo_votes(tmp_path: Path) -> None:
    table = pd.DataFrame({"PGCname": ["PGC1", "PGC2", "PGC3"], "Bar_Length": [0.25, -1.0, 2.0]})
    table.to_csv(tmp_path / "table.csv", index=False)
    source = VoteSource(str(tmp_path / "table.csv"), "efigi")
    config = VotesConfig(max_reject_rate=1.0)
    summary = read_vote_table([source], config, tmp_path / "votes", judge_votes)
    votes, rejects = load_votes(tmp_path / "votes"), load_vote_rejects(tmp_path / "votes")
    assert votes["bar-efigi_yes"].tolist() == [2, 0]
    assert votes["bar-efigi_no"].tolist() == [6, 0]
    assert set(votes["votes_origin"]) == {"derived"}
    assert summary.sources[0].votes_origin == "derived"
    assert rejects[["id_str", "column", "value"]].to_numpy().tolist() == [
        ["PGC3", "Bar_Length", "2"]
    ]


@pytest.mark.skipif(not ATTRIBUTES.is_dir(), reason="GALAXYLOOP_REAL_DATA has no EFIGI table")
def test_read_vote_table__reads_every_galaxy_of_efigi(tmp_path: Path) -> None:
    efigi, published = find_campaign("efigi"), pd.read_csv(ATTRIBUTES / "attributes.csv")
    source = VoteSource(str(ATTRIBUTES / "attributes.csv"), "efigi")
    read_vote_table([source], VotesConfig(), tmp_path / "votes", judge_votes)
    votes = load_votes(tmp_path / "votes")
    assert votes["id_str"].tolist() == published["PGCname"].tolist()
    for attribute in efigi.pseudo_votes:
        values = published[attribute.column]
        total = votes[attribute.full] + votes[attribute.none]
        is_judged = values != attribute.undefined
        assert (total == np.where(is_judged, attribute.n_votes, 0)).all()
        share = votes[attribute.full][is_judged] / total[is_judged]
        np.testing.assert_allclose(share, values[is_judged])
