"""Consistency of a batch's votes: what no single cell can show."""

import functools

import numpy as np

from galaxyloop.vote_tables.counts import BatchCounts, Numbers
from galaxyloop.vote_tables.layout import QuestionLayout, TableLayout
from galaxyloop.vote_tables.rejects import BatchRejects
from galaxyloop.vote_tables.settings import VotesConfig


def count_asked(layout: TableLayout, counts: BatchCounts) -> dict[str, np.ndarray]:
    """Question to the answers given to it, its earlier wording included."""
    asked: dict[str, np.ndarray] = {}
    for question in layout.questions:
        name = question.question.name
        parts = [counts.votes[column] for column in question.question.columns]
        if name in counts.superseded:
            parts.append(counts.superseded[name])
        asked[name] = functools.reduce(np.add, parts)
    return asked


def check_size(
    layout: TableLayout, counts: BatchCounts, rejects: BatchRejects, config: VotesConfig
) -> None:
    """Reject rows with absurdly many votes, which are most likely another quantity."""
    published = layout.published_counts()
    for column, votes in counts.votes.items():
        if votes.max(initial=0) <= config.max_votes:
            continue
        reason = f"more than max_votes={config.max_votes} on one answer; is it a count?"
        rejects.add(votes > config.max_votes, published.get(column, column), votes, reason)


def check_totals(
    layout: TableLayout,
    numbers: Numbers,
    n_asked: Numbers,
    rejects: BatchRejects,
    config: VotesConfig,
) -> None:
    """Reject rows whose published totals are not the sum of the answers.

    A missing total is fine where nobody was asked.
    """
    for question in layout.questions:
        if question.method not in ("counts", "fractions"):
            continue
        asked = n_asked[question.question.name]
        for name in question.totals:
            total = numbers[name]
            is_off = ~(np.abs(total - asked) <= config.max_total_difference)
            is_off &= ~(np.isnan(total) & (asked == 0)) & ~np.isnan(asked)
            reason = (
                f"the total differs from the sum of the answers to '{question.question.name}' by "
                f"more than max_total_difference={config.max_total_difference}; mend the table"
            )
            rejects.add(is_off, name, total, reason)


def check_parents(
    layout: TableLayout,
    counts: BatchCounts,
    n_asked: Numbers,
    rejects: BatchRejects,
    config: VotesConfig,
) -> dict[str, np.ndarray]:
    """Reject rows where a question has far more answers than led to it.

    Real tables disagree by a vote or two (a volunteer's walk was cut, or counted twice): such
    rows stay.

    Returns:
        Question to a mask of the rows that exceed their parents, within tolerance or not.
    """
    by_answer = {column: q for q in layout.questions for column in q.question.columns}
    exceeding: dict[str, np.ndarray] = {}
    reason = (
        "the question has more answers than volunteers who could be asked, by more than both "
        f"max_excess_votes={config.max_excess_votes} and max_excess_share="
        f"{config.max_excess_share:g}; check the row, and that the campaign is right"
    )
    for question in layout.questions:
        leads_here = question.question.asked_after
        if not leads_here or not _can_compare(question, [by_answer[c] for c in leads_here]):
            continue
        allowed = functools.reduce(np.add, [counts.votes[column] for column in leads_here])
        asked = n_asked[question.question.name]
        slack = np.maximum(config.max_excess_votes, config.max_excess_share * allowed)
        rejects.add(asked - allowed > slack, question.question.name, asked, reason)
        exceeding[question.question.name] = asked > allowed
    return exceeding


def set_aside_superseded(counts: BatchCounts, layout: TableLayout) -> dict[str, np.ndarray]:
    """Zero the questions that were answered in an earlier wording.

    Returns:
        Question to a mask of the rows whose votes on it were set aside.
    """
    set_aside: dict[str, np.ndarray] = {}
    for question in layout.questions:
        name = question.question.name
        if name in counts.superseded:
            set_aside[name] = counts.superseded[name] > 0
            for column in question.question.columns:
                counts.votes[column] = np.where(set_aside[name], 0.0, counts.votes[column])
    return set_aside


def _can_compare(question: QuestionLayout, parents: list[QuestionLayout]) -> bool:
    """Whether both sides are published, neither absent nor rebuilt from the other."""
    return all(layout.method in ("counts", "fractions") for layout in (question, *parents))
