"""Held-out galaxies: what a checkpoint says of them, and what volunteers said."""

from flytekit import task

from galaxyloop.metrics import MetricsConfig
from galaxyloop.posterior import PosteriorConfig
from schemas.artefacts import (
    Checkpoint,
    CutoutShard,
    Evaluation,
    EvaluationDirectory,
    SurveyVersion,
    VoteTable,
)
from schemas.splits import KeyedSplits
from tasks.local_run import keep, new_directory
from tasks.opening import open_cutouts
from tasks.resources import ACCELERATOR, GPU_IMAGE, LABELLED, NETWORK, RETRIES, cached


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    cache=cached("evaluate", ignored=LABELLED),
)
def evaluate(
    checkpoint: Checkpoint,
    data_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    posterior: PosteriorConfig,
    metrics: MetricsConfig,
) -> Evaluation:
    """Predict the test galaxies and compare with their votes.

    ``data_digest`` is what ``digest_labels`` says of survey, shards, votes and splits.
    """
    from galaxyloop.checkpoint import load_checkpoint
    from galaxyloop.evaluation import Evaluation as HeldOut
    from galaxyloop.evaluation import evaluate_checkpoint
    from galaxyloop.judgement import check_table
    from galaxyloop.vote_tables import load_votes
    from schemas.metrics import judge_metrics

    directory = new_directory("evaluation")
    digest = evaluate_checkpoint(
        load_checkpoint(checkpoint.download()),
        open_cutouts(shards, survey),
        load_votes(votes.download()),
        splits,
        (posterior, metrics),
        directory,
    )
    held_out = HeldOut.open(directory)
    check_table(held_out.metrics, held_out.tree, judge_metrics, "the metrics")
    return keep(directory, EvaluationDirectory, digest)
