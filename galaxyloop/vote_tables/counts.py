"""Whole vote counts of a batch, from what the table publishes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from galaxyloop.campaigns.campaign import PseudoVotes
from galaxyloop.vote_tables.layout import QuestionLayout, TableLayout
from galaxyloop.vote_tables.rejects import BatchRejects
from galaxyloop.vote_tables.settings import VotesConfig

_MISSING = "the cell is missing; write 0 where nobody answered"
_MAX_SHARE_SUM = 1.02
"""Bound on the sum of a question's weighted fractions: 1, and seven roundings to spare."""

Numbers = Mapping[str, Float[np.ndarray, " galaxy"]]
"""Published columns by name."""


@dataclass(frozen=True)
class BatchCounts:
    """Votes of a batch as numbers still to be judged."""

    votes: dict[str, Float[np.ndarray, " galaxy"]]
    """Answer column of the tree to its votes, NaN where the table has none."""
    superseded: dict[str, Float[np.ndarray, " galaxy"]]
    """Question to the votes on its earlier wording's answers."""


def count_votes(
    layout: TableLayout, numbers: Numbers, rejects: BatchRejects, config: VotesConfig
) -> BatchCounts:
    """The votes of each answer; rows whose fractions give no whole counts are rejected."""
    counts = BatchCounts({}, {})
    n_galaxies = len(rejects.rows)
    for question in layout.questions:
        columns = question.question.columns
        if question.method == "absent":
            counts.votes.update({column: np.zeros(n_galaxies) for column in columns})
        elif question.method == "counts":
            published = zip(columns, question.columns, strict=True)
            counts.votes.update({column: numbers[name] for column, name in published})
        elif question.method == "fractions":
            _recover(question, numbers, counts, rejects, config)
        elif question.attribute:
            _derive(question.attribute, numbers, counts, rejects)
        else:
            _rebuild(question, numbers, counts, rejects)
        _count_superseded(question, numbers, counts, rejects)
    return counts


def find_absent(
    layout: TableLayout, numbers: Numbers, rejects: BatchRejects
) -> Bool[np.ndarray, " galaxy"]:
    """Galaxies that are not in the campaign: every cell on its answers is empty.

    Tables of several campaigns leave the columns of those that did not show a galaxy empty. A cell
    that is no number is not empty: rows that are rejected already are never absent.
    """
    is_absent = rejects.accepted
    for question in layout.questions:
        of_totals = () if question.method == "counts" else question.totals
        for name in (*question.columns, *question.superseded, *of_totals):
            if name:
                is_absent &= np.isnan(numbers[name])
    return is_absent & bool(layout.number_columns)


def recover_counts(
    fractions: Float[np.ndarray, "galaxy answer"],
    totals: Float[np.ndarray, " galaxy"],
    decimals: int,
) -> tuple[Float[np.ndarray, "galaxy answer"], Bool[np.ndarray, "galaxy answer"]]:
    """Votes that a rounded plain fraction and the total imply, and where they do.

    A fraction k / N rounded to d decimals times N lies within N 10^-d / 2 of k. Where that is half
    a vote or more (N > 1000 for d = 3) it tells nothing.

    Args:
        fractions: plain (unweighted) shares of the votes, each from 0 to 1.
        totals: votes on the question, each >= 0.
        decimals: to how many the fractions were rounded.

    Returns:
        The nearest whole counts, and whether each is implied by its fraction.
    """
    products = fractions * totals[:, None]
    counts = np.round(products)
    # A hundredth more, for fractions that went through single precision.
    margin = totals[:, None] * (0.505 * 10.0**-decimals) + 1e-6
    with np.errstate(invalid="ignore"):
        is_implied = (np.abs(products - counts) <= margin) & (margin < 0.5) & (fractions <= 1)
    return counts, is_implied


def _recover(
    layout: QuestionLayout,
    numbers: Numbers,
    counts: BatchCounts,
    rejects: BatchRejects,
    config: VotesConfig,
) -> None:
    """Counts from plain fractions and a total; the answer without a fraction has the rest."""
    total_name = layout.totals[0]
    totals = numbers[total_name]
    _require_whole(totals, total_name, rejects)
    cells = {**numbers, **_superseded_cells(layout, numbers)}
    given = [name for name in (*layout.columns, *layout.superseded) if name]
    fractions = np.stack([cells[name] for name in given], axis=1)
    # Nobody asked: 0 / 0 is published as an empty cell.
    fractions = np.where(np.isnan(fractions) & (totals == 0)[:, None], 0.0, fractions)
    whole, is_implied = recover_counts(fractions, totals, config.fraction_decimals)
    for i, name in enumerate(given):
        mask = ~is_implied[:, i]
        rejects.add(
            mask & np.isnan(fractions[:, i]),
            name,
            fractions[:, i],
            "the fraction is missing; write 0 where nobody was asked",
        )
        rejects.add(
            mask,
            name,
            fractions[:, i],
            f"fraction x {total_name} is not a whole count within the rounding to "
            f"{config.fraction_decimals} decimals; use plain fractions or a table with counts",
        )
    by_name = {name: whole[:, i] for i, name in enumerate(given)}
    rest = totals - whole.sum(axis=1)
    for column, name in zip(layout.question.columns, layout.columns, strict=True):
        counts.votes[column] = by_name[name] if name else rest
    if "" in layout.columns:
        too_many = f"the fractions add up to more than {total_name}; mend the table"
        rejects.add(rest < 0, total_name, totals, too_many)


def _rebuild(
    layout: QuestionLayout, numbers: Numbers, counts: BatchCounts, rejects: BatchRejects
) -> None:
    """Approximate counts: round(weighted fraction x times asked)."""
    if layout.totals:
        asked = numbers[layout.totals[0]]
        _require_whole(asked, layout.totals[0], rejects)
    else:
        parents = [counts.votes[column] for column in layout.question.asked_after]
        asked = np.sum(parents, axis=0)
    shares = {name: numbers[name] for name in layout.columns}
    # Nobody asked: 0 / 0 is published as an empty cell.
    shares = {name: np.where(np.isnan(s) & (asked == 0), 0.0, s) for name, s in shares.items()}
    total = np.sum(list(shares.values()), axis=0)
    for column, name in zip(layout.question.columns, layout.columns, strict=True):
        share = shares[name]
        is_share = (share >= 0) & (share <= 1)
        rejects.add(~is_share, name, share, "a weighted fraction must be from 0 to 1")
        counts.votes[column] = np.round(share * asked)
    reason = f"the weighted fractions add up to more than {_MAX_SHARE_SUM}; mend the table"
    rejects.add(total > _MAX_SHARE_SUM, layout.question.name, total, reason)


def _derive(
    attribute: PseudoVotes, numbers: Numbers, counts: BatchCounts, rejects: BatchRejects
) -> None:
    """Votes that stand for an expert's attribute; none where it is undefined or missing."""
    values = numbers[attribute.column]
    is_judged = ~(np.isnan(values) | (values == attribute.undefined))
    is_outside = is_judged & ~((values >= 0) & (values <= 1))
    full = np.where(is_judged & ~is_outside, values, 0.0) * attribute.n_votes
    outside = f"an attribute must be from 0 to 1, or {attribute.undefined:g} where undefined"
    rejects.add(is_outside, attribute.column, values, outside)
    uneven = (
        f"attribute x n_votes={attribute.n_votes} is not a whole number of votes; give the "
        "campaign's PseudoVotes an n_votes that makes every step of the attribute whole"
    )
    rejects.add(~(np.abs(full - np.round(full)) <= 1e-6), attribute.column, values, uneven)
    counts.votes[attribute.full] = np.round(full)
    counts.votes[attribute.none] = np.where(is_judged, attribute.n_votes - np.round(full), 0.0)


def _count_superseded(
    layout: QuestionLayout, numbers: Numbers, counts: BatchCounts, rejects: BatchRejects
) -> None:
    """Add up the votes on an earlier wording's answers."""
    if not layout.superseded or layout.method not in ("counts", "fractions"):
        return
    total = np.zeros(len(rejects.rows))
    for name, values in _superseded_cells(layout, numbers).items():
        rejects.add(np.isnan(values), name, values, _MISSING)
        if layout.method == "fractions":
            values = np.round(values * numbers[layout.totals[0]])
        _require_whole(values, name, rejects)
        total = total + values
    counts.superseded[layout.question.name] = total


def _superseded_cells(
    layout: QuestionLayout, numbers: Numbers
) -> dict[str, Float[np.ndarray, " galaxy"]]:
    """Cells on the earlier wording's answers; where all are empty it was not shown: 0."""
    if not layout.superseded:
        return {}
    cells = np.stack([numbers[name] for name in layout.superseded])
    cells = np.where(np.isnan(cells).all(axis=0), 0.0, cells)
    return dict(zip(layout.superseded, cells, strict=True))


def _require_whole(values: Float[np.ndarray, " galaxy"], name: str, rejects: BatchRejects) -> None:
    """Reject rows where a total or a superseded answer is not a whole number >= 0."""
    with np.errstate(invalid="ignore"):
        is_count = np.isfinite(values) & (values >= 0) & (values == np.floor(values))
    rejects.add(~is_count, name, values, "votes must be a whole number, 0 or above")
