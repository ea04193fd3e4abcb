"""What the library knows of one campaign: its tree, and how its vote tables name their columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from galaxyloop.decision_tree import DecisionTree

Role = Literal["count", "fraction", "weighted_fraction", "total", "statistic", "predicted"]
"""What a published column holds about an answer (or, for totals, about a question)."""

DASH_SUFFIXES: Mapping[str, Role] = MappingProxyType(
    {
        "": "count",
        "_fraction": "fraction",
        "_weighted_fraction": "weighted_fraction",
        "_total-votes": "total",
        "_total": "total",
        "_debiased": "statistic",
        "_min": "statistic",
        "_max": "statistic",
        "_prediction": "statistic",
        "_prediction-conf": "statistic",
        "_prediction-encoded": "statistic",
        "_pred": "predicted",
        "_concentration": "predicted",
        "_concentration_mean": "predicted",
        "_dirichlet": "predicted",
        "_90pc-lower": "predicted",
        "_90pc-upper": "predicted",
        "_fraction_p05": "predicted",
        "_fraction_p95": "predicted",
        "_asked": "predicted",
        "_proportion-asked": "predicted",
        "_proportion_volunteers_asked": "predicted",
    }
)
"""Endings of `question_answer` columns since GZ DECaLS; no ending means vote counts."""


@dataclass(frozen=True)
class Reading:
    """What one published column is about."""

    question: str
    """Question of the tree: ``bar-gz2``."""
    role: Role
    """What the column holds."""
    stem: str
    """The column without its ending: ``t03_bar_a06_bar``, or for totals that of the question."""
    answer: str | None = None
    """Answer column of the tree; None for a total or for an answer that the tree lacks."""


@dataclass(frozen=True)
class Grammar:
    """How one kind of table spells answers and what it measures about them."""

    answers: Mapping[str, str]
    """Published spelling of an answer to the answer column of the tree."""
    questions: Mapping[str, str]
    """Published spelling of a question to the question of the tree."""
    suffixes: Mapping[str, Role]
    """Endings that follow the spelling, and what such a column holds."""
    totals: Mapping[str, str] = field(default_factory=dict)
    """Further columns that hold the total votes of a question."""

    def read(self, column: str) -> Reading | None:
        """What the column holds; None if it is not about a question of the tree.

        A reading without an answer, of role count or fraction, is an answer that the tree lacks.
        """
        if column in self.totals:
            return Reading(self.totals[column], "total", column)
        for suffix in self._longest_first:
            if not column.endswith(suffix):
                continue
            stem, role = column[: len(column) - len(suffix)], self.suffixes[suffix]
            if stem in self.answers:
                answer = self.answers[stem]
                return Reading(answer.rpartition("_")[0], role, stem, answer)
            if stem in self.questions:
                return Reading(self.questions[stem], role, stem)
        return self._read_unknown_answer(column)

    @cached_property
    def _longest_first(self) -> tuple[str, ...]:
        """Endings in an order in which none hides a longer one."""
        return tuple(sorted(self.suffixes, key=len, reverse=True))

    def _read_unknown_answer(self, column: str) -> Reading | None:
        """An answer of a known question that the tree lacks; not a statistic of a known one."""
        suffix = next((s for s in self._longest_first if column.endswith(s)), None)
        if suffix is None or any(column.startswith(f"{stem}_") for stem in self.answers):
            return None
        stem = column[: len(column) - len(suffix)]
        for prefix, question in self.questions.items():
            answer = stem.removeprefix(f"{prefix}_")
            # Without an ending to go by, words joined by "_" are more than an answer.
            if answer != stem and (suffix or "_" not in answer):
                return Reading(question, self.suffixes[suffix], stem)
        return None


def dash_grammar(tree: DecisionTree, own: str = "", published: str = "") -> Grammar:
    """Columns ``question_answer``, with another ending of the questions than the tree's.

    Args:
        tree: the campaign's questions.
        own: ending of the tree's questions: ``-dr8``.
        published: what the tables write in its place: nothing, or ``-jwst``.
    """
    questions = {name.removesuffix(own) + published: name for name in tree.question_names}
    return Grammar(
        answers={
            f"{spelling}_{answer}": f"{name}_{answer}"
            for spelling, name in questions.items()
            for answer in tree.question(name).answers
        },
        questions=questions,
        suffixes=DASH_SUFFIXES,
    )


Tasks = Mapping[str, tuple[str, Mapping[str, str]]]
"""Published task to the question of the tree, and its published answers to the question's."""


def task_grammar(
    tasks: Tasks, suffixes: Mapping[str, Role], totals: Mapping[str, str] | None = None
) -> Grammar:
    """Columns ``task_answer`` with numbered tasks: ``t03_bar_a06_bar``.

    Args:
        tasks: what is published of which question.
        suffixes: endings, and what such a column holds.
        totals: further columns that hold the total votes of a question.
    """
    return Grammar(
        answers={
            f"{task}_{spelling}": f"{question}_{answer}"
            for task, (question, answers) in tasks.items()
            for spelling, answer in answers.items()
        },
        questions={task: question for task, (question, _) in tasks.items()},
        suffixes=suffixes,
        totals=totals or {},
    )


@dataclass(frozen=True)
class PseudoVotes:
    """An expert's attribute from 0 to 1, to be read as votes on a question of two answers."""

    column: str
    """Published column of the attribute: ``Bar_Length``."""
    question: str
    """Question of the tree: ``bar-efigi``."""
    full: str
    """Answer column that an attribute of 1 votes for: ``bar-efigi_yes``."""
    none: str
    """Answer column that an attribute of 0 votes for: ``bar-efigi_no``."""
    n_votes: int = 8
    """Pseudo-votes that one attribute is worth."""
    undefined: float = -1.0
    """Published value of an attribute that was not judged; it gives no votes."""


@dataclass(frozen=True)
class Campaign:
    """One run of Galaxy Zoo: a decision tree and the tables that report its votes."""

    name: str
    """Short name, as configs give it: ``gz2``."""
    title: str
    """Name in words."""
    reference: str
    """The paper that reports the votes."""
    tree: DecisionTree
    """Questions and answers, with the parents that volunteers really pass."""
    published: Grammar
    """Spelling of the campaign's released tables."""
    id_columns: tuple[str, ...]
    """Columns that may name a galaxy, the preferred first."""
    superseded: Mapping[str, str] = field(default_factory=dict)
    """Published answers of an earlier wording, to the question (of the tree) they were given to.

    Where anybody gave one of them, all the galaxy's votes on that question are set aside.
    """
    further_spellings: tuple[Grammar, ...] = ()
    """Other tables of the same votes, such as copies for machine learning."""
    pseudo_votes: tuple[PseudoVotes, ...] = ()
    """Attributes of a derived campaign, in which no volunteers voted."""

    @property
    def is_derived(self) -> bool:
        """Whether its votes stand for an expert's attributes."""
        return bool(self.pseudo_votes)

    @cached_property
    def grammars(self) -> tuple[Grammar, ...]:
        """Spellings that are read: the released tables', others, and the tree's own columns."""
        return (self.published, *self.further_spellings, dash_grammar(self.tree))
