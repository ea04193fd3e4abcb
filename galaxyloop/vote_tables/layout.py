"""Which columns of a published table hold which votes, decided from its header alone."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from galaxyloop.campaigns import CAMPAIGNS, Campaign, Grammar, Reading
from galaxyloop.decision_tree import Question
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.settings import VoteSource

Method = Literal["counts", "fractions", "weighted", "absent"]
"""How a question's votes are had: as published, from plain fractions and a total, rebuilt from
weighted fractions, or not at all."""


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
        """``counts``, ``fractions`` or ``rebuilt``: the least certain way used."""
        methods = {layout.method for layout in self.questions}
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
    grammar = max(campaign.grammars, key=lambda grammar: _n_answers_known(header, grammar))
    readings = {column: reading for column in header if (reading := grammar.read(column))}
    if not any(reading.answer for reading in readings.values()):
        raise VoteTableError(_say_nothing_recognised(header, source, campaign))
    _refuse_unknown_answers(readings, source, campaign)
    layouts: list[QuestionLayout] = []
    for question in campaign.tree.questions:
        mine = {c: r for c, r in readings.items() if r.question == question.name}
        layouts.append(_question_layout(question, mine, layouts, source, campaign))
    if source.rebuild != "weighted":
        layouts = [_without_rebuilding(layout) for layout in layouts]
    if all(layout.method == "absent" for layout in layouts):
        raise VoteTableError(_say_no_votes(source, campaign, readings))
    id_column = _find_id_column(header, source, campaign)
    read = {id_column, *_columns_of(layouts)}
    ignored = tuple(column for column in header if column not in read)
    return TableLayout(campaign, id_column, tuple(layouts), ignored)


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
    if totals and sum(column == "" for column in fractions) <= 1:
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
    wanted = (source.id_column,) if source.id_column else campaign.id_columns
    for column in wanted:
        if column in header:
            return column
    raise VoteTableError(
        f"{source.uri} has none of the id columns {', '.join(wanted)}; its first columns are "
        f"{', '.join(header[:5])}; set id_column to the one that names the galaxies"
    )


def _refuse_unknown_answers(
    readings: dict[str, Reading], source: VoteSource, campaign: Campaign
) -> None:
    """Stop at an answer that the tree lacks: to drop it would bend the fractions of the rest."""
    for column, reading in readings.items():
        is_votes = reading.role in ("count", "fraction") and reading.answer is None
        if is_votes and reading.stem not in campaign.superseded:
            known = campaign.tree.question(reading.question).answers
            raise VoteTableError(
                f"{source.uri}: column '{column}' is an answer to '{reading.question}' that "
                f"campaign '{campaign.name}' does not know (it knows {', '.join(known)}); name "
                "the right campaign, or rename or drop the column"
            )


def _n_answers_known(header: Sequence[str], grammar: Grammar) -> int:
    """How many columns of the header are about answers that the grammar spells."""
    return sum(bool((reading := grammar.read(column)) and reading.answer) for column in header)


def _say_nothing_recognised(header: Sequence[str], source: VoteSource, campaign: Campaign) -> str:
    """Why a table without any known column is refused, and which campaign it may be."""
    best = max(
        (candidate for candidate in CAMPAIGNS.values() if candidate.name != campaign.name),
        key=lambda other: max(_n_answers_known(header, grammar) for grammar in other.grammars),
        default=campaign,
    )
    n_known = max(_n_answers_known(header, grammar) for grammar in best.grammars)
    example = next(iter(campaign.published.answers))
    shown = ", ".join(header[:6])
    said = f"{source.uri} has no column of campaign '{campaign.name}' (such as {example}...): "
    if n_known:
        return f"{said}{n_known} of its columns look like campaign '{best.name}'; name that one"
    if any("fraction" in column for column in header):
        return (
            f"{said}it has {shown}; fractions without vote counts or totals cannot be turned "
            "into votes; use the campaign's released table with counts"
        )
    return f"{said}its {len(header)} columns are {shown}; is it a vote table, comma-separated?"


def _say_no_votes(source: VoteSource, campaign: Campaign, readings: dict[str, Reading]) -> str:
    """Why a table with fractions alone, or with a model's predictions, is refused."""
    predicted = [column for column, reading in readings.items() if reading.role == "predicted"]
    found = (
        f"columns like {predicted[0]} are a model's predictions"
        if predicted
        else (
            f"its columns of campaign '{campaign.name}', such as {next(iter(readings))}, are "
            "fractions or statistics without totals"
        )
    )
    return (
        f"{source.uri} has no vote counts: {found}, from which votes cannot be recovered; use "
        "the campaign's released table of volunteers' votes with counts"
    )
