"""Do the votes belong to the survey?"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from galaxyloop.errors import NoMatchingVotesError
from galaxyloop.vote_tables.summary import load_accepted_ids, load_vote_summary


@dataclass(frozen=True)
class SourceMatch:
    """How much of one vote table is about the survey's galaxies."""

    uri: str
    campaign: str
    n_votes: int
    """Galaxies with votes from this table."""
    n_matching: int
    """Those of them that are in the survey."""


def match_votes(survey_ids: Iterable[str], directory: Path) -> list[SourceMatch]:
    """How many galaxies with votes are in the survey, table by table.

    A published table may be far larger than the manifest, and a manifest far larger than a table
    of a few votes, so the share is measured on the fewer of the two. The bound is
    ``min_matching_share`` of the config that the votes were read with.

    Args:
        survey_ids: id_str of the survey's galaxies.
        directory: what ``read_vote_table`` wrote.

    Raises:
        NoMatchingVotesError: a table matches less than it must, or no table matches at all.
        VoteTableError: the directory holds no votes.
    """
    listed = list(dict.fromkeys(survey_ids))
    survey = set(listed)
    bound = float(load_vote_summary(directory).checks["min_matching_share"])
    matches, all_ids = [], []
    for source, ids in load_accepted_ids(directory):
        match = SourceMatch(source.uri, source.campaign, len(ids), len(survey.intersection(ids)))
        if match.n_matching < bound * min(len(survey), len(ids)):
            raise NoMatchingVotesError(source.uri, ids, listed, bound)
        matches.append(match)
        all_ids += ids
    if not any(match.n_matching for match in matches):
        uris = ", ".join(match.uri for match in matches)
        raise NoMatchingVotesError(uris, all_ids, listed, bound)
    return matches
