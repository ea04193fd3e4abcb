"""Vote tables as the world publishes them, to whole counts in one layout.

Each campaign is read in the spelling of its released tables (Galaxy Zoo 2's is
``t01_smooth_or_features_a01_smooth_count``), in others that it knows, and in the tree's own
(``smooth-or-featured-gz2_smooth``); Panoptes reductions and experts' attributes are read too.
"""

from galaxyloop.vote_tables.match import SourceMatch, match_votes
from galaxyloop.vote_tables.read import read_vote_table, validate_vote_tables
from galaxyloop.vote_tables.reader import Judge
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from galaxyloop.vote_tables.summary import (
    SourceSummary,
    VoteSummary,
    load_closed_ids,
    load_vote_rejects,
    load_vote_summary,
    load_vote_tree,
    load_votes,
)

__all__ = [
    "Judge",
    "SourceMatch",
    "SourceSummary",
    "VoteSource",
    "VoteSummary",
    "VotesConfig",
    "load_closed_ids",
    "load_vote_rejects",
    "load_vote_summary",
    "load_vote_tree",
    "load_votes",
    "match_votes",
    "read_vote_table",
    "validate_vote_tables",
]
