"""From a manifest to packed cutouts."""

import logging
import shutil
from pathlib import Path

from flytekit import task

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.surveys.missing import MissingChunk
from schemas.artefacts import (
    CutoutShard,
    CutoutShardDirectory,
    SurveyChunk,
    SurveyChunkDirectory,
    SurveyVersion,
    SurveyVersionDirectory,
)
from tasks.local_run import keep, new_directory
from tasks.opening import open_index, open_survey
from tasks.resources import CPU_IMAGE, CUTOUTS, RETRIES, TABLES, cached, retrying_storage

logger = logging.getLogger("galaxyloop")


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def read_survey(manifest: str, config: IngestConfig, previous: str = "") -> SurveyVersion:
    """Read a manifest and fingerprint its images: the survey as it is now.

    Never cached, so that an edited manifest or image is always seen.
    """
    from galaxyloop import surveys
    from schemas.manifest import judge_manifest

    directory = new_directory("survey")
    with retrying_storage():
        rows = surveys.read_manifest(manifest, config, judge_manifest)
        before = open_survey(survey_at(previous)) if previous else None
        version = surveys.version_survey(
            rows.galaxies, config, before, directory, rows.rejects, rows.n_read
        )
    return keep(directory, SurveyVersionDirectory, version.digest, replace=True)


def survey_at(place: str) -> SurveyVersionDirectory:
    """The survey version in a folder or at an address, whatever its name."""
    return SurveyVersionDirectory(place.rstrip("/"), Path(place).name)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def list_chunks(survey: SurveyVersion) -> list[SurveyChunk]:
    """The chunks of a survey version, each an artefact of its own."""
    version = open_survey(survey)
    chunks = []
    for digest in version.chunks:
        directory = new_directory("chunk")
        directory.mkdir()
        shutil.copyfile(version.chunk_file(digest), directory / "chunk.parquet")
        chunks.append(keep(directory, SurveyChunkDirectory, digest, replace=True))
    return chunks


@task(
    container_image=CPU_IMAGE,
    resources=CUTOUTS,
    retries=RETRIES,
    cache=cached("cut_out_chunk", ignored=("chunk", "ingest")),
)
def cut_out_chunk(
    chunk: SurveyChunk, config: CutoutConfig, ingest: IngestConfig, chunk_digest: str
) -> CutoutShard:
    """Decode, cut and pack the images of one chunk; how they are read changes no result.

    The key has the chunk's digest as a text: a chunk that a dynamic workflow hands on has lost
    its hash on a cluster, and would be keyed on the address of the day.
    """
    import pandas as pd

    from galaxyloop import cutouts

    rows = pd.read_parquet(Path(chunk.download()) / "chunk.parquet")
    directory = new_directory("shard")
    with retrying_storage():
        shard = cutouts.cut_out_chunk(rows, config, directory, ingest.n_readers, ingest.n_attempts)
    return keep(directory, CutoutShardDirectory, shard.digest)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def join_shards(
    groups: list[list[CutoutShard | None]], reasons: list[list[str]]
) -> tuple[list[CutoutShard | None], list[str]]:
    """The groups of a survey's shards one after the other, and why some are missing."""
    return sum(groups, []), sum(reasons, [])


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_cutouts(
    survey: SurveyVersion,
    shards: list[CutoutShard | None],
    reasons: list[str],
    config: IngestConfig,
    allow_missing: bool = False,
) -> tuple[list[CutoutShard], list[MissingChunk], dict[str, int]]:
    """Let a survey's shards pass if few enough chunks failed, and few enough images in the others.

    No pixels are fetched for it, and memory holds one chunk.

    Returns:
        The shards, the chunks that are missing, and how many images were rejected, by reason.
    """
    from galaxyloop.cutout_checks import check_rejects
    from galaxyloop.surveys.missing import CUTTING_OUT, check_missing, find_missing

    version = open_survey(survey)
    is_done = [shard is not None for shard in shards]
    missing = find_missing(version, version.chunks, is_done, (CUTTING_OUT, reasons))
    check_missing(missing, len(version.chunks), allow_missing)
    lost = {one.chunk for one in missing}
    present = [shard for shard in shards if shard is not None]
    chunks = (chunk for chunk in version.chunks if chunk not in lost)
    with retrying_storage():
        rejected = check_rejects(
            (
                (version.alive_in(chunk), [open_index(shard)])
                for chunk, shard in zip(chunks, present, strict=True)
            ),
            config.max_image_reject_rate,
        )
    return present, missing, rejected


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def compact(output: str, chunk_size: int, max_fill: float, apply: bool) -> str:
    """Say what merging small chunks of a catalogue's survey would cost; do it if asked to."""
    from galaxyloop.errors import CatalogueError
    from galaxyloop.publishing import find_surveys, keep_survey
    from galaxyloop.surveys.compaction import compact_survey, plan_compaction

    with retrying_storage():
        place, _ = find_surveys(output)
        if not place:
            raise CatalogueError(f"{output} holds no survey version; give a catalogue's output")
        version = open_survey(survey_at(place))
        plan = plan_compaction(version, chunk_size, max_fill)
        if not plan.chunks or not apply:
            return plan.describe(version.n_galaxies)
        directory = new_directory("survey")
        compacted = compact_survey(version, plan, chunk_size, directory)
        keep_survey(directory, compacted.digest, output, base=place)
    shutil.rmtree(directory.parent)
    return plan.describe(version.n_galaxies, is_done=True)
