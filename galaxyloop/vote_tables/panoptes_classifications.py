"""A Panoptes export of classifications, one row a volunteer and subject, as one row a galaxy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from galaxyloop.campaigns import find_campaign
from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import MISSING_IDS, Batch, read_batches
from galaxyloop.vote_tables.panoptes import GalaxyVotes, RejectedGalaxy
from galaxyloop.vote_tables.panoptes_answers import (
    AnswerPlan,
    AnswerReader,
    RowProblem,
    cut,
    read_json,
)
from galaxyloop.vote_tables.panoptes_classification_settings import (
    is_within,
    parse_answers,
    read_moment,
    read_version,
)
from galaxyloop.vote_tables.panoptes_rows import ClassificationRow, find_row_columns, read_rows
from galaxyloop.vote_tables.panoptes_subjects import find_key
from galaxyloop.vote_tables.panoptes_tally import NOBODY, Classification, ClassificationTally
from galaxyloop.vote_tables.settings import VoteSource
from galaxyloop.vote_tables.summary import ClassificationCounts

_BATCH_ROWS = 16_384
_SHOWN = 12
_MAX_UNNAMED = 1000
_ANONYMOUS = "not-logged-in-"


def gather_classifications(source: VoteSource, header: Sequence[str]) -> GalaxyVotes:
    """Count the votes of an export of classifications, in the shape of ``gather_reductions``.

    The file is streamed; of each classification 32 bytes are kept, of each volunteer, subject and
    galaxy its name. Every row is used, rejected with its reason, or set aside: it is of another
    workflow or time, unfinished, without an answer, there already, or the volunteer's second.

    Raises:
        VoteTableError: it is no such export, it has labels that ``answers`` does not name, or
            nothing in it counts.
        StorageError: the network or the storage failed; it may work later.
    """
    columns = find_row_columns(header, source)
    campaign = find_campaign(source.campaign)
    plan = AnswerPlan.of(parse_answers(source.classifications.answers), campaign)
    export = _Export(source, columns, AnswerReader(plan))
    for batch in read_batches(source.uri, columns, _BATCH_ROWS):
        export.add(batch)
    return export.finish()


@dataclass
class _Export:
    """What was read of an export so far."""

    source: VoteSource
    columns: list[str]
    answers: AnswerReader
    tally: ClassificationTally = field(default_factory=ClassificationTally)
    n_read: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    rejected: list[RejectedGalaxy] = field(default_factory=list)
    workflows: dict[str, None] = field(default_factory=dict)
    unnamed: Counter[str] = field(default_factory=Counter)
    """Task and label without a line in ``answers`` to the rows that have it."""
    galaxies: dict[str, int] = field(default_factory=dict)
    first_rows: list[int] = field(default_factory=list)
    subjects: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """subject_id to its place, its galaxy's id, and why it has none."""
    volunteers: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        self.n_read += len(batch.rows) + len(batch.malformed)
        for line in batch.malformed:
            reason = f"the line must have {line.n_columns} cells like the header; export it again"
            self._reject(line.row, "", RowProblem("", f"{line.n_cells} cells", reason))
        rows = read_rows(batch.table, self.columns, self.source.uri)
        for row, cells in zip(batch.rows.tolist(), rows, strict=True):
            self._add_row(row, cells, batch.file)

    def finish(self) -> GalaxyVotes:
        """One row a galaxy, in the order in which they came."""
        self._refuse_strangers()
        plan = self.answers.plan
        counted = self.tally.count(len(self.galaxies), len(plan.published))
        self.set_aside["the same classification again"] = counted.n_same
        self.set_aside["the volunteer had classified it before"] = counted.n_repeats
        counts = ClassificationCounts(
            n_read=self.n_read,
            n_used=counted.n_used,
            n_rejected=len(self.rejected),
            n_volunteers=counted.n_volunteers,
            set_aside=dict(+self.set_aside),
            reasons=dict(self._count_reasons().most_common()),
        )
        if self.n_read and not counts.n_used:
            raise VoteTableError(
                f"{self.source.uri}: none of its {self.n_read} classifications counts: "
                f"{self._say_why()}; look at the settings of classifications, and at subject_key"
            )
        return GalaxyVotes(
            id_column=self.source.subject_key or "subject_id",
            rows=np.array(self.first_rows, dtype=np.int64),
            id_strs=np.array(list(self.galaxies), dtype=object),
            votes={name: counted.votes[:, i] for i, name in enumerate(plan.published)},
            set_aside=plan.set_aside,
            rejected_rows=tuple(self.rejected),
            classifications=counts,
        )

    def _add_row(self, row: int, cells: ClassificationRow, file: str) -> None:
        """Use a row, reject it, or set it aside."""
        aside = self._set_aside(cells)
        if isinstance(aside, str):
            self.set_aside[aside] += 1
            return
        problem = aside or self._use(row, cells, file)
        if problem:
            _, id_str, _ = self.subjects.get(cells.subject_ids.strip(), (0, "", ""))
            self._reject(row, id_str, problem)

    def _set_aside(self, cells: ClassificationRow) -> str | RowProblem | None:
        """Why a row is none of those asked for; or why that cannot be told; or nothing."""
        config = self.source.classifications
        workflow = cells.workflow_id.strip()
        self.workflows.setdefault(workflow)
        if workflow != (self.source.workflow_id or next(iter(self.workflows))):
            return "another workflow"
        if config.min_version or config.max_version:
            version = read_version(cells.workflow_version)
            if version is None:
                reason = "workflow_version must be like 66.425; export the table again as text"
                return RowProblem("workflow_version", cut(cells.workflow_version), reason)
            if not is_within(version, config.min_version, config.max_version):
                return "another version of the workflow"
        moment = read_moment(cells.created_at)
        if moment is None:
            reason = "created_at must be like 2018-03-20 10:00:00 UTC"
            return RowProblem("created_at", cut(cells.created_at), reason)
        if config.created_from and moment < (read_moment(config.created_from) or 0):
            return "before created_from"
        if cells.gold_standard.strip().casefold() in ("true", "t", "1"):
            return "an expert's gold standard"
        return self._find_unfinished(cells.metadata) if config.need_finished else None

    @staticmethod
    def _find_unfinished(metadata: str) -> str | RowProblem | None:
        """Whether a volunteer left before the end."""
        content = read_json(metadata)
        if not isinstance(content, dict):
            reason = "the metadata are no JSON object; export them again"
            return RowProblem("metadata", cut(metadata), reason)
        return None if content.get("finished_at") else "unfinished"

    def _use(self, row: int, cells: ClassificationRow, file: str) -> RowProblem | None:
        """Take a row's answers, or say why they cannot be taken."""
        number = cells.classification_id.strip()
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            reason = "classification_id must be a whole number"
            return RowProblem("classification_id", cut(number), reason)
        subject = cells.subject_ids.strip()
        if ";" in subject or not subject:
            several = "several subjects in one classification; which one a vote is on is not told"
            reason = several if subject else "no subject; export the table again"
            return RowProblem("subject_ids", cut(subject), reason)
        place, id_str, problem = self._find_subject(subject, cells.subject_data)
        if problem:
            return RowProblem("subject_data", cut(cells.subject_data), problem)
        given = self.answers.read(cells.annotations)
        for name in given.unnamed:
            if name in self.unnamed or len(self.unnamed) < _MAX_UNNAMED:
                self.unnamed[name] += 1
        if given.problem:
            return given.problem
        if not given.places:
            self.set_aside["no answer"] += 1
            return None
        galaxy = self.galaxies.setdefault(id_str, len(self.galaxies))
        if galaxy == len(self.first_rows):
            self.first_rows.append(row)
        self.tally.add(
            Classification(
                number=int(number),
                galaxy=galaxy,
                target=galaxy if self.source.classifications.one_vote_per == "galaxy" else place,
                volunteer=self._find_volunteer(cells, file),
                moment=read_moment(cells.created_at) or 0,
                walk=self.tally.number_of(given.places),
            )
        )
        return None

    def _find_subject(self, subject: str, subject_data: str) -> tuple[int, str, str]:
        """Place of a subject, its galaxy's id, and why it has none."""
        found = self.subjects.get(subject)
        if found is None or found[2]:
            id_str, problem = subject, ""
            if self.source.subject_key:
                content = read_json(subject_data)
                values = content.get(subject) if isinstance(content, dict) else None
                id_str, problem = "", "subject_data hold no JSON object of the subject"
                if isinstance(values, dict):
                    id_str, problem = find_key(values, self.source.subject_key)
            found = (len(self.subjects) if found is None else found[0], id_str, problem)
            self.subjects[subject] = found
        return found

    def _find_volunteer(self, cells: ClassificationRow, file: str) -> int:
        """Place of the volunteer; who is not logged in has a name in one export only."""
        user_id, name = cells.user_id.strip(), cells.user_name.strip()
        who = (file if name.startswith(_ANONYMOUS) else "name", name)
        if user_id.casefold() not in MISSING_IDS:
            who = ("", user_id.removesuffix(".0"))
        elif name.casefold() in MISSING_IDS:
            return NOBODY
        return self.volunteers.setdefault(who, len(self.volunteers))

    def _reject(self, row: int, id_str: str, problem: RowProblem) -> None:
        """Keep a row that cannot be used, with the reason."""
        self.rejected.append(RejectedGalaxy(row, id_str, *problem))

    def _refuse_strangers(self) -> None:
        """Stop where the export and the source's settings do not fit one another."""
        uri, wanted = self.source.uri, self.source.workflow_id
        if not wanted and len(self.workflows) > 1:
            raise VoteTableError(
                f"{uri} holds the workflows {', '.join(self.workflows)}, whose tasks differ; set "
                "workflow_id to one of them"
            )
        if wanted and self.n_read and wanted not in self.workflows:
            raise VoteTableError(
                f"{uri} has no classifications of workflow_id '{wanted}'; it has those of "
                f"{', '.join(self.workflows)}"
            )
        if self.unnamed:
            told = [f"{name} ({n} rows)" for name, n in self.unnamed.most_common()]
            more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
            raise VoteTableError(
                f"{uri} has labels that answers does not name: {', '.join(told[:_SHOWN])}{more}. "
                "Say which answer each is (TASK.LABEL = ANSWER, or TASK[0] = ANSWER for answers "
                "that are numbers), or set it aside (TASK.LABEL =, or TASK = for all of the task)"
            )

    def _count_reasons(self) -> Counter[str]:
        """How many rows are rejected for each reason."""
        return Counter(one.reason for one in self.rejected)

    def _say_why(self) -> str:
        """Why rows are not used, the most frequent reason first."""
        reasons = self.set_aside + self._count_reasons()
        return ", ".join(f"{n} x {reason}" for reason, n in reasons.most_common(5))
