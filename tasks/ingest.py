"""From a manifest to packed cutouts."""

import logging
import shutil
from pathlib import Path

from flytekit import task

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import (
    CutoutShard,
    CutoutShardDirectory,
    SurveyChunk,
    SurveyChunkDirectory,
    SurveyVersion,
    SurveyVersionDirectory,
)
from tasks.local_run import keep, new_directory
from tasks.opening import open_shards, open_survey
from tasks.resources import CUTOUTS, RETRIES, TABLES, cached, retrying_storage

logger = logging.getLogger("galaxyloop")


@task(requests=TABLES, retries=RETRIES)
def read_survey(manifest: str, config: IngestConfig, previous: str = "") -> SurveyVersion:
    """Read a manifest and fingerprint its images: the survey as it is now.

    Never cached, so that an edited manifest or image is always seen.
    """
    from galaxyloop import surveys
    from schemas.manifest import judge_manifest

    directory = new_directory("survey")
    with retrying_storage():
        rows = surveys.read_manifest(manifest, config, judge_manifest)
        place = SurveyVersionDirectory(previous.rstrip("/"), Path(previous).name)
        before = open_survey(place) if previous else None
        version = surveys.version_survey(
            rows.galaxies, config, before, directory, rows.rejects, rows.n_read
        )
    return keep(directory, SurveyVersionDirectory, version.digest, replace=True)


@task(requests=TABLES)
def list_chunks(survey: SurveyVersion) -> list[SurveyChunk]:
    """The chunks of a survey version, each an artefact of its own."""
    version = open_survey(survey)
    chunks = []
    for digest in version.chunks:
        directory = new_directory("chunk")
        directory.mkdir()
        shutil.copyfile(
            version.directory / "chunks" / f"{digest}.parquet", directory / "chunk.parquet"
        )
        chunks.append(keep(directory, SurveyChunkDirectory, digest, replace=True))
    return chunks


@task(requests=CUTOUTS, retries=RETRIES, cache=cached("cut_out_chunk", ignored=("ingest",)))
def cut_out_chunk(chunk: SurveyChunk, config: CutoutConfig, ingest: IngestConfig) -> CutoutShard:
    """Decode, cut and pack the images of one chunk; how they are read changes no result."""
    import pandas as pd

    from galaxyloop import cutouts

    rows = pd.read_parquet(Path(chunk.download()) / "chunk.parquet")
    directory = new_directory("shard")
    with retrying_storage():
        shard = cutouts.cut_out_chunk(rows, config, directory, ingest.n_readers, ingest.n_attempts)
    return keep(directory, CutoutShardDirectory, shard.digest)


@task(requests=TABLES)
def check_cutouts(
    survey: SurveyVersion, shards: list[CutoutShard], config: IngestConfig
) -> list[CutoutShard]:
    """Let a survey's shards pass if few enough of its galaxies' images were rejected."""
    from galaxyloop import cutouts

    alive = open_survey(survey).alive
    cutouts.check_rejects(alive, open_shards(shards), config.max_image_reject_rate)
    return shards
