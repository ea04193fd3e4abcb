"""Catalogues: registered models' posterior of every galaxy in a survey, kept up to date."""

from datetime import datetime

from flytekit import dynamic, workflow

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import ProductsConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.drift import DriftConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import Checkpoint, SurveyVersion
from schemas.model_version import ModelVersion
from tasks import predict
from tasks.catalogue import begin_catalogue, check_catalogue, publish_catalogue, tell_night
from tasks.ingest import check_cutouts, list_chunks, read_survey
from tasks.registry import fetch_metrics, fetch_reference, log_drift, resolve_models
from tasks.resources import CPU_IMAGE, WIRING
from tasks.verify import fetch_published, verify_published
from workflows.ingest import cut_out_chunks
from workflows.predict import predict_shards
from workflows.verify import verify_shards


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def make_catalogue(
    standing: str,
    record: CatalogueRecord,
    survey: SurveyVersion,
    checkpoints: list[Checkpoint],
    models: list[ModelVersion],
    output: str,
    before: str,
    ingest: IngestConfig,
    cutouts: CutoutConfig,
    posterior: PosteriorConfig,
    information: InformationConfig,
    products: ProductsConfig,
    drift: DriftConfig,
    allow_missing: bool,
) -> str:
    """Cut out and predict what was not before, and publish the catalogue; nothing if one stands."""
    if standing:
        return standing
    chunks = list_chunks(survey=survey)
    found, why_no_shard = cut_out_chunks(chunks=chunks, cutouts=cutouts, ingest=ingest)
    shards, not_cut_out, rejected = check_cutouts(
        survey=survey,
        shards=found,
        reasons=why_no_shard,
        config=ingest,
        allow_missing=allow_missing,
    )
    predicted, why_no_prediction = predict_shards(
        checkpoints=checkpoints, shards=shards, posterior=posterior, information=information
    )
    predictions, missing = predict.check_predictions(
        survey=survey,
        predictions=predicted,
        reasons=why_no_prediction,
        missing=not_cut_out,
        allow_missing=allow_missing,
    )
    catalogue = predict.build_catalogue(
        survey=survey,
        predictions=predictions,
        missing=missing,
        checkpoints=checkpoints,
        models=models,
        posterior=posterior,
        products=products,
        rejected=rejected,
        metrics=fetch_metrics(model=models[0]),
        before=before,
        reference=fetch_reference(model=models[0]),
        drift=drift,
    )
    log_drift(model=models[0], survey=survey, catalogue=catalogue)
    told: str = publish_catalogue(
        output=output, catalogue=catalogue, survey=survey, missing=missing, record=record
    )
    return told


@workflow
def build_catalogue(
    manifest: str,
    model: str = "galaxyloop@champion",
    further_models: list[str] = [],  # noqa: B006 - Flyte takes no other default of a list
    output: str = "catalogue",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    posterior: PosteriorConfig = PosteriorConfig(),
    information: InformationConfig = InformationConfig(),
    products: ProductsConfig = ProductsConfig(),
    drift: DriftConfig = DriftConfig(),
    previous: str = "",
    allow_missing: bool = False,
) -> str:
    """Make the catalogue of a survey, or bring it up to date: only what is new is predicted.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        model: registered model as name@alias or name/version.
        further_models: more of them, of the same campaign; all together make one ensemble.
        output: folder or address that receives catalogue.parquet and what belongs to it.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        posterior: dropout samples, augmentations and intervals.
        information: volunteers expected, for the information each galaxy would give.
        products: what is made besides, for astronomers' tools: friendly catalogue, FITS, HATS.
        drift: from when on galaxies unlike the model's, or the last catalogue's, are flagged.
        previous: directory of the survey version this one grows from, and is compared with; empty
            for what lies at the output, if there is something.
        allow_missing: make a partial catalogue if a chunk fails, which says what is missing.
    """
    checkpoints, models = resolve_models(model=model, further_models=further_models)
    checked, grown_from, before = check_catalogue(
        manifest=manifest,
        checkpoints=checkpoints,
        cutouts=cutouts,
        products=products,
        output=output,
        previous=previous,
    )
    survey = read_survey(manifest=checked, config=ingest, previous=grown_from)
    standing, record = begin_catalogue(
        output=output,
        survey=survey,
        checkpoints=checkpoints,
        models=models,
        cutouts=cutouts,
        posterior=posterior,
        information=information,
        products=products,
    )
    told: str = make_catalogue(
        standing=standing,
        record=record,
        survey=survey,
        checkpoints=checkpoints,
        models=models,
        output=output,
        before=before,
        ingest=ingest,
        cutouts=cutouts,
        posterior=posterior,
        information=information,
        products=products,
        drift=drift,
        allow_missing=allow_missing,
    )
    return told


@workflow
def nightly_catalogue(
    manifest: str,
    output: str,
    kickoff: datetime,
    model: str = "galaxyloop@champion",
    further_models: list[str] = [],  # noqa: B006 - Flyte takes no other default of a list
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    posterior: PosteriorConfig = PosteriorConfig(),
    information: InformationConfig = InformationConfig(),
    products: ProductsConfig = ProductsConfig(),
    drift: DriftConfig = DriftConfig(),
    allow_missing: bool = False,
) -> str:
    """As ``build_catalogue``, for a schedule: grows from what stands at the output.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        output: folder or address that holds the catalogue.
        kickoff: when the night's run was due; the schedule fills it in.
        model: registered model as name@alias or name/version.
        further_models: more of them, of the same campaign; all together make one ensemble.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        posterior: dropout samples, augmentations and intervals.
        information: volunteers expected, for the information each galaxy would give.
        products: what is made besides, for astronomers' tools: friendly catalogue, FITS, HATS.
        drift: from when on galaxies unlike the model's, or the last catalogue's, are flagged.
        allow_missing: make a partial catalogue if a chunk fails, which says what is missing.
    """
    told = build_catalogue(
        manifest=manifest,
        model=model,
        further_models=further_models,
        output=output,
        ingest=ingest,
        cutouts=cutouts,
        posterior=posterior,
        information=information,
        products=products,
        drift=drift,
        allow_missing=allow_missing,
    )
    night: str = tell_night(kickoff=kickoff, told=told)
    return night


@workflow
def verify_catalogue(
    output: str,
    kickoff: datetime,
    ingest: IngestConfig = IngestConfig(),
) -> str:
    """Check a published catalogue in full: every byte of its cutouts, every row, its origin.

    Writes nothing at the output. A shard that is no longer kept is cut out again, as the
    catalogue's record says.

    Args:
        output: folder or address that holds the catalogue.
        kickoff: when the check was due; the schedule fills it in.
        ingest: how images are read.
    """
    survey, cutouts = fetch_published(output=output)
    chunks = list_chunks(survey=survey)
    found, reasons = cut_out_chunks(chunks=chunks, cutouts=cutouts, ingest=ingest)
    shards, missing, _ = check_cutouts(
        survey=survey, shards=found, reasons=reasons, config=ingest, allow_missing=True
    )
    faults = verify_shards(shards=shards)
    told: str = verify_published(
        output=output, survey=survey, found=faults, missing=missing, kickoff=kickoff
    )
    return told
