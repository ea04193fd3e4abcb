"""Finetuning: from a table of labels to a model that was judged on galaxies it never saw."""

import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from flytekit import task

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.finetuning.metrics import LabelMetricsConfig
from galaxyloop.finetuning.rounds import RoundsConfig
from galaxyloop.processes import is_first, joined, once
from schemas.artefacts import (
    Checkpoint,
    CheckpointDirectory,
    CutoutShard,
    LabelEvaluation,
    LabelEvaluationDirectory,
    LabelTable,
    LabelTableDirectory,
    Prediction,
    PredictionDirectory,
    SurveyVersion,
)
from schemas.model_version import ModelVersion
from tasks.lineage import code_version
from tasks.local_run import is_in_pod, keep, new_directory
from tasks.opening import (
    open_indexes,
    open_shards,
    open_survey,
    prediction_files,
)
from tasks.processes import fetched, fetched_cutouts, fetched_start, keep_checkpoint
from tasks.registry.versions import open_start
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    NETWORK,
    RETRIES,
    TABLES,
    TRAINING,
    cached,
    retrying_storage,
    together,
    with_pixels,
)
from tasks.resuming import resumable

logger = logging.getLogger("galaxyloop")
PIXELS = ("survey", "shards")
"""Inputs that a label table's digest stands for."""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def resolve_encoder(
    start: str, run: FinetuneRun, cutouts: CutoutConfig
) -> tuple[list[Checkpoint], FinetuneRun]:
    """The checkpoint to start from, or none, and the run without the place of its weights.

    Published weights and a file of weights become a checkpoint here. Never cached: what follows
    is keyed on the weights themselves, wherever they lay and whatever they were called.
    """
    from galaxyloop.finetuning.published import fetch_weights, save_published, without_weights
    from galaxyloop.finetuning.start import check_start

    if start or not (run.pretrained or run.weights):
        with retrying_storage():
            return open_start(start), run
    check_start(run, None)
    directory = new_directory("checkpoint")
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        digest = save_published(fetch_weights(run, Path(scratch)), cutouts.image_size_px, directory)
    return [keep(directory, CheckpointDirectory, digest)], without_weights(run)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_finetuning(
    manifest: str,
    labels: str,
    label_checks: LabelConfig,
    run: FinetuneRun,
    cutouts: CutoutConfig,
    start: list[Checkpoint],
    output: str,
) -> tuple[str, str]:
    """Refuse in seconds what would otherwise fail after images were read.

    Gives the manifest, and the table that holds the labels: the manifest unless another is named.
    """
    from galaxyloop.finetuning.checks import check_inputs
    from galaxyloop.finetuning.labels import read_labels
    from galaxyloop.outputs import check_output

    check_inputs(run, fetched_start(start), cutouts.image_size_px)
    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
        told = read_labels(labels or manifest, label_checks).told
    logger.info("%s", told)
    return manifest, labels or manifest


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def read_label_table(
    labels: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    label_checks: LabelConfig,
    rounds: RoundsConfig,
) -> LabelTable:
    """Match labels to cutouts and plan the rounds; never cached, so that an edit is seen."""
    from galaxyloop.finetuning.label_table import write_label_table
    from galaxyloop.finetuning.labels import read_labels

    with retrying_storage():
        read = read_labels(labels, label_checks)
        cutouts = open_indexes(shards, survey)
        groups = open_survey(survey).galaxies.set_index("id_str")["group_id"]
    directory = new_directory("labels")
    digest = write_label_table(read, cutouts, groups, label_checks.max_unmatched, rounds, directory)
    return keep(directory, LabelTableDirectory, with_pixels(digest), replace=True)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def list_rounds(labels: LabelTable) -> list[int]:
    """The rounds to train, the final model's last."""
    from galaxyloop.finetuning import label_table

    return list(range(label_table.LabelTable.open(fetched(labels)).n_rounds))


@task(
    container_image=GPU_IMAGE,
    resources=TRAINING,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("finetune", ignored=(*PIXELS, "labels", "start")),
    **together(),
)
def finetune(
    labels: LabelTable,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    number: int,
    run: FinetuneRun,
    start: list[Checkpoint],
    digests: list[str],
) -> Checkpoint:
    """Train one round; goes on where it was cut short.

    ``start`` holds the checkpoint whose encoder is finetuned, or nothing; ``digests``, of labels
    and start, stand for them in the key, as in ``predict_shard``.
    """
    from galaxyloop.finetuning.evaluation import FinetuneStudy, finetune_round
    from galaxyloop.finetuning.label_table import LabelTable as Table

    keys = *digests, str(number), run.to_json()
    with joined(run.training.device), resumable("finetune", *keys) as hooks:
        table = Table.open(fetched(labels))
        cutouts = fetched_cutouts(shards, survey)
        study = FinetuneStudy(cutouts, table, run, fetched_start(start))
        if is_first():
            logger.info("finetuning: round %d of %d", number + 1, table.n_rounds)
        hooks["shows_epochs"] = False
        directory = once(lambda: new_directory("checkpoint"))
        return keep_checkpoint(finetune_round(study, number, directory, **hooks))


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    cache=cached("evaluate_finetuned", ignored=PIXELS),
)
def evaluate_finetuned(
    checkpoints: list[Checkpoint],
    labels: LabelTable,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    run: FinetuneRun,
    start: list[Checkpoint],
    metrics: LabelMetricsConfig,
) -> LabelEvaluation:
    """Compare what each round's model, its probe and a baseline say with the labels."""
    from galaxyloop.finetuning import evaluation
    from galaxyloop.finetuning.label_table import LabelTable as Table

    cutouts, table = fetched_cutouts(shards, survey), Table.open(fetched(labels))
    study = evaluation.FinetuneStudy(cutouts, table, run, fetched_start(start))
    trained = [fetched(one) for one in checkpoints]
    directory = new_directory("evaluation")
    digest = evaluation.evaluate_finetuned(study, trained, metrics, directory)
    return keep(directory, LabelEvaluationDirectory, digest)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def choose_final(checkpoints: list[Checkpoint]) -> Checkpoint:
    """The model of the last round, which trained on all that may train."""
    return checkpoints[-1]


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_finetuned(
    output: str,
    evaluation: LabelEvaluation,
    labels: LabelTable,
    checkpoint: Checkpoint,
    start: list[Checkpoint],
    model: ModelVersion,
) -> str:
    """Put page, tables and figures where they were asked for; says how good the model is."""
    from galaxyloop.finetuning.evaluation import LabelEvaluation as Judged
    from galaxyloop.finetuning.label_table import LabelTable as Table
    from galaxyloop.finetuning.page import describe_finetuning, say_results, write_results
    from galaxyloop.storage import publish_file

    judged, table = Judged.open(fetched(evaluation)), Table.open(fetched(labels))
    facts = {
        "registered as": f"{model.name} version {model.version} in {model.registry}",
        "code": code_version(),
        **describe_finetuning(fetched(checkpoint), fetched_start(start)),
    }
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        paths = write_results(judged, table, facts, Path(scratch))
        placed = [publish_file(path, f"{output.rstrip('/')}/{path.name}") for path in paths]
    return say_results(judged, placed, f"{model.name}/{model.version}")


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_predicting(
    manifest: str, checkpoint: Checkpoint, cutouts: CutoutConfig, output: str
) -> str:
    """Let the manifest pass if the model predicts labels of such cutouts and these have a place."""
    from galaxyloop.finetuning.checks import check_model
    from galaxyloop.outputs import check_output

    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    check_model(fetched(checkpoint), cutouts.image_size_px)
    return manifest


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("predict_labels", ignored=("checkpoint", "shard")),
)
def predict_label_shard(
    checkpoint: Checkpoint, shard: CutoutShard, digests: list[str]
) -> Prediction:
    """A finetuned model's class or value of every galaxy in a shard.

    ``digests``, of shard and checkpoint, stand for them in the key, as in ``predict_shard``.
    """
    from galaxyloop.finetuning.catalogue import predict_label_shard as predict
    from galaxyloop.finetuning.model import load_label_model
    from galaxyloop.storage import file_digest

    directory = new_directory("prediction")
    directory.mkdir()
    path = directory / "predictions.parquet"
    with retrying_storage():
        (cutouts,) = open_shards([shard], verify=True)
    predict(load_label_model(fetched(checkpoint)), cutouts, path)
    return keep(directory, PredictionDirectory, file_digest(path))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_labels(
    output: str, survey: SurveyVersion, predictions: list[Prediction], model: ModelVersion
) -> str:
    """Put a survey's predicted labels where they were asked for; returns the place."""
    from galaxyloop.finetuning.catalogue import join_label_predictions
    from galaxyloop.storage import publish_file

    provenance = {
        "model_name": model.name,
        "model_version": model.version,
        "checkpoint_digest": model.checkpoint_digest,
        "survey_digest": survey.digest,
        "code_version": code_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        version = open_survey(survey)
        positions = version.galaxies.set_index("id_str")[["ra_deg", "dec_deg"]]
        path = Path(scratch) / "labels.parquet"
        files = prediction_files(predictions)
        join_label_predictions(files, version.alive, positions, provenance, path)
        return publish_file(path, f"{output.rstrip('/')}/labels.parquet")
