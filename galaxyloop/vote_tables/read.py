"""Published vote tables to whole counts, rejects and a summary."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.campaigns import campaign_tree, find_campaign
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import VoteTableError
from galaxyloop.storage import whole_directory
from galaxyloop.vote_tables.id_index import IdIndex
from galaxyloop.vote_tables.join import ORIGINS, CampaignRows, VotesWriter, write_joined
from galaxyloop.vote_tables.layout import find_layout
from galaxyloop.vote_tables.reader import Judge, SourceReader
from galaxyloop.vote_tables.rejects import RejectsCounter, RejectsWriter
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from galaxyloop.vote_tables.sources import open_source
from galaxyloop.vote_tables.summary import (
    ACCEPTED_FILE,
    REJECTS_FILE,
    SUMMARY_FILE,
    VOTES_FILE,
    SourceSummary,
    VoteSummary,
)

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
            in one campaign keeps its first accepted row; a second in the same source is rejected,
            in a later one it is set aside and counted as known.
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
    _require_sources(sources)
    with whole_directory(directory) as draft:
        return _read_into(draft, sources, config, judge)


def validate_vote_tables(
    sources: Sequence[VoteSource], config: VotesConfig, judge: Judge
) -> list[SourceSummary]:
    """Check published vote tables as ``read_vote_table`` would, and write nothing.

    Args:
        sources: tables of one or several campaigns.
        config: tolerances.
        judge: checks the cells; ``schemas.votes.judge_votes``.

    Returns:
        What a read would find in each source.

    Raises:
        VoteTableError: a source cannot be read as votes of its campaign.
        TooManyRejectsError: more of a source's rows are rejected than ``config`` allows.
        UnknownNameError: a campaign is unknown.
        StorageError: the network or the storage failed.
    """
    _require_sources(sources)
    told = []
    with TemporaryDirectory() as scratch:
        names = dict.fromkeys(source.campaign for source in sources)
        seen = {name: IdIndex(Path(scratch), name) for name in names}
        for source in sources:
            reader = _reader(source, config, judge, seen[source.campaign], RejectsCounter())
            for _ in reader.read():
                pass
            told.append(reader.summary())
    return told


def _require_sources(sources: Sequence[VoteSource]) -> None:
    """Stop if there is nothing to read."""
    if not sources:
        raise VoteTableError("read_vote_table needs at least one source, got none")


def _reader(
    source: VoteSource, config: VotesConfig, judge: Judge, seen: IdIndex, rejects: RejectsCounter
) -> SourceReader:
    """What reads a source."""
    campaign = find_campaign(source.campaign)
    table = open_source(source)
    layout = find_layout(table.header, source, campaign)
    return SourceReader(table, layout, config, judge, seen, rejects)


def _read_into(
    partial: Path, sources: Sequence[VoteSource], config: VotesConfig, judge: Judge
) -> VoteSummary:
    """Read all sources, join them, and write the four files."""
    names = list(dict.fromkeys(source.campaign for source in sources))
    tree = campaign_tree(names)
    told = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="unjoined-", dir=partial)))
        campaigns = {name: CampaignRows(find_campaign(name), scratch) for name in names}
        rejects = stack.enter_context(RejectsWriter(str(partial / REJECTS_FILE)))
        writer = stack.enter_context(VotesWriter(partial / VOTES_FILE, tree))
        accepted = stack.enter_context(
            pq.ParquetWriter(partial / ACCEPTED_FILE, _ACCEPTED, compression="zstd")
        )
        for number, source in enumerate(sources):
            rows = campaigns[source.campaign]
            reader = _reader(source, config, judge, rows.seen, rejects)
            for batch in reader.read():
                origins = np.full(len(batch.id_strs), ORIGINS.index(reader.layout.origin))
                if len(campaigns) == 1:
                    writer.write(batch.id_strs, origins, batch.votes())
                else:
                    rows.append(origins, batch.votes())
                accepted.write_table(_from_source(number, batch.id_strs))
            told.append(reader.summary())
        if len(campaigns) > 1:
            write_joined(list(campaigns.values()), writer, config.batch_rows)
    summary = _summarise(told, rejects, writer, tree, config)
    (partial / SUMMARY_FILE).write_text(summary.to_json())
    return summary


def _summarise(
    told: list[SourceSummary],
    rejects: RejectsCounter,
    writer: VotesWriter,
    tree: DecisionTree,
    config: VotesConfig,
) -> VoteSummary:
    """What was read from all sources together."""
    return VoteSummary(
        n_read=sum(source.n_read for source in told),
        n_accepted=sum(source.n_accepted for source in told),
        n_rejected=sum(source.n_rejected for source in told),
        n_absent=sum(source.n_absent for source in told),
        n_known=sum(source.n_known for source in told),
        n_galaxies=writer.n_galaxies,
        reasons=dict(rejects.reasons.most_common()),
        columns=list(tree.columns),
        tree=tree.to_json(),
        digest=writer.digest(),
        sources=told,
        checks=config.to_dict(),
    )


def _from_source(number: int, ids: pa.StringArray) -> pa.Table:
    """Galaxies whose votes came from the source of that number."""
    return pa.table(
        {"source": np.full(len(ids), number, np.int32), "id_str": ids}, schema=_ACCEPTED
    )
