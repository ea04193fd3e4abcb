"""Published vote tables to whole counts, rejects and a summary."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.campaigns import Campaign, campaign_tree, find_campaign
from galaxyloop.errors import TooManyRejectsError, VoteTableError
from galaxyloop.storage import whole_directory
from galaxyloop.table_files import Batch
from galaxyloop.vote_tables.cells import check_ids, check_new, read_ids, read_numbers
from galaxyloop.vote_tables.checks import (
    check_parents,
    check_size,
    check_totals,
    set_aside_superseded,
)
from galaxyloop.vote_tables.counts import BatchCounts, count_votes
from galaxyloop.vote_tables.join import CampaignRows, write_joined
from galaxyloop.vote_tables.layout import TableLayout, find_layout
from galaxyloop.vote_tables.rejects import BatchRejects, RejectsWriter, malformed_lines
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from galaxyloop.vote_tables.sources import SourceTable, open_source
from galaxyloop.vote_tables.summary import (
    ACCEPTED_FILE,
    REJECTS_FILE,
    SUMMARY_FILE,
    VOTES_FILE,
    SourceSummary,
    VoteSummary,
)

Judge = Callable[[pd.DataFrame, Campaign], pd.DataFrame]
"""Checks each cell of a batch (id_str, then a float column an answer of the campaign) and gives the
failures: row (position in the batch), column, value, reason."""

_ACCEPTED = pa.schema([("source", pa.int32()), ("id_str", pa.string())])


def read_vote_table(
    sources: Sequence[VoteSource], config: VotesConfig, directory: Path, judge: Judge
) -> VoteSummary:
    """Read published vote tables into one directory.

    Tables are streamed: memory grows with the ids alone. The directory holds votes.parquet (one
    row a galaxy: id_str, votes_origin, an int32 column for each answer of the sources' campaigns,
    0 where nobody answered), accepted.parquet (which source each galaxy's votes came from, by
    its place in the summary), rejects.parquet and summary.json. It appears when all is written.

    Args:
        sources: tables of one or several campaigns, joined by id_str. A galaxy that appears twice
            in one campaign keeps its first accepted row.
        config: tolerances.
        directory: where to write; must not exist, or be empty.
        judge: checks the cells; ``schemas.votes.judge_votes``.

    Raises:
        VoteTableError: a source cannot be read as votes of its campaign.
        TooManyRejectsError: more of a source's rows are rejected than ``config.max_reject_rate``
            allows. Sources are checked one by one, so a large one hides no small one.
        UnknownNameError: a campaign is unknown.
        StorageError: the network or the storage failed, or the directory holds something.
    """
    if not sources:
        raise VoteTableError("read_vote_table needs at least one source, got none")
    with whole_directory(directory) as draft:
        return _read_into(draft, sources, config, judge)


def _read_into(
    partial: Path, sources: Sequence[VoteSource], config: VotesConfig, judge: Judge
) -> VoteSummary:
    """Read all sources, join them, and write the four files."""
    names = list(dict.fromkeys(source.campaign for source in sources))
    tree = campaign_tree(names)
    rows = {name: CampaignRows(find_campaign(name), partial / f"{name}.rows") for name in names}
    told = []
    with (
        RejectsWriter(str(partial / REJECTS_FILE)) as rejects,
        pq.ParquetWriter(partial / ACCEPTED_FILE, _ACCEPTED, compression="zstd") as accepted,
    ):
        for number, source in enumerate(sources):
            of_campaign = rows[source.campaign]
            n_before, reasons_before = len(of_campaign.positions), rejects.reasons.copy()
            table = open_source(source)
            layout = find_layout(table.header, source, of_campaign.campaign)
            reader = _SourceReader(table, layout, config, judge, of_campaign, rejects)
            told.append(reader.read())
            _check_rate(told[-1], rejects.reasons - reasons_before, config.max_reject_rate)
            accepted.write_table(_ids_since(n_before, of_campaign, number))
    n_read, n_rejected = sum(s.n_read for s in told), sum(s.n_rejected for s in told)
    n_galaxies, digest = write_joined(
        list(rows.values()), tree, partial / VOTES_FILE, config.batch_rows
    )
    for name in names:
        (partial / f"{name}.rows").unlink()
    summary = VoteSummary(
        n_read=n_read,
        n_accepted=n_read - n_rejected,
        n_rejected=n_rejected,
        n_galaxies=n_galaxies,
        reasons=dict(rejects.reasons.most_common()),
        columns=list(tree.columns),
        tree=tree.to_json(),
        digest=digest,
        sources=told,
        checks=config.to_dict(),
    )
    (partial / SUMMARY_FILE).write_text(summary.to_json())
    return summary


def _ids_since(n_before: int, rows: CampaignRows, source: int) -> pa.Table:
    """The galaxies whose votes came from the source that was read last."""
    ids = list(itertools.islice(rows.positions, n_before, None))
    return pa.table({"source": np.full(len(ids), source), "id_str": ids}, schema=_ACCEPTED)


def _check_rate(source: SourceSummary, reasons: Counter[str], max_reject_rate: float) -> None:
    """Stop if too few rows of one source are left to be the table that was meant."""
    if source.n_rejected > max_reject_rate * source.n_read:
        raise TooManyRejectsError(
            f"rows of votes in {source.uri}",
            source.n_rejected,
            source.n_read,
            max_reject_rate,
            dict(reasons.most_common()),
        )


@dataclass(frozen=True)
class _SourceReader:
    """Reads one table batch by batch: accepted rows to ``rows``, the others to ``rejects``."""

    table: SourceTable
    layout: TableLayout
    config: VotesConfig
    judge: Judge
    rows: CampaignRows
    rejects: RejectsWriter
    n_tolerated: Counter[str] = field(default_factory=Counter)
    n_set_aside: Counter[str] = field(default_factory=Counter)

    def read(self) -> SourceSummary:
        """Stream the whole table."""
        source, layout = self.table.source, self.layout
        uri = source.uri
        n_read = n_rejected = 0
        columns = (layout.id_column, *layout.number_columns)
        for batch in self.table.batches(columns, self.config.batch_rows):
            lines = malformed_lines(batch.malformed, uri) + self._read_batch(batch).lines(uri)
            self.rejects.write(lines)
            n_rejected += len(lines)
            n_read += len(batch.rows) + len(batch.malformed)
        if not n_read:
            raise VoteTableError(f"{uri} has a header but no rows; fetch it again")
        return SourceSummary(
            uri=uri,
            campaign=source.campaign,
            id_column=layout.id_column,
            votes_origin=layout.origin,
            n_read=n_read,
            n_accepted=n_read - n_rejected,
            n_rejected=n_rejected,
            n_tolerated=dict(+self.n_tolerated),
            n_set_aside=dict(+self.n_set_aside),
            left_out={q.question.name: q.note for q in layout.questions if q.note},
            absent=[
                q.question.name for q in layout.questions if q.method == "absent" and not q.note
            ],
            rebuilt=[q.question.name for q in layout.questions if q.method == "weighted"],
            ignored_columns=list(layout.ignored),
        )

    def _read_batch(self, batch: Batch) -> BatchRejects:
        """Check one batch and append its accepted rows."""
        layout, config, uri = self.layout, self.config, self.table.source.uri
        id_strs = read_ids(batch.table.column(layout.id_column), layout.id_column, uri)
        rejects = BatchRejects(batch.rows, id_strs)
        check_ids(rejects, layout.id_column)
        numbers = {
            name: read_numbers(batch.table.column(name), name, rejects, uri)
            for name in layout.number_columns
        }
        counts = count_votes(layout, numbers, rejects, config)
        self._judge_cells(counts, rejects)
        check_size(layout, counts, rejects, config)
        check_totals(layout, numbers, counts, rejects, config)
        exceeding = check_parents(layout, counts, rejects, config)
        check_new(rejects, self.rows.positions, layout.id_column)
        kept = rejects.accepted
        for name, is_old in set_aside_superseded(counts, layout).items():
            self.n_set_aside.update({name: int((is_old & kept).sum())})
        for name, is_exceeding in exceeding.items():
            self.n_tolerated.update({name: int((is_exceeding & kept).sum())})
        votes = [counts.votes[column][kept] for column in layout.campaign.tree.columns]
        self.rows.append(id_strs[kept], np.stack(votes, axis=1).astype(np.int32), layout.origin)
        return rejects

    def _judge_cells(self, counts: BatchCounts, rejects: BatchRejects) -> None:
        """Hand the cells to the judge; its failures name the published columns."""
        campaign = self.layout.campaign
        frame = pd.DataFrame({"id_str": pd.Series(rejects.id_strs, dtype="str")})
        votes = {column: counts.votes[column] for column in campaign.tree.columns}
        failures = self.judge(pd.concat([frame, pd.DataFrame(votes)], axis=1), campaign)
        published = {"id_str": self.layout.id_column, **self.layout.published_counts()}
        cells = failures[["row", "column", "value", "reason"]].itertuples(index=False, name=None)
        for row, column, value, reason in cells:
            rejects.add_one(int(row), published.get(column, column), value, reason)
