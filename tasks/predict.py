"""Predictions of shards, and the catalogue they make."""

from datetime import UTC, datetime

from flytekit import task

from galaxyloop.acquisition import InformationConfig
from galaxyloop.posterior import PosteriorConfig
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
from tasks.lineage import code_version
from tasks.local_run import keep, new_directory
from tasks.opening import open_shards, open_survey, prediction_files
from tasks.resources import ACCELERATOR, GPU_IMAGE, NETWORK, RETRIES, TABLES, cached


@task(
    container_image=GPU_IMAGE,
    requests=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("predict_shard"),
)
def predict_shard(
    checkpoint: Checkpoint,
    shard: CutoutShard,
    posterior: PosteriorConfig,
    information: InformationConfig,
) -> Prediction:
    """Posterior summaries and information of every galaxy in a shard."""
    from galaxyloop.checkpoint import load_checkpoint
    from galaxyloop.inference import predict_shard as predict
    from galaxyloop.judgement import check_file
    from galaxyloop.storage import file_digest
    from schemas.predictions import judge_predictions

    directory = new_directory("prediction")
    directory.mkdir()
    path = directory / "predictions.parquet"
    model = load_checkpoint(checkpoint.download())
    predict(model, open_shards([shard])[0], posterior, information, path)
    check_file(path, model.tree, judge_predictions)
    return keep(directory, PredictionDirectory, file_digest(path))


@task(requests=TABLES)
def build_catalogue(
    survey: SurveyVersion,
    predictions: list[Prediction],
    checkpoint: Checkpoint,
    model: ModelVersion,
) -> Catalogue:
    """Put the predictions together; the footer says which model, survey and code made them."""
    from galaxyloop.catalogue import CatalogueProvenance, write_catalogue
    from galaxyloop.checkpoint import load_checkpoint_tree
    from galaxyloop.judgement import check_file
    from galaxyloop.storage import file_digest
    from schemas.catalogue import judge_catalogue

    tree = load_checkpoint_tree(checkpoint.download())
    provenance = CatalogueProvenance(
        model_name=model.name,
        model_version=model.version,
        checkpoint_digest=model.checkpoint_digest,
        campaign=tree.name,
        code_version=code_version(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        survey_digest=survey.digest,
    )
    directory = new_directory("catalogue")
    directory.mkdir()
    path = directory / "catalogue.parquet"
    version = open_survey(survey)
    positions = version.galaxies.set_index("id_str")[["ra_deg", "dec_deg"]]
    write_catalogue(prediction_files(predictions), tree, version.alive, provenance, path, positions)
    check_file(path, tree, judge_catalogue)
    return keep(directory, CatalogueDirectory, file_digest(path))
