"""Finetuning: from a table of labelled images to a registered model that was judged."""

from flytekit import dynamic, workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.finetuning.metrics import LabelMetricsConfig
from galaxyloop.finetuning.rounds import RoundsConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import Checkpoint, CutoutShard, LabelTable, Prediction, SurveyVersion
from tasks.finetune import (
    check_finetuning,
    check_predicting,
    choose_final,
    evaluate_finetuned,
    finetune,
    list_rounds,
    predict_label_shard,
    publish_finetuned,
    publish_labels,
    read_label_table,
    resolve_encoder,
)
from tasks.registry import log_finetuning, register_model, resolve_model
from tasks.resources import CARRIED, CPU_IMAGE, WIRING
from workflows.ingest import ingest_survey


@dynamic(container_image=CPU_IMAGE, resources=WIRING, environment=CARRIED)
def finetune_rounds(
    numbers: list[int],
    labels: LabelTable,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    run: FinetuneRun,
    start: list[Checkpoint],
) -> list[Checkpoint]:
    """Train each round of a label table; those trained before are cache hits."""
    digests = [labels.digest, *(checkpoint.digest for checkpoint in start)]
    return [
        finetune(
            labels=labels,
            survey=survey,
            shards=shards,
            number=number,
            run=run,
            start=start,
            digests=digests,
        )
        for number in numbers
    ]


@workflow
def finetune_and_register(
    manifest: str,
    start: str = "",
    model_name: str = "galaxyloop-finetuned",
    alias: str = "challenger",
    output: str = "finetuned",
    labels: str = "",
    label_checks: LabelConfig = LabelConfig(),
    rounds: RoundsConfig = RoundsConfig(),
    finetuning: FinetuneRun = FinetuneRun(),
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    label_metrics: LabelMetricsConfig = LabelMetricsConfig(),
) -> str:
    """Teach an encoder a new label from a few hundred examples, judge it, and register it.

    Args:
        manifest: table with id_str and image_uri, and label (csv, Parquet, FITS, VOTable; path or
            address).
        start: folder or registered model (name@alias, name/version) whose encoder is finetuned;
            empty takes the one that finetuning.encoder names.
        model_name: name in the model registry.
        alias: alias given to the new version.
        output: folder or address that receives the report, metrics, predictions and figures.
        labels: table with id_str and label; empty takes them from the manifest.
        label_checks: the labels' column, what they mean, and how much disorder there may be.
        rounds: cross-validation or held-out galaxies.
        finetuning: encoder, what is trained, augmentation, optimisation.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the encoder's.
        label_metrics: how predictions are judged.
    """
    encoder, run = resolve_encoder(start=start, run=finetuning, cutouts=cutouts)
    checked, table_uri = check_finetuning(
        manifest=manifest,
        labels=labels,
        label_checks=label_checks,
        run=run,
        cutouts=cutouts,
        start=encoder,
        output=output,
    )
    survey, shards = ingest_survey(manifest=checked, ingest=ingest, cutouts=cutouts, previous="")
    table = read_label_table(
        labels=table_uri, survey=survey, shards=shards, label_checks=label_checks, rounds=rounds
    )
    checkpoints = finetune_rounds(
        numbers=list_rounds(labels=table),
        labels=table,
        survey=survey,
        shards=shards,
        run=run,
        start=encoder,
    )
    evaluation = evaluate_finetuned(
        checkpoints=checkpoints,
        labels=table,
        survey=survey,
        shards=shards,
        run=run,
        start=encoder,
        metrics=label_metrics,
    )
    final = choose_final(checkpoints=checkpoints)
    run_id = log_finetuning(
        checkpoint=final,
        evaluation=evaluation,
        survey=survey,
        shards=shards,
        labels=table,
        purpose="finetuning",
    )
    model = register_model(run_id=run_id, name=model_name, alias=alias)
    summary: str = publish_finetuned(
        output=output,
        evaluation=evaluation,
        labels=table,
        checkpoint=final,
        start=encoder,
        model=model,
    )
    return summary


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def predict_label_shards(checkpoint: Checkpoint, shards: list[CutoutShard]) -> list[Prediction]:
    """Predict every shard; those predicted before by this checkpoint are cache hits."""
    return [
        predict_label_shard(
            checkpoint=checkpoint, shard=shard, digests=[shard.digest, checkpoint.digest]
        )
        for shard in shards
    ]


@workflow
def predict_labels(
    manifest: str,
    model: str = "galaxyloop-finetuned@challenger",
    output: str = "labels",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    previous: str = "",
) -> str:
    """Say what a finetuned model sees in every galaxy of a survey.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        model: registered model as name@alias or name/version.
        output: folder or address that receives labels.parquet.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    checkpoint, version = resolve_model(model=model)
    checked = check_predicting(
        manifest=manifest, checkpoint=checkpoint, cutouts=cutouts, output=output
    )
    survey, shards = ingest_survey(
        manifest=checked, ingest=ingest, cutouts=cutouts, previous=previous
    )
    predictions = predict_label_shards(checkpoint=checkpoint, shards=shards)
    place: str = publish_labels(
        output=output, survey=survey, predictions=predictions, model=version
    )
    return place
