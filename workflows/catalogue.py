"""Catalogues: a registered model's posterior of every galaxy in a survey."""

from flytekit import dynamic, workflow

from galaxyloop.acquisition import InformationConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import Catalogue, Checkpoint, CutoutShard, Prediction
from tasks import predict
from tasks.registry import resolve_model
from tasks.report import publish_catalogue
from workflows.ingest import ingest_survey


@dynamic
def predict_shards(
    checkpoint: Checkpoint,
    shards: list[CutoutShard],
    posterior: PosteriorConfig,
    information: InformationConfig,
) -> list[Prediction]:
    """Predict every shard; those predicted before by this checkpoint are cache hits."""
    return [
        predict.predict_shard(
            checkpoint=checkpoint, shard=shard, posterior=posterior, information=information
        )
        for shard in shards
    ]


@workflow
def build_catalogue(
    manifest: str,
    model: str = "galaxyloop@champion",
    output: str = "catalogue",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    posterior: PosteriorConfig = PosteriorConfig(),
    information: InformationConfig = InformationConfig(),
    previous: str = "",
) -> str:
    """Make the catalogue of a survey with a registered model.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        model: registered model as name@alias or name/version.
        output: folder or address that receives catalogue.parquet.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        posterior: dropout samples and intervals.
        information: volunteers expected, for the information each galaxy would give.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    checkpoint, version = resolve_model(model=model)
    survey, shards = ingest_survey(
        manifest=manifest, ingest=ingest, cutouts=cutouts, previous=previous
    )
    predictions = predict_shards(
        checkpoint=checkpoint, shards=shards, posterior=posterior, information=information
    )
    catalogue: Catalogue = predict.build_catalogue(
        survey=survey, predictions=predictions, checkpoint=checkpoint, model=version
    )
    place: str = publish_catalogue(output=output, catalogue=catalogue)
    return place
