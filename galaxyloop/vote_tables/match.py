"""Do the votes belong to the survey?"""

from collections.abc import Iterable

from galaxyloop.errors import NoMatchingVotesError


def match_votes(survey_ids: Iterable[str], vote_ids: Iterable[str]) -> int:
    """How many galaxies of the survey have votes.

    Args:
        survey_ids: id_str of the survey's galaxies.
        vote_ids: id_str of the galaxies with votes.

    Raises:
        NoMatchingVotesError: none has.
    """
    survey, votes = list(survey_ids), list(vote_ids)
    n_matching = len(set(survey).intersection(votes))
    if n_matching == 0:
        raise NoMatchingVotesError(votes, survey, n_matching)
    return n_matching
