"""From the annotations of one classification to answers of the campaign."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeGuard

from galaxyloop.campaigns import Campaign
from galaxyloop.decision_tree import Question
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.panoptes_classification_settings import AnswerLine, clean_label
from galaxyloop.vote_tables.panoptes_plan import published_column, tree_column

UNRESOLVED = "unknown answer label"
"""What an export writes for an answer whose label Panoptes could not find."""
_MAX_SHOWN = 80
_MAX_DEPTH = 8
_CACHED = 65_536

Given = str | int
"""What a volunteer answered: a cleaned label, or the answer's number from 0."""


class RowProblem(NamedTuple):
    """Why a row of the export cannot be used."""

    column: str
    value: str
    reason: str


class WalkAnswers(NamedTuple):
    """What one classification says."""

    places: tuple[int, ...] = ()
    """Answers among those of the ``AnswerPlan``."""
    unnamed: tuple[str, ...] = ()
    """Tasks with labels that no line names: ``T0.smooth``."""
    problem: RowProblem | None = None
    """Why it cannot be counted."""


@dataclass(frozen=True)
class AnswerPlan:
    """For each task and label, the answer that it is."""

    published: tuple[str, ...]
    """Published column of each answer that is counted."""
    questions: tuple[str, ...]
    """Question of the tree of each."""
    parents: tuple[frozenset[int], ...]
    """For each answer, the answers of which one must have led to its question; none if everybody
    is asked, or if the source does not name all of them."""
    set_aside: tuple[str, ...]
    """Tasks and labels whose votes are on no answer."""
    by_task: Mapping[str, Mapping[Given, int | None]]
    """Task to label or number to the answer's place; None where it is set aside."""
    whole_tasks: frozenset[str]
    """Tasks that are set aside whole."""

    @classmethod
    def of(cls, lines: tuple[AnswerLine, ...], campaign: Campaign) -> "AnswerPlan":
        """The plan that a source's lines make.

        Raises:
            VoteTableError: an answer, or a question, is not one of the campaign's.
        """
        # A label's own line goes before the words of its task's question.
        ordered = sorted(lines, key=lambda line: line.given is not None)
        named = [one for line in ordered for one in _spread(line, campaign)]
        published = {
            line: published_column(line.answer, line.name, campaign)
            for line in named
            if line.answer
        }
        answers = tuple(dict.fromkeys(published.values()))
        columns = {
            published[line]: tree_column(line.answer, campaign)
            or f"{campaign.superseded[line.answer]}_"
            for line in published
        }
        by_task: dict[str, dict[Given, int | None]] = {}
        for line in named:
            if line.given is not None:
                place = answers.index(published[line]) if line.answer else None
                by_task.setdefault(line.task, {})[line.given] = place
        order = [columns[name] for name in answers]
        return cls(
            published=answers,
            questions=tuple(column.rpartition("_")[0] for column in order),
            parents=tuple(_parents(column, order, campaign) for column in order),
            set_aside=tuple(line.name for line in lines if not line.answer),
            by_task=by_task,
            whole_tasks=frozenset(
                line.task for line in lines if line.given is None and not line.answer
            ),
        )


def _spread(line: AnswerLine, campaign: Campaign) -> Iterator[AnswerLine]:
    """A line for each answer of a question that is given for a whole task."""
    if line.given is not None or not line.answer:
        yield line
        return
    tree = campaign.tree
    if line.answer not in tree.question_names:
        raise VoteTableError(
            f"answers: task '{line.name}' is mapped to '{line.answer}', which is no question of "
            f"campaign '{campaign.name}' (it has {', '.join(tree.question_names)}); name one, or "
            "give a line to each label (TASK.LABEL = ANSWER)"
        )
    question = tree.question(line.answer)
    for answer, column in zip(question.answers, question.columns, strict=True):
        yield AnswerLine(line.task, answer, column)


def _parents(column: str, order: list[str], campaign: Campaign) -> frozenset[int]:
    """Places of the answers that lead to an answer's question, if all of them are counted."""
    questions: dict[str, Question] = {
        own: question for question in campaign.tree.questions for own in question.columns
    }
    if column not in questions:
        return frozenset()
    leading = questions[column].asked_after
    return frozenset(map(order.index, leading)) if set(leading) <= set(order) else frozenset()


class AnswerReader:
    """Reads annotations by a plan; most volunteers write one of a few thousand texts."""

    def __init__(self, plan: AnswerPlan) -> None:
        """Nothing is read yet."""
        self.plan = plan
        self.read = lru_cache(maxsize=_CACHED)(self._read)

    def _read(self, annotations: str) -> WalkAnswers:
        """What a cell of annotations says: a JSON list with an object a task."""
        content = read_json(annotations)
        if content is None:
            return WalkAnswers()
        if not _is_annotations(content):
            reason = "the annotations are no JSON list of tasks; export them again"
            return _refused(annotations, reason)
        chosen: dict[str, int] = {}
        unnamed: list[str] = []
        for task, value in _flatten(content):
            if task in self.plan.whole_tasks:
                continue
            if problem := self._find_problem(task, value):
                return _refused(*problem)
            given = clean_label(value) if isinstance(value, str) else value
            place, is_named = self._find(task, given)
            if not is_named:
                unnamed.append(_name(task, given))
            elif place is not None:
                question = self.plan.questions[place]
                if chosen.setdefault(question, place) != place:
                    reason = f"two answers to '{question}' in one classification"
                    return _refused(annotations, reason)
        return self._walk(tuple(sorted(chosen.values())), tuple(unnamed), annotations)

    def _find_problem(self, task: str, value: object) -> tuple[str, str] | None:
        """What is wrong with the answer to a task: value and reason."""
        is_one = isinstance(value, str | int) and not isinstance(value, bool)
        if not is_one and task in self.plan.by_task:
            reason = f"task {task} has something other than one answer; set the task aside"
            return json.dumps(value), reason
        if isinstance(value, str) and clean_label(value) == UNRESOLVED:
            return f"{task}: {value}", "Panoptes did not find the answer's label"
        return None

    def _find(self, task: str, given: object) -> tuple[int | None, bool]:
        """The answer's place, and whether a line names it."""
        known = self.plan.by_task.get(task, {})
        if not isinstance(given, str | int):
            return None, False
        if given in known:
            return known[given], True
        # An answer's name is its label with dashes: cant-tell, more-than-4.
        name = given.replace("'", "").replace(" ", "-") if isinstance(given, str) else given
        return known.get(name), name in known

    def _walk(
        self, places: tuple[int, ...], unnamed: tuple[str, ...], annotations: str
    ) -> WalkAnswers:
        """The answers, if one led to the other."""
        for place in places:
            leading = self.plan.parents[place]
            if leading and leading.isdisjoint(places):
                question = self.plan.questions[place]
                reason = f"'{question}' was answered though no answer given leads to it"
                return WalkAnswers((), unnamed, RowProblem("annotations", cut(annotations), reason))
        return WalkAnswers(places, unnamed)


def read_json(text: str) -> object:
    """The value of a JSON text; an exception's stand-in, ``...``, where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return ...


def _is_annotations(content: object) -> TypeGuard[list[object]]:
    """Whether a JSON value is a list of objects."""
    return isinstance(content, list) and all(isinstance(one, dict) for one in content)


def _flatten(annotations: list[object], depth: int = 0) -> Iterator[tuple[str, object]]:
    """Task and value of each annotation; those within a combo in its place."""
    for one in annotations:
        if not isinstance(one, Mapping):
            continue
        task, value = str(one.get("task") or ""), one.get("value")
        parts = value if isinstance(value, list) else []
        is_combo = any(isinstance(part, Mapping) and "task" in part for part in parts)
        if is_combo and depth < _MAX_DEPTH:
            yield from _flatten(parts, depth + 1)
        elif value is not None and value not in ("", []):
            yield task, value


def _name(task: str, given: object) -> str:
    """A task and what was answered, as a line would name them; of no single answer the task."""
    return AnswerLine(task, given, "").name if isinstance(given, str | int) else task


def _refused(value: str, reason: str) -> WalkAnswers:
    """A classification that cannot be counted."""
    return WalkAnswers(problem=RowProblem("annotations", cut(value), reason))


def cut(text: str) -> str:
    """A value as the rejects table shows it: short, and with half characters escaped."""
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
