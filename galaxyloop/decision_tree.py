"""A campaign's questions and answers, and how volunteers walk from one to the next."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from galaxyloop.errors import DecisionTreeError

Path = dict[str, str]
"""One way down the tree: the answer column given to each question passed."""


@dataclass(frozen=True)
class Question:
    """One question; it is asked after any of some answers, or always."""

    name: str
    """The question with its campaign: ``smooth-or-featured-gz2``."""
    answers: tuple[str, ...]
    """The answers as volunteers see them: ``("smooth", "featured-or-disk", "artifact")``."""
    asked_after: tuple[str, ...] = ()
    """Answer columns, any one of which leads here; empty when everybody is asked."""

    @property
    def columns(self) -> tuple[str, ...]:
        """One column name an answer: ``smooth-or-featured-gz2_smooth``."""
        return tuple(f"{self.name}_{answer}" for answer in self.answers)


@dataclass(frozen=True)
class DecisionTree:
    """Questions in an order in which parents come first.

    A question may follow from several answers; these must exclude one another, so that the
    probability of being asked is the sum over parents of the product along each path.
    Several campaigns make one forest with ``combine_trees``.

    Raises:
        DecisionTreeError: a name repeats, a parent is unknown or comes later, or the
            parents of a question can be given together.
    """

    name: str
    questions: tuple[Question, ...]
    campaigns: tuple[str, ...] = ()
    """Of a combination, the campaign of each question; empty where there is one campaign."""

    def __post_init__(self) -> None:
        """Check the tree once, at load."""
        if self.campaigns and len(self.campaigns) != len(self.questions):
            raise DecisionTreeError(
                f"{self.name} has {len(self.questions)} questions, and campaigns of "
                f"{len(self.campaigns)}; make combinations with combine_trees"
            )
        seen: set[str] = set()
        for question in self.questions:
            _check_question(question, seen, self.name)
            seen.update(question.columns)
        for question in self.questions:
            self._check_parents_exclusive(question)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """All answer columns, question by question: the layout of every vote tensor."""
        return tuple(column for question in self.questions for column in question.columns)

    @cached_property
    def question_names(self) -> tuple[str, ...]:
        """The questions' names in order."""
        return tuple(question.name for question in self.questions)

    @cached_property
    def question_of_answer(self) -> tuple[int, ...]:
        """For each answer column the index of its question."""
        return tuple(i for i, question in enumerate(self.questions) for _ in question.answers)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each question's answers stand in a vote tensor."""
        stops = itertools.accumulate(len(question.answers) for question in self.questions)
        return {
            question.name: slice(stop - len(question.answers), stop)
            for question, stop in zip(self.questions, stops, strict=True)
        }

    @cached_property
    def parts(self) -> tuple["DecisionTree", ...]:
        """The trees that were combined; of one campaign the tree itself."""
        pairs = list(zip(self.campaigns, self.questions, strict=False))
        combined = tuple(
            DecisionTree(name, tuple(question for campaign, question in pairs if campaign == name))
            for name in dict.fromkeys(self.campaigns)
        )
        return combined or (self,)

    @cached_property
    def by_campaign(self) -> dict[str, tuple[str, ...]]:
        """The questions' names, campaign by campaign; one campaign has the tree's own name."""
        return {part.name: part.question_names for part in self.parts}

    def places_of(self, part: "DecisionTree") -> list[int]:
        """Where the columns of a part stand among this tree's."""
        return [self.columns.index(column) for column in part.columns]

    def question(self, name: str) -> Question:
        """The question of that name.

        Raises:
            DecisionTreeError: there is none.
        """
        for question in self.questions:
            if question.name == name:
                return question
        raise DecisionTreeError(
            f"{self.name} has no question '{name}'; questions: {', '.join(self.question_names)}"
        )

    def paths_to(self, column: str) -> Iterator[Path]:
        """Every way down the tree that ends with the given answer."""
        index = self.columns.index(column)
        question = self.questions[self.question_of_answer[index]]
        if not question.asked_after:
            yield {question.name: column}
            return
        for parent in question.asked_after:
            for path in self.paths_to(parent):
                yield {**path, question.name: column}

    def to_json(self) -> str:
        """The tree as text, to be stored beside weights and tables."""
        questions = [
            {"name": q.name, "answers": list(q.answers), "asked_after": list(q.asked_after)}
            for q in self.questions
        ]
        content: dict[str, Any] = {"name": self.name, "questions": questions}
        # Of one campaign the text stays what it was before combinations knew their parts.
        if self.campaigns:
            content["campaigns"] = list(self.campaigns)
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> "DecisionTree":
        """The tree that ``to_json`` wrote."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            data["name"],
            tuple(
                Question(q["name"], tuple(q["answers"]), tuple(q["asked_after"]))
                for q in data["questions"]
            ),
            tuple(data.get("campaigns", ())),
        )

    def _check_parents_exclusive(self, question: Question) -> None:
        """Two parents exclude one another if all their paths part at some common question."""
        for first, second in itertools.combinations(question.asked_after, 2):
            for one, other in itertools.product(self.paths_to(first), self.paths_to(second)):
                if not any(one[name] != other[name] for name in one.keys() & other.keys()):
                    raise DecisionTreeError(
                        f"{self.name}: '{question.name}' is asked after both '{first}' and "
                        f"'{second}', which one volunteer can give together; its probability of "
                        "being asked would exceed 1: keep parents that exclude one another"
                    )


def combine_trees(trees: Sequence[DecisionTree]) -> DecisionTree:
    """One target for several campaigns: all their questions side by side, never mixed.

    The combination knows each question's campaign, by the name of its tree.

    Raises:
        DecisionTreeError: no tree is given, or two share a question's name.
    """
    if not trees:
        raise DecisionTreeError("combine_trees needs at least one tree")
    if len(trees) == 1:
        return trees[0]
    questions = tuple(question for tree in trees for question in tree.questions)
    campaigns = (
        campaign
        for tree in trees
        for campaign in (tree.campaigns or (tree.name,) * len(tree.questions))
    )
    return DecisionTree("+".join(tree.name for tree in trees), questions, tuple(campaigns))


def _check_question(question: Question, seen: set[str], tree_name: str) -> None:
    """Answers distinct, columns new, parents already there."""
    if len(set(question.answers)) < 2 or len(set(question.answers)) < len(question.answers):
        raise DecisionTreeError(
            f"{tree_name}: '{question.name}' needs two or more different answers, "
            f"got {list(question.answers)}"
        )
    repeated = seen.intersection(question.columns)
    if repeated:
        raise DecisionTreeError(
            f"{tree_name}: the columns {sorted(repeated)} appear twice; give each campaign's "
            "questions their own suffix"
        )
    unknown = [column for column in question.asked_after if column not in seen]
    if unknown:
        raise DecisionTreeError(
            f"{tree_name}: '{question.name}' is asked after {unknown}, which no earlier question "
            "offers; put parents first and spell their answers as columns"
        )
