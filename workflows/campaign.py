"""One round of a campaign: from images and votes to a catalogue and the next question."""

from flytekit import dynamic, workflow

from galaxyloop.acquisition import AcquisitionConfig, InformationConfig
from galaxyloop.calibration import CalibrationConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.metrics import MetricsConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.promotion import PromotionConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import CutoutShard, Evaluation, SurveyVersion, VoteTable
from schemas.splits import KeyedSplits
from tasks.acquire import rank_galaxies
from tasks.checks import check_round
from tasks.predict import build_catalogue, check_predictions
from tasks.registry import attach_report, register_model
from tasks.report import publish, write_report
from tasks.resources import CPU_IMAGE, WIRING
from tasks.votes import hold_out_fold, read_votes, split_galaxies
from workflows.ingest import ingest_survey
from workflows.predict import predict_shards
from workflows.pretrain import train_and_evaluate
from workflows.promotion import promote_if_better


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def cross_validate(
    n_folds: int,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    run: SupervisedRun,
    posterior: PosteriorConfig,
    metrics: MetricsConfig,
    calibration: CalibrationConfig,
) -> list[Evaluation]:
    """Train and evaluate once a fold, each with that fold held out."""
    evaluations = []
    for fold in range(n_folds):
        _, evaluation, _ = train_and_evaluate(
            survey=survey,
            shards=shards,
            votes=votes,
            splits=hold_out_fold(splits=splits, fold=fold),
            run=run,
            posterior=posterior,
            metrics=metrics,
            purpose=f"fold {fold}",
            calibration=calibration,
        )
        evaluations.append(evaluation)
    return evaluations


@workflow
def campaign_round(
    manifest: str,
    votes: list[VoteSource],
    model_name: str = "galaxyloop",
    output: str = "round",
    n_folds: int = 0,
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    vote_checks: VotesConfig = VotesConfig(),
    split: SplitConfig = SplitConfig(),
    run: SupervisedRun = SupervisedRun(),
    posterior: PosteriorConfig = PosteriorConfig(),
    metrics: MetricsConfig = MetricsConfig(),
    information: InformationConfig = InformationConfig(),
    acquisition: AcquisitionConfig = AcquisitionConfig(),
    previous: str = "",
    promotion: PromotionConfig = PromotionConfig(),
    calibration: CalibrationConfig = CalibrationConfig(),
) -> str:
    """Play one round: ingest, train, evaluate, promote, build the catalogue, rank, report.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        votes: published vote tables, each with its campaign.
        model_name: name in the model registry; the new version becomes its champion if it is
            better than the present one.
        output: folder or address that receives catalogue, acquisition list, report and metrics.
        n_folds: rounds of cross-validation (at most split.n_folds); 0 for none.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        vote_checks: how much disorder a vote table may have.
        split: shares of galaxies that validate and test.
        run: encoder, objective, augmentation, optimisation.
        posterior: dropout samples and intervals.
        metrics: how held-out predictions are judged.
        information: volunteers expected, for the information each galaxy would give.
        acquisition: how galaxies are ranked for volunteers.
        previous: directory of the survey version this one grows from; empty for a new survey.
        promotion: how sure one must be that the new version is better than the champion.
        calibration: how temperatures are fitted on the galaxies that validate.
    """
    check_round(
        votes=votes,
        run=run,
        split=split,
        n_folds=n_folds,
        acquisition=acquisition,
        output=output,
    )
    survey, shards = ingest_survey(
        manifest=manifest, ingest=ingest, cutouts=cutouts, previous=previous
    )
    table = read_votes(sources=votes, checks=vote_checks)
    splits = split_galaxies(survey=survey, votes=table, config=split)
    checkpoint, evaluation, run_id = train_and_evaluate(
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        run=run,
        posterior=posterior,
        metrics=metrics,
        purpose="round",
        calibration=calibration,
    )
    folds = cross_validate(
        n_folds=n_folds,
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
        run=run,
        posterior=posterior,
        metrics=metrics,
        calibration=calibration,
    )
    model = register_model(run_id=run_id, name=model_name, alias="challenger")
    promoted = promote_if_better(
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
    predicted, reasons = predict_shards(
        checkpoints=[checkpoint], shards=shards, posterior=posterior, information=information
    )
    predictions, missing = check_predictions(
        survey=survey, predictions=predicted, reasons=reasons, missing=[]
    )
    catalogue = build_catalogue(
        survey=survey,
        predictions=predictions,
        missing=missing,
        checkpoints=[checkpoint],
        models=[model],
        posterior=posterior,
        rejected={},
        before=previous,
    )
    ranked = rank_galaxies(
        survey=survey,
        predictions=predictions,
        votes=table,
        checkpoint=checkpoint,
        config=acquisition,
    )
    report = write_report(
        survey=survey,
        shards=shards,
        votes=table,
        checkpoint=checkpoint,
        evaluation=evaluation,
        folds=folds,
        catalogue=catalogue,
        acquisition=ranked,
    )
    attach_report(model=model, report=report)
    summary: str = publish(
        output=output,
        catalogue=catalogue,
        acquisition=ranked,
        report=report,
        model=model,
        promoted=promoted,
        evaluation=evaluation,
        folds=folds,
    )
    return summary
