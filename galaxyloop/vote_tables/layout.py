"""Which columns of a published table hold which votes, decided from its header alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from galaxyloop.campaigns import Campaign, Reading
from galaxyloop.campaigns.campaign import PseudoVotes
from galaxyloop.decision_tree import Question
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.refusals import (
    n_answers_known,
    refuse_unknown_answers,
    say_no_votes,
    say_nothing_recognised,
)
from galaxyloop.vote_tables.released import refuse_released
from galaxyloop.vote_tables.settings import VoteSource

Method = Literal["counts", "fractions", "weighted", "attributes", "absent"]
"""How a question's votes are had: as published, from plain fractions and a total, rebuilt from
weighted fractions, from an expert's attribute, or not at all."""


@dataclass(frozen=True)
class QuestionLayout:
    """Where the votes on one question are."""

    question: Question
    method: Method
    columns: tuple[str, ...] = ()
    """Published column of each answer; empty text for the one answer that is the remainder."""
    totals: tuple[str, ...] = ()
    """Published columns with the question's total votes."""
    superseded: tuple[str, ...] = ()
    """Published columns of an earlier wording's answers."""
    note: str = ""
    """Why a question that the table knows of is absent."""
    attribute: PseudoVotes | None = None
    """How the attribute in the one column is read as votes."""


@dataclass(frozen=True)
class TableLayout:
    """Where the votes of a campaign are in one table."""

    campaign: Campaign
    id_column: str
    questions: tuple[QuestionLayout, ...]
    """One an item for every question of the campaign's tree, in order."""
    ignored: tuple[str, ...]
    """Columns of the table that are not read."""

    @property
    def origin(self) -> str:
        """``counts``, ``fractions``, ``rebuilt`` or ``derived``: the least certain way used."""
        methods = {layout.method for layout in self.questions}
        if "attributes" in methods:
            return "derived"
        if "weighted" in methods:
            return "rebuilt"
        return "fractions" if "fractions" in methods else "counts"

    @property
    def number_columns(self) -> tuple[str, ...]:
        """All columns that are read as numbers."""
        return tuple(dict.fromkeys(_columns_of(self.questions)))

    def published_counts(self) -> dict[str, str]:
        """Answer column of the tree to the published column with its count."""
        return {
            column: name
            for layout in self.questions
            if layout.method == "counts"
            for column, name in zip(layout.question.columns, layout.columns, strict=True)
        }


def find_layout(header: Sequence[str], source: VoteSource, campaign: Campaign) -> TableLayout:
    """Decide how the table is read.

    Raises:
        VoteTableError: the table holds no votes of the campaign, or not all answers of a
            question, or answers that the campaign does not know, or no id.
    """
    readable = _without_ignored(header, source)
    layouts = _attribute_layouts(readable, campaign)
    if not layouts:
        refuse_released(header, source)
        layouts = _vote_layouts(readable, source, campaign)
    id_column = _find_id_column(header, source, campaign)
    read = {id_column, *_columns_of(layouts)}
    ignored = tuple(column for column in header if column not in read)
    return TableLayout(campaign, id_column, tuple(layouts), ignored)


def _without_ignored(header: Sequence[str], source: VoteSource) -> list[str]:
    """The columns that may be read."""
    missing = [name for name in source.ignored_columns if name not in header]
    if missing:
        raise VoteTableError(
            f"{source.uri} has no column {', '.join(missing)}, which ignored_columns names; its "
            f"first columns are {', '.join(header[:5])}; mend the names"
        )
    return [name for name in header if name not in source.ignored_columns]


def _vote_layouts(
    header: Sequence[str], source: VoteSource, campaign: Campaign
) -> list[QuestionLayout]:
    """How each question's votes are had from a table of votes."""
    grammar = max(campaign.grammars, key=lambda grammar: n_answers_known(header, grammar))
    readings = {column: reading for column in header if (reading := grammar.read(column))}
    if not any(reading.answer for reading in readings.values()):
        raise VoteTableError(say_nothing_recognised(header, source, campaign))
    refuse_unknown_answers(readings, source, campaign)
    layouts: list[QuestionLayout] = []
    for question in campaign.tree.questions:
        mine = {c: r for c, r in readings.items() if r.question == question.name}
        layouts.append(_question_layout(question, mine, layouts, source, campaign))
    if source.rebuild != "weighted":
        layouts = [_without_rebuilding(layout) for layout in layouts]
    if all(layout.method == "absent" for layout in layouts):
        raise VoteTableError(say_no_votes(source, campaign, readings))
    return layouts


def _attribute_layouts(header: Sequence[str], campaign: Campaign) -> list[QuestionLayout]:
    """How each question's votes are had from experts' attributes; nothing if there are none."""
    published = {a.question: a for a in campaign.pseudo_votes if a.column in header}
    if not published:
        return []
    return [
        QuestionLayout(question, "attributes", (found.column,), attribute=found)
        if (found := published.get(question.name))
        else QuestionLayout(question, "absent")
        for question in campaign.tree.questions
    ]


def _columns_of(layouts: Sequence[QuestionLayout]) -> Iterator[str]:
    """All columns that the layouts read, in order."""
    for layout in layouts:
        for column in (*layout.columns, *layout.totals, *layout.superseded):
            if column:
                yield column


def _question_layout(
    question: Question,
    readings: dict[str, Reading],
    earlier: Sequence[QuestionLayout],
    source: VoteSource,
    campaign: Campaign,
) -> QuestionLayout:
    """The best way to have the question's votes that the table's columns allow."""
    by_role: dict[str, dict[str, str]] = defaultdict(dict)
    for column, reading in readings.items():
        if reading.answer:
            by_role[reading.role][reading.answer] = column
    totals = tuple(column for column, reading in readings.items() if reading.role == "total")

    def superseded(role: str) -> tuple[str, ...]:
        return tuple(
            c for c, r in readings.items() if r.stem in campaign.superseded and r.role == role
        )

    missing = [column for column in question.columns if column not in by_role["count"]]
    if not missing:
        columns = tuple(by_role["count"][column] for column in question.columns)
        return QuestionLayout(question, "counts", columns, totals, superseded("count"))
    if by_role["count"]:
        raise VoteTableError(
            f"{source.uri} has votes on some answers of '{question.name}' but none on {missing}; "
            "give the votes on all answers of a question, or drop the question's columns"
        )
    fractions = tuple(by_role["fraction"].get(column, "") for column in question.columns)
    # Beside a model's columns, fractions are most likely the model's too.
    if totals and not by_role["predicted"] and sum(column == "" for column in fractions) <= 1:
        return QuestionLayout(question, "fractions", fractions, totals, superseded("fraction"))
    weighted = tuple(by_role["weighted_fraction"].get(column, "") for column in question.columns)
    return _weighted_layout(question, weighted, totals, earlier)


def _weighted_layout(
    question: Question,
    weighted: tuple[str, ...],
    totals: tuple[str, ...],
    earlier: Sequence[QuestionLayout],
) -> QuestionLayout:
    """Rebuild the question from weighted fractions if that can be done."""
    if not all(weighted):
        note = "no counts, nor fractions with a total" if any(weighted) else ""
        return QuestionLayout(question, "absent", note=note)
    known = {c for layout in earlier if layout.method != "absent" for c in layout.question.columns}
    if not totals and not (question.asked_after and known.issuperset(question.asked_after)):
        note = "only weighted fractions, and the times it was asked are unknown"
        return QuestionLayout(question, "absent", note=note)
    return QuestionLayout(question, "weighted", weighted, totals)


def _without_rebuilding(layout: QuestionLayout) -> QuestionLayout:
    """The same, but a question that only rebuilding would give is left out."""
    if layout.method != "weighted":
        return layout
    note = "only weighted fractions; set rebuild: weighted to rebuild approximate votes"
    return QuestionLayout(layout.question, "absent", note=note)


def _find_id_column(header: Sequence[str], source: VoteSource, campaign: Campaign) -> str:
    """The column asked for, else the first that the campaign's tables use."""
    if source.is_gathered:
        return header[0]
    wanted = (source.id_column,) if source.id_column else campaign.id_columns
    for column in wanted:
        if column in header:
            return column
    raise VoteTableError(
        f"{source.uri} has none of the id columns {', '.join(wanted)}; its first columns are "
        f"{', '.join(header[:5])}; set id_column to the one that names the galaxies"
    )
