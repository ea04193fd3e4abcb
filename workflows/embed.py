"""Representations: what a registered model's encoder sees in every galaxy of a survey."""

from flytekit import dynamic, workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.representations.config import AnomalyConfig, GalleryConfig, RepresentationConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import Checkpoint, CutoutShard, Representations
from tasks.embed import (
    check_embedding,
    check_queries,
    join_representations,
    publish_representations,
    represent_shard,
)
from tasks.registry import resolve_model
from tasks.resources import CPU_IMAGE, WIRING
from workflows.ingest import ingest_survey


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def represent_shards(
    checkpoint: Checkpoint, shards: list[CutoutShard], config: RepresentationConfig
) -> list[Representations]:
    """Represent every shard; those represented before by this checkpoint are cache hits."""
    return [
        represent_shard(
            checkpoint=checkpoint,
            shard=shard,
            config=config,
            digests=[shard.digest, checkpoint.digest],
        )
        for shard in shards
    ]


@workflow
def embed_survey(
    manifest: str,
    model: str = "galaxyloop@champion",
    output: str = "representations",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    representation: RepresentationConfig = RepresentationConfig(),
    anomalies: AnomalyConfig = AnomalyConfig(),
    galleries: GalleryConfig = GalleryConfig(),
    previous: str = "",
) -> str:
    """Write the representation and anomaly score of every galaxy of a survey, and two galleries.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        model: registered model as name@alias or name/version; any kind, its encoder is used.
        output: folder or address that receives representations.parquet, similar.png, anomalies.png.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        representation: how the encoder is run.
        anomalies: how anomaly scores are computed.
        galleries: which galaxies' neighbours are drawn, and how many.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    checkpoint, version = resolve_model(model=model)
    checked = check_embedding(
        manifest=manifest, checkpoint=checkpoint, cutouts=cutouts, output=output
    )
    survey, cut_out = ingest_survey(
        manifest=checked, ingest=ingest, cutouts=cutouts, previous=previous
    )
    shards = check_queries(survey=survey, shards=cut_out, galleries=galleries)
    parts = represent_shards(checkpoint=checkpoint, shards=shards, config=representation)
    joined = join_representations(survey=survey, parts=parts, anomalies=anomalies)
    placed: str = publish_representations(
        output=output,
        survey=survey,
        shards=shards,
        representations=joined,
        model=version,
        galleries=galleries,
    )
    return placed
