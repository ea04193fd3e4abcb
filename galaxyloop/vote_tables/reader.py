"""One published table of votes, judged batch by batch."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int

from galaxyloop.campaigns import Campaign
from galaxyloop.errors import TooManyRejectsError, VoteTableError
from galaxyloop.table_files import Batch, IdDigits
from galaxyloop.vote_tables.ahead import one_ahead
from galaxyloop.vote_tables.cells import (
    begin_like_numbers,
    check_ids,
    check_new,
    read_id_texts,
    read_numbers,
)
from galaxyloop.vote_tables.checks import (
    check_parents,
    check_size,
    check_totals,
    count_asked,
    set_aside_superseded,
)
from galaxyloop.vote_tables.counts import BatchCounts, count_votes, find_absent
from galaxyloop.vote_tables.id_index import IdIndex
from galaxyloop.vote_tables.layout import TableLayout
from galaxyloop.vote_tables.rejects import BatchRejects, RejectsCounter, malformed_lines
from galaxyloop.vote_tables.settings import VotesConfig
from galaxyloop.vote_tables.sources import SourceTable
from galaxyloop.vote_tables.summary import SourceSummary

logger = logging.getLogger("galaxyloop")

Judge = Callable[[pd.DataFrame, Campaign], pd.DataFrame]
"""Checks each cell of a batch (id_str, then a float column an answer of the campaign) and gives the
failures: row (position in the batch), column, value, reason."""


@dataclass(frozen=True)
class AcceptedVotes:
    """Rows of a batch that passed every check."""

    id_strs: pa.StringArray
    columns: tuple[str, ...]
    counts: BatchCounts
    is_kept: Bool[np.ndarray, " row"]
    """Which rows of ``counts`` they are."""

    def votes(self) -> Int[np.ndarray, "galaxy answer"]:
        """Their votes, each answer's in one piece of memory."""
        kept = slice(None) if self.is_kept.all() else np.flatnonzero(self.is_kept)
        votes = np.empty((len(self.columns), len(self.id_strs)), dtype=np.int32)
        for number, column in enumerate(self.columns):
            votes[number] = self.counts.votes[column][kept]
        return votes.T


@dataclass(frozen=True)
class _CheckedBatch:
    """Rows of a batch, of which only whether their ids are new is unknown."""

    counts: BatchCounts
    rejects: BatchRejects
    exceeding: dict[str, np.ndarray]
    """Question to the rows that have more answers than its parents allow."""
    malformed: list[dict[str, Any]]
    """Lines of the table that are no rows, as lines of the rejects table."""


@dataclass
class SourceReader:
    """Reads one table: accepted rows come out, the others go to ``rejects``."""

    table: SourceTable
    layout: TableLayout
    config: VotesConfig
    judge: Judge
    seen: IdIndex
    """Galaxies of the campaign that have an accepted row, of this table and of earlier ones."""
    rejects: RejectsCounter
    n_read: int = 0
    n_rejected: int = 0
    n_absent: int = 0
    n_known: int = 0
    n_tolerated: Counter[str] = field(default_factory=Counter)
    n_set_aside: Counter[str] = field(default_factory=Counter)
    digits: IdDigits = field(default_factory=IdDigits)

    @cached_property
    def answers(self) -> "pd.Index[str]":
        """Answer columns of the tree."""
        return pd.Index(self.layout.campaign.tree.columns)

    def read(self) -> Iterator[AcceptedVotes]:
        """Stream the whole table.

        Raises:
            VoteTableError: the table is damaged, has no row or no votes, or its ids lost digits.
            TooManyRejectsError: more rows or classifications are rejected than may be.
            StorageError: the network or the storage failed; it may work later.
        """
        uri = self.table.source.uri
        self._reject_classifications()
        before, n_earlier = self.rejects.reasons.copy(), len(self.seen)
        columns = (self.layout.id_column, *self.layout.number_columns)
        self._reject([{**vars(line), "source": uri} for line in self.table.rejected])
        self.n_read += len(self.table.rejected)
        batches = one_ahead(self.table.batches(columns, self.config.batch_rows))
        # While the caller uses one batch, the next is checked and the one after it is read.
        checked_batches = one_ahead(map(self._check, batches))
        with closing(batches), closing(checked_batches):
            for checked in checked_batches:
                check_new(checked.rejects, self.seen, self.layout.id_column, n_earlier)
                self.n_known += len(checked.rejects.known)
                self._reject(checked.malformed + checked.rejects.lines(uri))
                self.n_read += len(checked.rejects.rows) + len(checked.malformed)
                yield self._accept(checked)
        self.n_read += self.n_absent
        if not self.n_read:
            raise VoteTableError(f"{uri} has a header but no rows; fetch it again")
        if complaint := self.digits.complaint():
            raise VoteTableError(f"{uri}: in column '{self.layout.id_column}' {complaint}")
        self._check_rate(self.rejects.reasons - before)
        if self.n_absent and self.n_absent + self.n_rejected == self.n_read:
            raise VoteTableError(
                f"{uri} has no votes of campaign '{self.layout.campaign.name}': in {self.n_absent} "
                f"of its {self.n_read} rows all cells on its answers are empty, and no row is "
                "left; name the right campaign, or leave the table out"
            )
        self._tell_known()

    def summary(self) -> SourceSummary:
        """What was found so far."""
        layout = self.layout
        return SourceSummary(
            uri=self.table.source.uri,
            campaign=layout.campaign.name,
            id_column=layout.id_column,
            votes_origin=layout.origin,
            n_read=self.n_read,
            n_accepted=self.n_read - self.n_rejected - self.n_absent - self.n_known,
            n_rejected=self.n_rejected,
            n_tolerated=dict(+self.n_tolerated),
            n_set_aside=dict(+self.n_set_aside),
            left_out={q.question.name: q.note for q in layout.questions if q.note},
            absent=[
                q.question.name for q in layout.questions if q.method == "absent" and not q.note
            ],
            rebuilt=[q.question.name for q in layout.questions if q.method == "weighted"],
            ignored_columns=list(layout.ignored),
            n_absent=self.n_absent,
            n_known=self.n_known,
            is_derived=layout.campaign.is_derived,
            is_gathered=self.table.gathered is not None,
            classifications=getattr(self.table.gathered, "classifications", None),
        )

    def _reject(self, lines: list[dict[str, Any]]) -> None:
        """Count rejected rows and hand them on."""
        self.n_rejected += len(lines)
        self.rejects.write(lines)

    def _reject_classifications(self) -> None:
        """Hand on single classifications that cannot be used; stop if they are too many."""
        gathered, uri = self.table.gathered, self.table.source.uri
        if gathered is None or gathered.classifications is None:
            return
        lines = [{**vars(line), "source": uri} for line in gathered.rejected_rows]
        self.rejects.store(lines)
        n_rejected = len(lines)
        n_judged = gathered.classifications.n_used + n_rejected
        if n_rejected > self.config.max_reject_rate * n_judged:
            bound, reasons = self.config.max_reject_rate, gathered.classifications.reasons
            what = f"classifications in {uri}"
            raise TooManyRejectsError(what, n_rejected, n_judged, bound, reasons)

    def _check_rate(self, reasons: Counter[str]) -> None:
        """Stop if too few rows are left to be the table that was meant."""
        if self.n_rejected > self.config.max_reject_rate * self.n_read:
            raise TooManyRejectsError(
                f"rows of votes in {self.table.source.uri}",
                self.n_rejected,
                self.n_read,
                self.config.max_reject_rate,
                dict(reasons.most_common()),
            )

    def _tell_known(self) -> None:
        """Warn of galaxies whose votes here do not count."""
        if not self.n_known:
            return
        gathered = self.table.gathered
        is_export = gathered is not None and gathered.classifications is not None
        logger.warning(
            "%s: the votes of %d of its %d rows do not count, as an earlier source of campaign "
            "'%s' has these galaxies%s",
            self.table.source.uri,
            self.n_known,
            self.n_read,
            self.layout.campaign.name,
            "; to add exports up, give them as one source with a pattern such as exports/*.csv"
            if is_export
            else "",
        )

    def _check(self, batch: Batch) -> "_CheckedBatch":
        """Make every check of a batch that needs no other batch."""
        layout, config, uri = self.layout, self.config, self.table.source.uri
        ids = read_id_texts(batch.table.column(layout.id_column), layout.id_column, uri)
        if begin_like_numbers(ids).any():
            self.digits.add(ids)
        rejects = BatchRejects(batch.rows, ids)
        check_ids(rejects, layout.id_column)
        numbers = {
            name: read_numbers(batch.table.column(name), name, rejects, uri)
            for name in layout.number_columns
        }
        # A galaxy that is not in the campaign has no cell at all, so not the first answer's either.
        may_be_absent = np.isnan(numbers[layout.number_columns[0]]).any()
        if may_be_absent and (is_absent := find_absent(layout, numbers, rejects)).any():
            self.n_absent += int(is_absent.sum())
            rejects = rejects.without(is_absent)
            numbers = {name: cells[~is_absent] for name, cells in numbers.items()}
        counts = count_votes(layout, numbers, rejects, config)
        self._judge_cells(counts, rejects)
        check_size(layout, counts, rejects, config)
        n_asked = count_asked(layout, counts)
        check_totals(layout, numbers, n_asked, rejects, config)
        exceeding = check_parents(layout, counts, n_asked, rejects, config)
        return _CheckedBatch(counts, rejects, exceeding, malformed_lines(batch.malformed, uri))

    def _accept(self, checked: "_CheckedBatch") -> AcceptedVotes:
        """The rows that are left, with what is to be told of them."""
        counts, rejects = checked.counts, checked.rejects
        is_kept = rejects.accepted
        for name, is_old in set_aside_superseded(counts, self.layout).items():
            self.n_set_aside.update({name: int((is_old & is_kept).sum())})
        for name, is_exceeding in checked.exceeding.items():
            self.n_tolerated.update({name: int((is_exceeding & is_kept).sum())})
        ids = rejects.id_strs
        if not is_kept.all():
            ids = ids.filter(pa.array(is_kept))
        return AcceptedVotes(ids, self.layout.campaign.tree.columns, counts, is_kept)

    def _judge_cells(self, counts: BatchCounts, rejects: BatchRejects) -> None:
        """Hand the cells to the judge; its failures name the published columns."""
        campaign = self.layout.campaign
        votes = np.stack([counts.votes[column] for column in campaign.tree.columns])
        frame = pd.DataFrame(votes.T, columns=self.answers, copy=False)
        # Duplicates are not looked for, as that costs more than all else here.
        frame.insert(0, "id_str", pd.array(rejects.id_strs, dtype="str"), allow_duplicates=True)
        failures = self.judge(frame, campaign)
        if failures.empty:
            return
        published = {"id_str": self.layout.id_column, **self.layout.published_counts()}
        cells = failures[["row", "column", "value", "reason"]].itertuples(index=False, name=None)
        for row, column, value, reason in cells:
            rejects.add_one(int(row), published.get(column, column), value, reason)
