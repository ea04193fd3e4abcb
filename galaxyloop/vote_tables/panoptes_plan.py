"""Which cells of a table of Panoptes reductions are votes on which answers of the campaign."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from galaxyloop.campaigns import Campaign
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.reduction_lines import DATA_PREFIX, parse_reductions
from galaxyloop.vote_tables.settings import VoteSource

_TASKS = ("task", "reducer_key")
"""Columns that may name the task: panoptes_aggregation's, and Caesar's."""
_WORKFLOWS = ("workflow_id", "reducible_id")
_NOT_VOTES = ("data.user_ids", "data.aggregation_version")
"""Beginnings of columns that list who voted, and by which software votes were counted."""
_CONSENSUS = {"data.most_likely", "data.num_votes"}
"""Columns of reducers that tell the winner; with their underscores they are nobody's slug."""


@dataclass(frozen=True)
class ReductionColumns:
    """The columns of a table of reductions that are read."""

    subject: str
    task: str
    workflow: str
    """Empty where the table does not say."""
    votes: tuple[str, ...]
    """``data.`` and a slug."""

    @property
    def all(self) -> list[str]:
        """Every column, once."""
        return [*filter(None, (self.subject, self.task, self.workflow)), *self.votes]

    @property
    def slugs(self) -> tuple[str, ...]:
        """The slug of each column of votes."""
        return tuple(name.removeprefix(DATA_PREFIX) for name in self.votes)


def find_columns(header: Sequence[str], source: VoteSource) -> ReductionColumns:
    """The columns to read.

    Raises:
        VoteTableError: the table is not one of vote counts by subject and task.
    """
    task = next((name for name in _TASKS if name in header), "")
    votes = tuple(
        name for name in header if name.startswith(DATA_PREFIX) and not name.startswith(_NOT_VOTES)
    )
    found = _CONSENSUS.intersection(header)
    if found:
        raise VoteTableError(
            f"{source.uri} holds the consensus of the volunteers ({', '.join(sorted(found))}), not "
            "their votes; reduce with the question reducer, which counts them"
        )
    if "classification_id" in header or "subject_id" not in header or not task or not votes:
        raise VoteTableError(
            f"{source.uri} is no table of reductions, which has subject_id, task (or reducer_key) "
            f"and data.<answer> columns, one row a subject and task; it has {', '.join(header[:8])}"
            "; give the reducer's output, or leave reductions out"
        )
    workflow = next((name for name in _WORKFLOWS if name in header), "")
    return ReductionColumns("subject_id", task, workflow, votes)


def refuse_panoptes_rows(header: Sequence[str], source: VoteSource) -> None:
    """Stop at a Panoptes table that is read as if it had one row a galaxy.

    Raises:
        VoteTableError: it has a row a classification, or a row a subject and task.
    """
    has_data = any(name.startswith(DATA_PREFIX) for name in header)
    if "classification_id" in header and "annotations" in header:
        raise VoteTableError(
            f"{source.uri} is an export of classifications, one row a volunteer and subject; set "
            "classifications to say which answer each task and label is (answers: T0.Smooth = "
            "smooth-or-featured-dr5_smooth)"
        )
    if "classification_id" in header and has_data:
        raise VoteTableError(
            f"{source.uri} has one row a classification; count the votes first with "
            "panoptes_aggregation (extract, then reduce with the question reducer), give its "
            "reductions, and say in reductions which answer each task and slug is"
        )
    if has_data and "subject_id" in header and any(name in header for name in _TASKS):
        raise VoteTableError(
            f"{source.uri} is a table of Panoptes reductions, one row a subject and task; set "
            "reductions to say which answer each task and slug is (T0.smooth = "
            "smooth-or-featured-dr5_smooth)"
        )


@dataclass(frozen=True)
class ReductionPlan:
    """For each task, the answer that each column of votes is."""

    answers: tuple[str, ...]
    """Published columns of the votes that are read."""
    tasks: tuple[str, ...]
    """Tasks that have a line."""
    set_aside: tuple[str, ...]
    """Tasks and slugs whose votes are on no answer."""
    _by_task: Mapping[str, Float[np.ndarray, "slug answer"]]
    _named: Mapping[str, Bool[np.ndarray, " slug"]]
    _n_slugs: int

    @classmethod
    def of(
        cls, source: VoteSource, campaign: Campaign, columns: ReductionColumns
    ) -> "ReductionPlan":
        """The plan that a source's ``reductions`` make for a table.

        Raises:
            VoteTableError: an answer is not one of the campaign's.
        """
        lines = parse_reductions(source.reductions)
        published = {
            line: published_column(line.answer, line.name, campaign)
            for line in lines
            if line.answer
        }
        answers = tuple(dict.fromkeys(published.values()))
        tasks = tuple(dict.fromkeys(line.task for line in lines))
        shape = (len(columns.votes), len(answers))
        by_task = {task: np.zeros(shape) for task in tasks}
        named = {task: np.zeros(len(columns.votes), dtype=bool) for task in tasks}
        for line in lines:
            is_column = np.array([line.slug in ("", slug) for slug in columns.slugs], dtype=bool)
            named[line.task] |= is_column
            if line.answer:
                by_task[line.task][is_column, answers.index(published[line])] = 1.0
        aside = tuple(line.name for line in lines if not line.answer)
        return cls(answers, tasks, aside, by_task, named, len(columns.votes))

    def answers_of(self, task: str) -> Float[np.ndarray, "slug answer"]:
        """1 where a slug of the task is a vote for an answer, 0 elsewhere."""
        nothing = np.zeros((self._n_slugs, len(self.answers)))
        return self._by_task.get(task, nothing)

    def is_named(self, task: str) -> Bool[np.ndarray, " slug"]:
        """Slugs of the task that have a line."""
        return self._named.get(task, np.zeros(self._n_slugs, dtype=bool))


def tree_column(answer: str, campaign: Campaign) -> str | None:
    """The answer column of the tree that an answer is, in whatever spelling; None if it is none."""
    spelt = (grammar.answers for grammar in campaign.grammars if answer in grammar.answers)
    return next((answers[answer] for answers in spelt), None)


def published_column(given: str, name: str, campaign: Campaign) -> str:
    """The column in which the campaign's tables count an answer.

    Args:
        given: the answer, in any of the campaign's spellings.
        name: task and label that are mapped to it, for the message.
        campaign: whose answer it must be.

    Raises:
        VoteTableError: the campaign has no such answer.
    """
    suffix = next((s for s, role in campaign.published.suffixes.items() if role == "count"), None)
    spelling = {column: stem for stem, column in [*campaign.published.answers.items()][::-1]}
    answer = tree_column(given, campaign)
    if answer is not None:
        return answer if suffix is None else f"{spelling[answer]}{suffix}"
    if given in campaign.superseded and suffix is not None:
        return f"{given}{suffix}"
    known = [name for grammar in campaign.grammars for name in grammar.answers]
    close = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"it has {', '.join(known[:5])}..."
    raise VoteTableError(
        f"'{name}' is mapped to '{given}', which is no answer of campaign '{campaign.name}'; {hint}"
    )
