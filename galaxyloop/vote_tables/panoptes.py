"""Tables of Panoptes reductions, one row a subject and task, as one row a galaxy."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from galaxyloop.campaigns import find_campaign
from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import Batch, read_batches
from galaxyloop.vote_tables.cells import read_ids, read_numbers
from galaxyloop.vote_tables.panoptes_plan import ReductionColumns, ReductionPlan, find_columns
from galaxyloop.vote_tables.panoptes_subjects import SubjectIds, find_subject_ids
from galaxyloop.vote_tables.rejects import BatchRejects
from galaxyloop.vote_tables.settings import VoteSource
from galaxyloop.vote_tables.summary import ClassificationCounts

_BATCH_ROWS = 16_384
_SHOWN = 12
"""Slugs that an error lists."""


@dataclass(frozen=True)
class RejectedGalaxy:
    """A galaxy that cannot be made a row of the table."""

    row: int
    """Position in the file of its first row."""
    id_str: str
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class GalaxyVotes:
    """Votes that were gathered from several rows a galaxy, held in memory."""

    id_column: str
    rows: Int[np.ndarray, " galaxy"]
    """Position in the file of each galaxy's first row."""
    id_strs: np.ndarray
    votes: dict[str, Float[np.ndarray, " galaxy"]]
    """Published answer column to its votes."""
    set_aside: tuple[str, ...] = ()
    """Tasks and slugs that are votes on none of the campaign's answers."""
    rejected: tuple[RejectedGalaxy, ...] = ()
    rejected_rows: tuple[RejectedGalaxy, ...] = ()
    """Classifications that cannot be used; each is one of several of a galaxy."""
    classifications: ClassificationCounts | None = None
    """How many classifications the votes are from, and what became of the others."""


def gather_reductions(source: VoteSource, header: Sequence[str]) -> GalaxyVotes:
    """Read a table of reductions whole and pivot it.

    The table may be of panoptes_aggregation's question reducer (slugs of the answers' labels) or
    of Caesar (the answers' numbers from 0). An empty cell is 0 votes; so is a slug that the table
    lacks because nobody gave that answer. Memory grows with the galaxies times their answers.

    Raises:
        VoteTableError: it is no table of votes by subject and task, it has votes that the source's
            ``reductions`` do not name, or these name what does not exist.
        StorageError: the network or the storage failed; it may work later.
    """
    columns = find_columns(header, source)
    plan = ReductionPlan.of(source, find_campaign(source.campaign), columns)
    tally = _Tally(source, columns, plan)
    for batch in read_batches(source.uri, columns.all, _BATCH_ROWS):
        tally.add(batch)
    return tally.finish()


@dataclass
class _Tally:
    """Votes seen so far, by subject."""

    source: VoteSource
    columns: ReductionColumns
    plan: ReductionPlan
    subjects: dict[str, int] = field(default_factory=dict)
    """subject_id to its place."""
    first_rows: list[int] = field(default_factory=list)
    tasks: dict[str, int] = field(default_factory=dict)
    """Task to its place among those met."""
    workflows: dict[str, None] = field(default_factory=dict)
    unnamed: dict[tuple[str, str], float] = field(default_factory=dict)
    """Task and slug without a line in ``reductions`` to its votes."""
    bad: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Place of a subject to column, value and reason."""
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)
    """Subject, answer and votes, where there are any."""
    walks: list[Int[np.ndarray, "row two"]] = field(default_factory=list)
    """Subject and task of each row."""

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        uri = self.source.uri
        if batch.malformed:
            line = batch.malformed[0]
            raise VoteTableError(
                f"{uri}: row {line.row} has {line.n_cells} cells, not {line.n_columns} like the "
                "header, so some subject lacks a task; export the reductions again"
            )
        is_mine = self._of_workflow(batch)
        id_strs = read_ids(batch.table.column(self.columns.subject), self.columns.subject, uri)
        tasks = read_ids(batch.table.column(self.columns.task), self.columns.task, uri)
        rejects = BatchRejects(batch.rows, pa.array(id_strs, pa.string()))
        cells = [
            read_numbers(batch.table.column(name), name, rejects, uri)
            for name in self.columns.votes
        ]
        votes = np.nan_to_num(np.stack(cells, axis=1), nan=0.0, posinf=np.inf, neginf=-np.inf)
        self._reject_broken(votes, rejects)
        places = self._place(id_strs, batch.rows, is_mine)
        for position, found in rejects.found.items():
            if is_mine[position]:
                self.bad.setdefault(int(places[position]), found)
        is_whole = is_mine & rejects.accepted
        for task in dict.fromkeys(tasks[is_mine]):
            self.tasks.setdefault(task, len(self.tasks))
            self._count(task, places, votes, is_whole & (tasks == task))
        codes = np.array([self.tasks.get(task, -1) for task in tasks[is_mine]], dtype=np.int64)
        self.walks.append(np.stack([places[is_mine], codes], axis=1))

    def finish(self) -> GalaxyVotes:
        """One row a galaxy, in the order in which the subjects came."""
        self._refuse_strangers()
        self._reject_repeats()
        names = list(self.subjects)
        ids = self._find_ids(names)
        votes = np.zeros((len(names), len(self.plan.answers)))
        for places, answers, numbers in self.parts:
            np.add.at(votes, (places, answers), numbers)
        kept = np.array([place not in self.bad for place in range(len(names))], dtype=bool)
        return GalaxyVotes(
            id_column=self.source.subject_key or self.columns.subject,
            rows=np.array(self.first_rows, dtype=np.int64)[kept],
            id_strs=np.array([ids.get(name, name) for name in names], dtype=object)[kept],
            votes={name: votes[kept, number] for number, name in enumerate(self.plan.answers)},
            set_aside=self.plan.set_aside,
            rejected=tuple(
                RejectedGalaxy(self.first_rows[place], ids.get(names[place], names[place]), *why)
                for place, why in sorted(self.bad.items())
            ),
        )

    def _of_workflow(self, batch: Batch) -> Bool[np.ndarray, " row"]:
        """Rows of the workflow that is read."""
        name = self.columns.workflow
        if not name:
            return np.ones(len(batch.rows), dtype=bool)
        workflows = read_ids(batch.table.column(name), name, self.source.uri)
        self.workflows.update(dict.fromkeys(workflows))
        wanted = self.source.workflow_id or next(iter(self.workflows), "")
        return np.asarray(workflows == wanted, dtype=bool)

    def _reject_broken(self, votes: Float[np.ndarray, "row slug"], rejects: BatchRejects) -> None:
        """Reject rows with a cell that is no number of votes."""
        is_broken = ~(np.isfinite(votes) & (votes >= 0) & (votes == np.floor(votes)))
        for number in np.flatnonzero(is_broken.any(axis=0)):
            reason = "votes must be a whole number, 0 or above; reduce without weights"
            name = self.columns.votes[number]
            rejects.add(is_broken[:, number], name, votes[:, number], reason)

    def _place(
        self, id_strs: np.ndarray, rows: np.ndarray, is_mine: Bool[np.ndarray, " row"]
    ) -> Int[np.ndarray, " row"]:
        """The place of each row's subject; new ones come last."""
        places = np.full(len(rows), -1, dtype=np.int64)
        for position in np.flatnonzero(is_mine):
            place = self.subjects.setdefault(id_strs[position], len(self.subjects))
            if place == len(self.first_rows):
                self.first_rows.append(int(rows[position]))
            places[position] = place
        return places

    def _count(
        self,
        task: str,
        places: Int[np.ndarray, " row"],
        votes: Float[np.ndarray, "row slug"],
        is_counted: Bool[np.ndarray, " row"],
    ) -> None:
        """Add the votes that the rows of one task hold."""
        counted = votes[is_counted]
        by_slug = np.where(self.plan.is_named(task), 0.0, counted.sum(axis=0))
        for number in np.flatnonzero(by_slug):
            slug = (task, self.columns.slugs[number])
            self.unnamed[slug] = self.unnamed.get(slug, 0.0) + float(by_slug[number])
        answers = counted @ self.plan.answers_of(task)
        rows, numbers = np.nonzero(answers)
        self.parts.append((places[is_counted][rows], numbers, answers[rows, numbers]))

    def _refuse_strangers(self) -> None:
        """Stop where the table and the source's settings do not fit one another."""
        uri, wanted = self.source.uri, self.source.workflow_id
        if wanted and self.columns.workflow and wanted not in self.workflows and self.workflows:
            raise VoteTableError(
                f"{uri} has no reductions of workflow_id '{wanted}'; it has those of "
                f"{', '.join(self.workflows)}"
            )
        if not wanted and len(self.workflows) > 1:
            raise VoteTableError(
                f"{uri} holds the workflows {', '.join(self.workflows)}, whose tasks differ; set "
                "workflow_id to one of them"
            )
        unknown = [task for task in self.plan.tasks if task not in self.tasks]
        if unknown and self.tasks:
            raise VoteTableError(
                f"{uri} has no task {', '.join(unknown)} (it has {', '.join(self.tasks)}); mend "
                "or remove its lines in reductions"
            )
        if self.unnamed:
            told = [f"{task}.{slug}: {n:g} votes" for (task, slug), n in self.unnamed.items()]
            more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
            raise VoteTableError(
                f"{uri} has votes that reductions does not name: {'; '.join(told[:_SHOWN])}{more}. "
                "Say which answer each is (TASK.SLUG = ANSWER), or set it aside (TASK.SLUG =)"
            )

    def _reject_repeats(self) -> None:
        """Reject subjects with two rows of one task: their votes would count twice."""
        if not self.walks:
            return
        names = list(self.tasks)
        walks = pd.DataFrame(np.concatenate(self.walks), columns=["place", "task"])
        for place, task in walks[walks.duplicated()].itertuples(index=False, name=None):
            if self.plan.answers_of(names[task]).any():
                reason = "the subject has several rows of one task; keep one reduction of each"
                self.bad.setdefault(int(place), (self.columns.task, names[task], reason))

    def _find_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Survey ids by subject; a subject without one is rejected."""
        source = self.source
        if not source.subjects:
            return {}
        found: SubjectIds = find_subject_ids(source.subjects, source.subject_key, self.subjects)
        for place, name in enumerate(names):
            if name not in found.ids:
                absent = "the subjects export does not have this subject; export it anew"
                reason = found.problems.get(name, absent)
                self.bad.setdefault(place, (self.columns.subject, name, reason))
        return found.ids
