"""Volunteers' walks down every campaign's tree: who is asked what, and how votes read back."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.campaigns import CAMPAIGNS, Campaign, Grammar
from galaxyloop.posterior import asked_probability
from galaxyloop.synthetic import (
    SimulatedSurvey,
    SimulationConfig,
    simulate_galaxies,
    write_survey,
)
from galaxyloop.vote_tables import VotesConfig, VoteSource, load_votes, read_vote_table
from schemas.votes import judge_votes

EVERY = pytest.mark.parametrize("campaign", CAMPAIGNS.values(), ids=CAMPAIGNS)
FEW = SimulationConfig(
    n_galaxies=12, image_size_px=16, labelled_share=1.0, n_broken_images=0, n_broken_votes=0
)
Walk = tuple[str, ...]


def walks(
    campaign: Campaign, shares: dict[str, float], given: Walk = (), n_passed: int = 0
) -> Iterator[tuple[Walk, float]]:
    """Every way through the tree, as the answers given, with its probability.

    Questions are met in order; one is passed over unless an answer that leads to it was given.
    """
    if n_passed == len(campaign.tree.questions):
        yield given, 1.0
        return
    question = campaign.tree.questions[n_passed]
    if question.asked_after and not set(given).intersection(question.asked_after):
        yield from walks(campaign, shares, given, n_passed + 1)
        return
    for column in question.columns:
        for walk, probability in walks(campaign, shares, (*given, column), n_passed + 1):
            yield walk, shares[column] * probability


def random_shares(campaign: Campaign) -> dict[str, float]:
    rng = np.random.default_rng(8)
    return {
        column: share
        for question in campaign.tree.questions
        for column, share in zip(
            question.columns, rng.dirichlet(np.ones(len(question.columns))).tolist(), strict=True
        )
    }


@EVERY
def test_asked_probability__equals_the_sum_over_all_walks(campaign: Campaign) -> None:
    tree, shares = campaign.tree, random_shares(campaign)
    asked: Counter[str] = Counter()
    total = 0.0
    for walk, probability in walks(campaign, shares):
        total += probability
        for column in walk:
            asked[column.rpartition("_")[0]] += probability
    fractions = torch.tensor([shares[column] for column in tree.columns], dtype=torch.float64)
    computed = asked_probability(fractions, tree)
    expected = torch.tensor([asked[name] for name in tree.question_names], dtype=torch.float64)
    torch.testing.assert_close(computed, expected, rtol=1e-9, atol=0.0)
    assert total == pytest.approx(1.0, rel=1e-9)
    assert ((computed > 0) & (computed <= 1 + 1e-9)).all()


@EVERY
def test_campaign__no_walk_gives_two_parents_of_one_question(campaign: Campaign) -> None:
    parents = [set(question.asked_after) for question in campaign.tree.questions]
    several = [answers for answers in parents if len(answers) > 1]
    for walk, _ in walks(campaign, random_shares(campaign)):
        assert all(len(answers.intersection(walk)) <= 1 for answers in several)


def simulate(campaign: Campaign) -> SimulatedSurvey:
    return simulate_galaxies(SimulationConfig(**{**vars(FEW), "campaign": campaign.name}))


def read(uri: Path, campaign: Campaign, directory: Path) -> pd.DataFrame:
    source = VoteSource(str(uri), campaign.name)
    summary = read_vote_table([source], VotesConfig(), directory / "votes", judge_votes)
    assert (summary.n_rejected, summary.sources[0].n_tolerated) == (0, {})
    return load_votes(directory / "votes").set_index("id_str")


@EVERY
def test_read_vote_table__gives_back_a_simulated_round(campaign: Campaign, tmp_path: Path) -> None:
    config = SimulationConfig(**{**vars(FEW), "campaign": campaign.name})
    directory = write_survey(config, tmp_path / "survey", progress=False)
    votes = read(directory / "votes.csv", campaign, tmp_path)
    survey = simulate(campaign)
    expected = pd.DataFrame(survey.votes, survey.galaxies["id_str"], campaign.tree.columns)
    assert (votes.loc[expected.index, expected.columns] == expected).all(axis=None)
    for question in campaign.tree.questions:
        n_answers = votes[list(question.columns)].sum(axis=1)
        roots = list(campaign.tree.questions[0].columns)
        leads_here = list(question.asked_after) or roots
        np.testing.assert_array_equal(n_answers, votes[leads_here].sum(axis=1))


def as_published(survey: SimulatedSurvey, grammar: Grammar) -> pd.DataFrame:
    """The votes as the grammar's tables hold them: counts, else fractions and each total."""
    ending = {role: suffix for suffix, role in reversed(grammar.suffixes.items())}
    votes = pd.DataFrame(survey.votes, columns=survey.tree.columns)
    columns = {"id_str": survey.galaxies["id_str"]}
    totals = {
        name: votes[list(survey.tree.question(name).columns)].sum(axis=1)
        for name in survey.tree.question_names
    }
    for stem, answer in grammar.answers.items():
        if "count" in ending:
            columns[stem + ending["count"]] = votes[answer]
        else:
            total = totals[answer.rpartition("_")[0]]
            columns[stem + ending["fraction"]] = (votes[answer] / total).round(3)
    if "count" not in ending:
        for stem, question in grammar.questions.items():
            columns[stem + ending["total"]] = totals[question]
    return pd.DataFrame(columns)


@EVERY
def test_read_vote_table__gives_back_the_votes_in_every_spelling(
    campaign: Campaign, tmp_path: Path
) -> None:
    survey = simulate(campaign)
    for number, grammar in enumerate(campaign.grammars):
        place = tmp_path / str(number)
        place.mkdir()
        as_published(survey, grammar).to_csv(place / "table.csv", index=False)
        votes = read(place / "table.csv", campaign, place)
        expected = pd.DataFrame(survey.votes, survey.galaxies["id_str"], campaign.tree.columns)
        assert (votes.loc[expected.index, expected.columns] == expected).all(axis=None)


@EVERY
def test_simulate_galaxies__shows_the_same_galaxies_under_every_campaign(
    campaign: Campaign,
) -> None:
    reference, survey = simulate_galaxies(FEW), simulate(campaign)
    pd.testing.assert_frame_equal(survey.galaxies, reference.galaxies)
    pd.testing.assert_frame_equal(survey.parameters, reference.parameters)
    np.testing.assert_array_equal(survey.images, reference.images)
