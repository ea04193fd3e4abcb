"""A look at everything that a catalogue rests on; nothing here is cached."""

import json
import tempfile
from datetime import datetime
from pathlib import Path

from flytekit import task

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys.missing import MissingChunk
from schemas.artefacts import CutoutShard, SurveyVersion, SurveyVersionDirectory
from tasks.local_run import keep, new_directory
from tasks.opening import open_survey
from tasks.resources import CPU_IMAGE, CUTOUTS, RETRIES, TABLES, retrying_storage


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def fetch_published(output: str) -> tuple[SurveyVersion, CutoutConfig]:
    """The survey version of the catalogue at a place, and how its images became cutouts."""
    from galaxyloop.publishing import fetch, read_record, survey_place
    from galaxyloop.surveys import SurveyVersion as Version

    directory = new_directory("survey")
    with retrying_storage():
        record = read_record(output)
        fetch(survey_place(output, record.survey_digest), directory)
    version = Version.open(directory)
    survey = keep(directory, SurveyVersionDirectory, version.digest, replace=True)
    return survey, CutoutConfig.from_dict(json.loads(record.settings)["cutouts"])


@task(container_image=CPU_IMAGE, resources=CUTOUTS, retries=RETRIES)
def verify_shard(shard: CutoutShard) -> str:
    """Read every byte of a shard; what is wrong with it, or nothing."""
    from galaxyloop.errors import ShardError
    from galaxyloop.shards import CutoutShard as Shard

    with retrying_storage():
        directory = shard.download()
    try:
        Shard.open(directory, verify=True)
    except ShardError as error:
        return f"shard {shard.digest[:12]} at {shard.uri}: {error}"
    return ""


@task(container_image=CPU_IMAGE, resources=TABLES)
def join_faults(groups: list[list[str | None]]) -> list[str | None]:
    """What was found in groups of shards, one after the other."""
    return sum(groups, [])


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def verify_published(
    output: str,
    survey: SurveyVersion,
    found: list[str | None],
    missing: list[MissingChunk],
    kickoff: datetime,
) -> str:
    """Hold a catalogue against its survey, its record and its schema; says that all is well.

    Args:
        output: where the catalogue is.
        survey: the version published beside it.
        found: what is wrong with each shard; None where that could not be told.
        missing: chunks of which there is no shard, and none could be cut out.
        kickoff: when the check was due.
    """
    from galaxyloop.catalogue import read_catalogue_tree
    from galaxyloop.judgement import check_file
    from galaxyloop.publishing import CATALOGUE, fetch, read_record
    from galaxyloop.verification import check_faults, find_faults
    from schemas.catalogue import judge_catalogue

    version = open_survey(survey)
    faults = ["a shard could not be read" if one is None else one for one in found if one != ""]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / CATALOGUE
        with retrying_storage():
            record = read_record(output)
            fetch(f"{output.rstrip('/')}/{CATALOGUE}", path)
        if sum(chunk.n_galaxies for chunk in missing) > record.n_missing:
            faults += [f"chunk {one.chunk[:12]} has no cutouts: {one.reason}" for one in missing]
        faults += find_faults(path, record, version)
        n_rows = check_file(path, read_catalogue_tree(path), judge_catalogue)
    check_faults(faults, f"the catalogue at {output}")
    return (
        f"full check of {kickoff.isoformat(timespec='minutes')}: all is well\n"
        f"catalogue  {output.rstrip('/')}/{CATALOGUE} ({n_rows} galaxies, of {record.date})\n"
        f"cutouts    {len(found)} shards, every byte as it was written"
    )
