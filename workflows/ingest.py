"""Survey ingestion: from a manifest to packed cutouts, one cached task a chunk."""

from typing import Any

from flytekit import dynamic, workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import CutoutShard, SurveyChunk, SurveyVersion
from tasks.ingest import (
    check_cutouts,
    compact,
    cut_out_chunk,
    join_shards,
    list_chunks,
    read_survey,
)
from tasks.resources import CPU_IMAGE, WIRING
from workflows.fan_out import GROUP, fan_out, in_groups


def _cut_out(
    chunks: list[SurveyChunk], cutouts: CutoutConfig, ingest: IngestConfig
) -> tuple[Any, list[str]]:
    """One task a chunk."""
    items: dict[str, list[Any]] = {
        "chunk": chunks,
        "chunk_digest": [chunk.digest for chunk in chunks],
    }
    return fan_out(cut_out_chunk, items, {"config": cutouts, "ingest": ingest})


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def cut_out_group(
    chunks: list[SurveyChunk], cutouts: CutoutConfig, ingest: IngestConfig
) -> tuple[list[CutoutShard | None], list[str]]:
    """Cut out some chunks; those cut out before are cache hits. Says why a shard is missing."""
    return _cut_out(chunks, cutouts, ingest)


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def cut_out_chunks(
    chunks: list[SurveyChunk], cutouts: CutoutConfig, ingest: IngestConfig, group: int = GROUP
) -> tuple[list[CutoutShard | None], list[str]]:
    """As ``cut_out_group``, for any number of chunks: nested in groups of at most ``group``."""
    if len(chunks) <= group:
        return _cut_out(chunks, cutouts, ingest)
    parts = [
        cut_out_group(chunks=part, cutouts=cutouts, ingest=ingest)
        for part in in_groups(chunks, group)
    ]
    joined: tuple[list[CutoutShard | None], list[str]] = join_shards(
        groups=[part[0] for part in parts], reasons=[part[1] for part in parts]
    )
    return joined


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
    found, reasons = cut_out_chunks(chunks=chunks, cutouts=cutouts, ingest=ingest)
    shards, _, _ = check_cutouts(survey=survey, shards=found, reasons=reasons, config=ingest)
    return survey, shards


@workflow
def compact_survey(
    output: str, chunk_size: int = 10_000, max_fill: float = 0.5, apply: bool = False
) -> str:
    """Merge the small chunks of a catalogue's survey; says what that costs before it is done.

    Args:
        output: folder or address of the catalogue; no other run may write there meanwhile.
        chunk_size: most galaxies in a chunk, as in the survey's ingest settings.
        max_fill: a chunk is small with at most this share of chunk_size living galaxies.
        apply: write the merged version, from which the next one then grows; else only say the cost.
    """
    told: str = compact(output=output, chunk_size=chunk_size, max_fill=max_fill, apply=apply)
    return told
