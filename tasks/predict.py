"""Predictions of shards, and the catalogue they make."""

import io
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flytekit import task

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import ProductsConfig
from galaxyloop.drift import DriftConfig
from galaxyloop.errors import StorageError
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.surveys.missing import MissingChunk
from schemas.artefacts import (
    Catalogue,
    CatalogueDirectory,
    Checkpoint,
    CutoutShard,
    Prediction,
    PredictionDirectory,
    SurveyVersion,
)
from schemas.model_version import ModelVersion
from tasks.ingest import survey_at
from tasks.lineage import code_version
from tasks.local_run import keep, new_directory
from tasks.opening import open_stream, open_survey, prediction_files
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    NETWORK,
    RETRIES,
    TABLES,
    cached,
    retrying_storage,
)

logger = logging.getLogger("galaxyloop")

if TYPE_CHECKING:
    import pandas as pd

    from galaxyloop.catalogue import CatalogueProvenance


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("predict_shard", ignored=("checkpoints", "shard")),
)
def predict_shard(
    checkpoints: list[Checkpoint],
    shard: CutoutShard,
    posterior: PosteriorConfig,
    information: InformationConfig,
    digests: list[str],
) -> Prediction:
    """Posterior summaries and information of every galaxy in a shard, by one or more models.

    Args:
        checkpoints: members of the ensemble, with one tree and one image size.
        shard: cutouts of one chunk.
        posterior: dropout samples, augmentations, intervals.
        information: volunteers expected.
        digests: of the shard and of the checkpoints, which stand for them in the key: artefacts
            that a dynamic workflow hands on have lost their hash on a cluster.
    """
    from galaxyloop.checkpoint import load_checkpoint
    from galaxyloop.inference import predict_shard as predict
    from galaxyloop.judgement import check_file
    from galaxyloop.storage import file_digest
    from schemas.predictions import judge_predictions

    directory = new_directory("prediction")
    directory.mkdir()
    path = directory / "predictions.parquet"
    with retrying_storage():
        models = [load_checkpoint(checkpoint.download()) for checkpoint in checkpoints]
        predict(models, open_stream(shard), posterior, information, path)
    check_file(path, models[0].tree, judge_predictions)
    return keep(directory, PredictionDirectory, file_digest(path))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def join_predictions(
    groups: list[list[Prediction | None]], reasons: list[list[str]]
) -> tuple[list[Prediction | None], list[str]]:
    """The groups of a survey's predictions one after the other, and why some are missing."""
    return sum(groups, []), sum(reasons, [])


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_predictions(
    survey: SurveyVersion,
    predictions: list[Prediction | None],
    reasons: list[str],
    missing: list[MissingChunk],
    allow_missing: bool = False,
) -> tuple[list[Prediction], list[MissingChunk]]:
    """Let predictions pass if none of the survey's chunks failed, or if gaps were asked for.

    Args:
        survey: whose chunks they are of.
        predictions: of each chunk that was cut out.
        reasons: why some are missing.
        missing: chunks that were not cut out.
        allow_missing: whether to go on with a part of the survey.
    """
    from galaxyloop.surveys.missing import PREDICTION, check_missing, find_missing

    version = open_survey(survey)
    lost = {one.chunk for one in missing}
    tried = [chunk for chunk in version.chunks if chunk not in lost]
    is_done = [prediction is not None for prediction in predictions]
    all_missing = [*missing, *find_missing(version, tried, is_done, (PREDICTION, reasons))]
    check_missing(all_missing, len(version.chunks), allow_missing)
    return [prediction for prediction in predictions if prediction is not None], all_missing


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def build_catalogue(
    survey: SurveyVersion,
    predictions: list[Prediction],
    missing: list[MissingChunk],
    checkpoints: list[Checkpoint],
    models: list[ModelVersion],
    posterior: PosteriorConfig,
    rejected: dict[str, int],
    products: ProductsConfig = ProductsConfig(),
    metrics: str = "",
    before: str = "",
    reference: str = "",
    drift: DriftConfig = DriftConfig(),
) -> Catalogue:
    """Put the predictions together, and make from them what astronomers read and open.

    Never cached: one with gaps would be taken for whole.

    Args:
        survey: whose galaxies they are.
        predictions: of its chunks, less the missing ones.
        missing: chunks without predictions.
        checkpoints: of the models, in their order.
        models: their names and versions.
        posterior: the settings they were predicted with.
        rejected: galaxies without a cutout, by reason.
        products: what to make besides.
        metrics: the first model's, from ``fetch_metrics``.
        before: address of the survey version of the catalogue before; empty without one.
        reference: the first model's predictions to compare with, from ``fetch_reference``.
        drift: from when on a difference to these, or to the catalogue before, is flagged.
    """
    import pandas as pd

    from galaxyloop import catalogue
    from galaxyloop.checkpoint import load_checkpoint_tree
    from galaxyloop.judgement import check_file
    from galaxyloop.publishing import find_missing_chunks
    from galaxyloop.storage import file_digest
    from galaxyloop.surveys.missing import tabulate_missing
    from schemas.catalogue import judge_catalogue

    tree = load_checkpoint_tree(checkpoints[0].download())
    version = open_survey(survey)
    former = open_survey(survey_at(before)) if before else None
    directory = new_directory("catalogue")
    directory.mkdir()
    path = directory / "catalogue.parquet"
    files = prediction_files(predictions)
    how = _say_posterior(posterior, files)
    provenance = _provenance(
        models, tree.name, survey.digest, how, missing, former.digest if former else ""
    )
    lost = {one.chunk for one in missing}
    chunks = [version.chunk_file(chunk) for chunk in version.chunks if chunk not in lost]
    summary = catalogue.write_catalogue(files, tree, provenance, path, chunks)
    check_file(path, tree, judge_catalogue)
    with retrying_storage():
        lost_before = find_missing_chunks(before) if before else []
    list_of_changes = directory / "changes.parquet"
    changes = catalogue.write_changes(former, version, list_of_changes, lost_before, lost)
    if missing:
        tabulate_missing(version, missing).to_parquet(directory / "missing.parquet", index=False)
    table = pd.read_json(io.StringIO(metrics), orient="records") if metrics else None
    known = changes if former else None
    compared = _measure_drift(path, checkpoints[0], reference, before, drift)
    facts = catalogue.CatalogueFacts(version, summary, rejected, known, compared, table)
    catalogue.write_products(path, tree, products, directory, facts)
    return keep(directory, CatalogueDirectory, file_digest(path))


def _measure_drift(
    path: Path, checkpoint: Checkpoint, reference: str, before: str, config: DriftConfig
) -> "pd.DataFrame":
    """How unlike the model's held-out galaxies, and the catalogue before, the new one is.

    A catalogue before that is gone or damaged holds up none.
    """
    import pyarrow as pa

    from galaxyloop.checkpoint import load_checkpoint
    from galaxyloop.drift import DriftReference, measure_drift
    from galaxyloop.publishing import fetch, find_last_catalogue

    known = DriftReference.from_json(reference) if reference else None
    model = load_checkpoint(checkpoint.download())
    settings = (model.tree, known, model.reference.share_beyond)
    with retrying_storage():
        place = find_last_catalogue(before) if before else ""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            last = fetch(place, Path(scratch) / "last.parquet") if place else None
            return measure_drift(path, *settings, last, config)
        except (OSError, StorageError, pa.ArrowException) as error:
            logger.warning("not compared with the catalogue before, %s: %s", place, error)
            return measure_drift(path, *settings, None, config)


def _provenance(
    models: list[ModelVersion],
    campaign: str,
    survey_digest: str,
    posterior: str,
    missing: list[MissingChunk],
    previous: str,
) -> "CatalogueProvenance":
    """Which models, survey and code made a catalogue, and when."""
    from galaxyloop.catalogue import CatalogueProvenance

    first, *others = models
    return CatalogueProvenance(
        model_name=first.name,
        model_version=first.version,
        checkpoint_digest=first.checkpoint_digest,
        campaign=campaign,
        code_version=code_version(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        survey_digest=survey_digest,
        members="; ".join(f"{m.name}/{m.version} {m.checkpoint_digest}" for m in others),
        posterior=posterior,
        n_missing=sum(one.n_galaxies for one in missing),
        previous=previous,
    )


def _say_posterior(posterior: PosteriorConfig, files: list[Path]) -> str:
    """How posteriors were computed, with every precision that a device took."""
    from galaxyloop.predictions import read_precision

    taken = sorted({read_precision(file) for file in files}) or [posterior.precision]
    return (
        f"{posterior.n_samples} samples x {posterior.n_augmentations} views, "
        f"precision {' and '.join(taken)}"
    )
