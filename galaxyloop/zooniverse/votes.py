"""What a selection must know of its votes: whose they are, and what became of each."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from galaxyloop.errors import NoMatchingVotesError, VoteTableError
from galaxyloop.vote_tables import SourceSummary, load_vote_summary, match_votes


def check_votes(survey_ids: Iterable[str], directory: Path) -> None:
    """Refuse votes that are not of the survey's galaxies, source by source.

    Args:
        survey_ids: id_str of the survey's galaxies.
        directory: what ``read_vote_table`` wrote.

    Raises:
        NoMatchingVotesError: a source matches less than ``min_matching_share``.
        VoteTableError: likewise, because an export of classifications has no ``subject_key``.
    """
    try:
        match_votes(survey_ids, directory)
    except NoMatchingVotesError as error:
        for source in list_exports(directory):
            is_meant = source.uri in error.source.split(", ")
            if is_meant and source.id_column == "subject_id":
                raise VoteTableError(
                    f"{error.n_matching} of the {error.n_votes} ids with votes in {error.source} "
                    f"are among the {error.n_galaxies} galaxies of the manifest: without "
                    f"subject_key the votes in {source.uri} are of Zooniverse's subject numbers; "
                    "name the metadata that holds the galaxies' ids, which is subject_key: "
                    '"#id_str" for subject sets that a selection wrote, or drop the table'
                ) from error
        raise


def list_exports(directory: Path) -> list[SourceSummary]:
    """The sources of votes in a directory that are exports of classifications."""
    return [source for source in load_vote_summary(directory).sources if source.classifications]


def say_exports(exports: Sequence[SourceSummary]) -> list[str]:
    """How many classifications of each export are used, set aside and rejected, a line each."""
    return [
        f"votes        {counts.n_used} of {counts.n_read} classifications used, "
        f"{sum(counts.set_aside.values())} set aside, {counts.n_rejected} rejected ({source.uri})"
        for source in exports
        if (counts := source.classifications)
    ]


def record_exports(exports: Sequence[SourceSummary]) -> list[dict[str, object]]:
    """The same with the reasons, for selection.json."""
    return [
        {"uri": source.uri, **asdict(source.classifications)}
        for source in exports
        if source.classifications
    ]
