"""What a read of vote tables found, as numbers that add up."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import VoteTableError

VOTES_FILE = "votes.parquet"
ACCEPTED_FILE = "accepted.parquet"
REJECTS_FILE = "rejects.parquet"
SUMMARY_FILE = "summary.json"


@dataclass(frozen=True)
class ClassificationCounts:
    """Of a source of single classifications; n_read = n_used + n_rejected + those set aside."""

    n_read: int
    n_used: int
    """Those whose votes were counted, also on galaxies that are rejected or known afterwards."""
    n_rejected: int
    n_volunteers: int
    """Volunteers who gave those that are used."""
    set_aside: dict[str, int]
    """Why classifications do not count that nothing is wrong with, to how many these are."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason of rejection to its number of classifications, the most frequent first."""


@dataclass(frozen=True)
class SourceSummary:
    """What was read from one source; n_read = n_accepted + n_rejected + n_absent + n_known."""

    uri: str
    campaign: str
    id_column: str
    votes_origin: str
    """``counts``, ``fractions``, ``rebuilt`` or ``derived``."""
    n_read: int
    n_accepted: int
    n_rejected: int
    n_tolerated: dict[str, int]
    """Question to the number of galaxies with slightly more answers than its parents allow."""
    n_set_aside: dict[str, int]
    """Question to the number of galaxies whose votes were given to an earlier wording."""
    left_out: dict[str, str]
    """Question that the table reports in a way that gives no votes, to the reason and remedy."""
    absent: list[str]
    """Questions on which the table has no column; they have 0 votes."""
    rebuilt: list[str]
    """Questions whose votes are approximate, rebuilt from weighted fractions."""
    ignored_columns: list[str]
    """Columns of the table that were not read."""
    n_absent: int = 0
    """Galaxies of the table that are not in the campaign: all their cells are empty."""
    is_derived: bool = False
    """Whether the votes stand for an expert's attributes: no volunteer gave them."""
    is_gathered: bool = False
    """Whether votes were gathered from rows of Zooniverse, an export of which may grow."""
    classifications: ClassificationCounts | None = None
    """Where votes were counted from classifications, one a volunteer; else None."""
    n_known: int = 0
    """Rows of galaxies whose votes an earlier source of the campaign gave: they are set aside."""


@dataclass(frozen=True)
class VoteSummary:
    """What was read from all sources; n_read = n_accepted + n_rejected + n_absent + n_known.

    ``n_galaxies`` is below ``n_accepted`` where campaigns share galaxies.
    """

    n_read: int
    n_accepted: int
    n_rejected: int
    n_galaxies: int
    reasons: dict[str, int]
    """Reason of rejection to its number of rows, the most frequent first; adds up to n_rejected.
    Those of single classifications are in the counts of their source."""
    columns: list[str]
    """Answer columns of votes.parquet."""
    tree: str
    """The decision tree as JSON."""
    digest: str
    """SHA-256 over the tree, ids, origins and votes."""
    sources: list[SourceSummary]
    checks: dict[str, Any]
    """The ``VotesConfig`` of the read."""
    n_absent: int = 0
    """Rows of galaxies that are not in the campaign they were read for."""
    n_known: int = 0
    """Rows of galaxies whose votes an earlier source of their campaign gave."""

    @property
    def ignored_columns(self) -> list[str]:
        """Columns of any source that were not read, each once."""
        return list(dict.fromkeys(c for source in self.sources for c in source.ignored_columns))

    def to_json(self) -> str:
        """The summary as text."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "VoteSummary":
        """The summary that ``to_json`` wrote."""
        data: dict[str, Any] = json.loads(text)
        for source in data["sources"]:
            if counts := source.get("classifications"):
                source["classifications"] = ClassificationCounts(**counts)
        data["sources"] = [SourceSummary(**source) for source in data["sources"]]
        return cls(**data)


def load_vote_summary(directory: Path) -> VoteSummary:
    """The summary of a directory that ``read_vote_table`` wrote.

    Raises:
        VoteTableError: it is no such directory.
    """
    return VoteSummary.from_json(_existing(directory, SUMMARY_FILE).read_text())


def load_vote_tree(directory: Path) -> DecisionTree:
    """The decision tree of the votes in a directory.

    Raises:
        VoteTableError: it is no such directory.
    """
    return DecisionTree.from_json(load_vote_summary(directory).tree)


def load_votes(directory: Path) -> pd.DataFrame:
    """The votes in a directory: id_str, votes_origin, and an int32 column an answer.

    Raises:
        VoteTableError: it is no such directory.
    """
    return pd.read_parquet(_existing(directory, VOTES_FILE))


def load_accepted_ids(directory: Path) -> list[tuple[SourceSummary, list[str]]]:
    """Each source in a directory with the galaxies whose votes came from it.

    Raises:
        VoteTableError: it is no such directory.
    """
    accepted = pd.read_parquet(_existing(directory, ACCEPTED_FILE))
    by_source = {number: rows.tolist() for number, rows in accepted.groupby("source")["id_str"]}
    sources = load_vote_summary(directory).sources
    return [(source, by_source.get(number, [])) for number, source in enumerate(sources)]


def load_closed_ids(directory: Path) -> set[str]:
    """Galaxies whose votes in a directory no volunteer can add to.

    In each campaign a galaxy keeps the votes of one source. A published table closes its galaxies,
    but not those that have no such table in another campaign whose votes are gathered from
    Zooniverse: there they may have more. An expert's attributes close nothing.

    Raises:
        VoteTableError: it is no such directory.
    """
    sources = load_accepted_ids(directory)
    published: dict[str, set[str]] = {}
    for source, ids in sources:
        if not (source.is_gathered or source.is_derived):
            published.setdefault(source.campaign, set()).update(ids)
    closed = {id_str for ids in published.values() for id_str in ids}
    for source, _ in sources:
        if source.is_gathered:
            closed &= published.get(source.campaign, set())
    return closed


def load_vote_rejects(directory: Path) -> pd.DataFrame:
    """The rejected rows in a directory: row, source, id_str, column, value, reason.

    Raises:
        VoteTableError: it is no such directory.
    """
    return pd.read_parquet(_existing(directory, REJECTS_FILE))


def _existing(directory: Path, name: str) -> Path:
    """The file of that name in a directory of votes."""
    path = Path(directory) / name
    if not path.is_file():
        raise VoteTableError(
            f"{directory} holds no {name}; give a directory that read_vote_table wrote"
        )
    return path
