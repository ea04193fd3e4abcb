"""Pretraining on votes, on images, or on both: from a manifest to a registered model."""

from flytekit import workflow

from galaxyloop.calibration import CalibrationConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.metrics import MetricsConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.promotion import PromotionConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.training.config import ByolRun, HybridRun, SupervisedRun
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import Checkpoint, CutoutShard, Evaluation, SurveyVersion, VoteTable
from schemas.model_version import ModelVersion
from schemas.splits import KeyedSplits
from tasks import pretrain as training
from tasks.calibrate import calibrate
from tasks.evaluate import evaluate
from tasks.registry import log_pretraining, log_training, register_model, resolve_start
from tasks.votes import read_votes, split_galaxies, split_images
from workflows.ingest import ingest_survey
from workflows.promotion import promote_if_better


@workflow
def train_and_evaluate(
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    run: SupervisedRun,
    posterior: PosteriorConfig,
    metrics: MetricsConfig,
    purpose: str,
    calibration: CalibrationConfig = CalibrationConfig(),
) -> tuple[Checkpoint, Evaluation, str]:
    """Train on some galaxies, calibrate and evaluate on others, log it; also gives the run's id.

    Args:
        survey: the survey version the galaxies are of.
        shards: its cutouts.
        votes: validated votes.
        splits: which galaxies train, validate and test.
        run: encoder, objective, augmentation, optimisation.
        posterior: dropout samples and intervals.
        metrics: how held-out predictions are judged.
        purpose: what the training is for, as the run's tag says.
        calibration: how temperatures are fitted on the galaxies that validate.
    """
    digest = training.digest_labels(survey=survey, shards=shards, votes=votes, splits=splits)
    trained = training.pretrain_supervised(
        data_digest=digest, survey=survey, shards=shards, votes=votes, splits=splits, run=run
    )
    checkpoint = calibrate(
        checkpoint=trained,
        data_digest=digest,
        survey=survey,
        shards=shards,
        votes=votes,
        splits=splits,
        posterior=posterior,
        calibration=calibration,
    )
    evaluation = evaluate(
        checkpoint=checkpoint,
        data_digest=digest,
        survey=survey,
        shards=shards,
        votes=votes,
        splits=splits,
        posterior=posterior,
        metrics=metrics,
    )
    run_id = log_training(
        checkpoint=checkpoint,
        evaluation=evaluation,
        survey=survey,
        shards=shards,
        votes=votes,
        purpose=purpose,
    )
    return checkpoint, evaluation, run_id


@workflow
def pretrain_supervised(
    manifest: str,
    votes: list[VoteSource],
    model_name: str = "galaxyloop",
    alias: str = "challenger",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    vote_checks: VotesConfig = VotesConfig(),
    split: SplitConfig = SplitConfig(),
    run: SupervisedRun = SupervisedRun(),
    posterior: PosteriorConfig = PosteriorConfig(),
    metrics: MetricsConfig = MetricsConfig(),
    previous: str = "",
    promotion: PromotionConfig = PromotionConfig(),
    calibration: CalibrationConfig = CalibrationConfig(),
) -> ModelVersion:
    """Train an encoder on volunteers' votes, evaluate it, register and promote it.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        votes: published vote tables, each with its campaign.
        model_name: name in the model registry.
        alias: alias given to the new version; the champion it becomes if it is better than the
            present one.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        vote_checks: how much disorder a vote table may have.
        split: shares of galaxies that validate and test.
        run: encoder, objective, augmentation, optimisation.
        posterior: dropout samples and intervals.
        metrics: how held-out predictions are judged.
        previous: directory of the survey version this one grows from; empty for a new survey.
        promotion: how sure one must be that the new version is better than the champion.
        calibration: how temperatures are fitted on the galaxies that validate.
    """
    survey, shards = ingest_survey(
        manifest=manifest, ingest=ingest, cutouts=cutouts, previous=previous
    )
    table = read_votes(sources=votes, checks=vote_checks)
    splits = split_galaxies(survey=survey, votes=table, config=split)
    _, evaluation, run_id = train_and_evaluate(
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        run=run,
        posterior=posterior,
        metrics=metrics,
        purpose="pretraining",
        calibration=calibration,
    )
    model: ModelVersion = register_model(run_id=run_id, name=model_name, alias=alias)
    promote_if_better(
        model=model,
        evaluation=evaluation,
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        posterior=posterior,
        metrics=metrics,
        promotion=promotion,
    )
    return model


@workflow
def pretrain_byol(
    manifest: str,
    model_name: str = "galaxyloop-byol",
    alias: str = "challenger",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    split: SplitConfig = SplitConfig(),
    run: ByolRun = ByolRun(),
    start: str = "",
    previous: str = "",
) -> ModelVersion:
    """Train an encoder on images alone and register it; it answers no question until finetuned.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        model_name: name in the model registry.
        alias: alias given to the new version.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        split: shares of galaxies that validate, and that are kept for tests and never looked at.
        run: encoder, objective, views, optimisation.
        start: folder or registered model (name@alias, name/version) whose encoder is trained
            further; empty for first weights.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    survey, shards = ingest_survey(
        manifest=manifest, ingest=ingest, cutouts=cutouts, previous=previous
    )
    splits = split_images(survey=survey, config=split)
    checkpoint = training.pretrain_byol(
        images_digest=training.digest_images(survey=survey, shards=shards, splits=splits),
        survey=survey,
        shards=shards,
        splits=splits,
        run=run,
        start=resolve_start(start=start),
    )
    run_id = log_pretraining(
        checkpoint=checkpoint, survey=survey, shards=shards, purpose="pretraining"
    )
    model: ModelVersion = register_model(run_id=run_id, name=model_name, alias=alias)
    return model


@workflow
def pretrain_hybrid(
    manifest: str,
    votes: list[VoteSource],
    model_name: str = "galaxyloop-hybrid",
    alias: str = "challenger",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    vote_checks: VotesConfig = VotesConfig(),
    split: SplitConfig = SplitConfig(),
    run: HybridRun = HybridRun(),
    posterior: PosteriorConfig = PosteriorConfig(),
    metrics: MetricsConfig = MetricsConfig(),
    start: str = "",
    previous: str = "",
    promotion: PromotionConfig = PromotionConfig(),
    calibration: CalibrationConfig = CalibrationConfig(),
) -> ModelVersion:
    """Train an encoder on all images and the votes of some, evaluate it, register and promote it.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        votes: published vote tables, each with its campaign.
        model_name: name in the model registry.
        alias: alias given to the new version; the champion it becomes if it is better than the
            present one.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        vote_checks: how much disorder a vote table may have.
        split: shares of galaxies that validate and test.
        run: encoder, objective, views, optimisation.
        posterior: dropout samples and intervals.
        metrics: how held-out predictions are judged.
        start: folder or registered model (name@alias, name/version) whose encoder is trained
            further; empty for first weights.
        previous: directory of the survey version this one grows from; empty for a new survey.
        promotion: how sure one must be that the new version is better than the champion.
        calibration: how temperatures are fitted on the galaxies that validate.
    """
    survey, shards = ingest_survey(
        manifest=manifest, ingest=ingest, cutouts=cutouts, previous=previous
    )
    table = read_votes(sources=votes, checks=vote_checks)
    splits = split_galaxies(survey=survey, votes=table, config=split)
    digest = training.digest_labels(survey=survey, shards=shards, votes=table, splits=splits)
    trained = training.pretrain_hybrid(
        data_digest=digest,
        images_digest=training.digest_images(survey=survey, shards=shards, splits=splits),
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        run=run,
        start=resolve_start(start=start),
    )
    checkpoint = calibrate(
        checkpoint=trained,
        data_digest=digest,
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        posterior=posterior,
        calibration=calibration,
    )
    evaluation = evaluate(
        checkpoint=checkpoint,
        data_digest=digest,
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        posterior=posterior,
        metrics=metrics,
    )
    run_id = log_training(
        checkpoint=checkpoint,
        evaluation=evaluation,
        survey=survey,
        shards=shards,
        votes=table,
        purpose="pretraining",
    )
    model: ModelVersion = register_model(run_id=run_id, name=model_name, alias=alias)
    promote_if_better(
        model=model,
        evaluation=evaluation,
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        posterior=posterior,
        metrics=metrics,
        promotion=promotion,
    )
    return model
