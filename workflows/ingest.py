"""Survey ingestion: from a manifest to packed cutouts, one cached task a chunk."""

from flytekit import dynamic, workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import CutoutShard, SurveyChunk, SurveyVersion
from tasks.ingest import check_cutouts, cut_out_chunk, list_chunks, read_survey


@dynamic
def cut_out_chunks(
    chunks: list[SurveyChunk], cutouts: CutoutConfig, ingest: IngestConfig
) -> list[CutoutShard]:
    """Cut out every chunk; those cut out before are cache hits."""
    return [cut_out_chunk(chunk=chunk, config=cutouts, ingest=ingest) for chunk in chunks]


@workflow
def ingest_survey(
    manifest: str,
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    previous: str = "",
) -> tuple[SurveyVersion, list[CutoutShard]]:
    """Read a survey's manifest and pack its cutouts.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        ingest: how the manifest and images are read, and cut into chunks.
        cutouts: how images become cutouts.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    survey = read_survey(manifest=manifest, config=ingest, previous=previous)
    chunks = list_chunks(survey=survey)
    shards = cut_out_chunks(chunks=chunks, cutouts=cutouts, ingest=ingest)
    return survey, check_cutouts(survey=survey, shards=shards, config=ingest)
