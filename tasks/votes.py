"""From published vote tables to validated counts, and who is held out."""

import logging

from flytekit import task
from pandera.typing import DataFrame

from galaxyloop.splits import SplitConfig
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import SurveyVersion, VoteTable, VoteTableDirectory
from schemas.splits import KeyedSplits
from tasks.local_run import keep, new_directory
from tasks.opening import open_survey
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage

logger = logging.getLogger("galaxyloop")


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def read_votes(sources: list[VoteSource], checks: VotesConfig) -> VoteTable:
    """Read, validate and join vote tables; never cached, so that an edit is always seen."""
    from galaxyloop import vote_tables
    from schemas.votes import judge_votes

    directory = new_directory("votes")
    with retrying_storage():
        summary = vote_tables.read_vote_table(sources, checks, directory, judge_votes)
    return keep(directory, VoteTableDirectory, summary.digest, replace=True)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def split_galaxies(survey: SurveyVersion, votes: VoteTable, config: SplitConfig) -> KeyedSplits:
    """Decide for each galaxy whether it trains, validates or tests; refuses foreign votes."""
    from galaxyloop import splits, vote_tables

    galaxies = open_survey(survey).galaxies
    for match in vote_tables.match_votes(galaxies["id_str"], votes.download()):
        logger.info(
            "%d of %d galaxies with votes in %s are among the survey's %d",
            match.n_matching,
            match.n_votes,
            match.uri,
            len(galaxies),
        )
    return DataFrame(splits.split_galaxies(galaxies, config))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def split_images(survey: SurveyVersion, config: SplitConfig) -> KeyedSplits:
    """The same decision where there are no votes."""
    from galaxyloop import splits

    return DataFrame(splits.split_galaxies(open_survey(survey).galaxies, config))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def hold_out_fold(splits: KeyedSplits, fold: int) -> KeyedSplits:
    """The same split with one fold held out instead of the test set."""
    from galaxyloop.splits import fold_split

    return DataFrame(fold_split(splits, fold))
