"""Pretraining: from images and votes to a registered model."""

from flytekit import workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.metrics import MetricsConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.model_version import ModelVersion
from tasks import pretrain as training
from tasks.evaluate import evaluate
from tasks.registry import register_model
from tasks.votes import read_votes, split_galaxies
from workflows.ingest import ingest_survey


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
) -> ModelVersion:
    """Train an encoder on volunteers' votes, evaluate it, and register it.

    Args:
        manifest: table with id_str and image_uri (csv, csv.gz or parquet; local, s3, https).
        votes: published vote tables, each with its campaign.
        model_name: name in the model registry.
        alias: alias given to the new version.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        vote_checks: how much disorder a vote table may have.
        split: shares of galaxies that validate and test.
        run: encoder, objective, augmentation, optimisation.
        posterior: dropout samples and intervals.
        metrics: how held-out predictions are judged.
    """
    survey, shards = ingest_survey(manifest=manifest, ingest=ingest, cutouts=cutouts, previous="")
    table = read_votes(sources=votes, checks=vote_checks)
    splits = split_galaxies(survey=survey, votes=table, config=split)
    checkpoint = training.pretrain_supervised(shards=shards, votes=table, splits=splits, run=run)
    evaluation = evaluate(
        checkpoint=checkpoint,
        shards=shards,
        votes=table,
        splits=splits,
        posterior=posterior,
        metrics=metrics,
    )
    model: ModelVersion = register_model(
        checkpoint=checkpoint,
        evaluation=evaluation,
        survey=survey,
        votes=table,
        name=model_name,
        alias=alias,
    )
    return model
