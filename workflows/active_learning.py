"""The loop: which galaxies volunteers see next, and what asking well saves."""

from dataclasses import replace

from flytekit import dynamic, workflow

from galaxyloop.acquisition import (
    AcquisitionConfig,
    BatchConfig,
    InformationConfig,
    RetirementConfig,
)
from galaxyloop.active_learning.config import BASELINE, ActiveLearningConfig
from galaxyloop.active_learning.rounds import list_cells
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.representations.config import AnomalyConfig, RepresentationConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from galaxyloop.zooniverse.config import SubjectSetConfig
from schemas.artefacts import Loop, VoteTable
from tasks.active_learning import check_loop, play_loop_cell, prepare_loop, publish_loop
from tasks.embed import join_representations
from tasks.predict import check_predictions
from tasks.registry import resolve_model
from tasks.resources import CPU_IMAGE, WIRING
from tasks.select import check_selection, publish_selection, select_galaxies
from tasks.votes import read_votes
from workflows.embed import represent_shards
from workflows.ingest import ingest_survey
from workflows.predict import predict_shards


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def read_votes_if_any(votes: list[VoteSource], checks: VotesConfig) -> list[VoteTable]:
    """The votes as one table, or no table."""
    return [read_votes(sources=votes, checks=checks)] if votes else []


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def play_loop(loop: Loop, study: ActiveLearningConfig) -> list[str]:
    """Every arm from every start; those played before are cache hits."""
    return [
        play_loop_cell(
            loop=loop,
            loop_digest=loop.digest,
            study=only_arm(study, cell.arm),
            arm=cell.arm,
            seed=cell.seed,
        )
        for cell in list_cells(study)
    ]


def only_arm(study: ActiveLearningConfig, name: str) -> ActiveLearningConfig:
    """What decides one arm's cells, so that more arms and starts can be added later."""
    arms = [arm for arm in study.arms if arm.name in (BASELINE, name)]
    return replace(study, arms=arms, n_seeds=1, measure="rmse")


@workflow
def simulate_active_learning(
    manifest: str,
    votes: list[VoteSource] = [],  # noqa: B006 - Flyte takes defaults as values
    labels: str = "",
    model: str = "galaxyloop@champion",
    output: str = "active-learning",
    study: ActiveLearningConfig = ActiveLearningConfig(),
    split: SplitConfig = SplitConfig(test_share=0.3),
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    representation: RepresentationConfig = RepresentationConfig(),
    vote_checks: VotesConfig = VotesConfig(),
    label_checks: LabelConfig = LabelConfig(),
) -> str:
    """Play rounds of asking against votes or labels that are there already, against random choice.

    A small head on the frozen features of a registered encoder is trained anew in each round. The
    encoder should not have been trained on the votes that the loop asks for.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        votes: published vote tables, each with its campaign; or else ``labels``.
        labels: table with id_str and label, of classes; empty if there are votes.
        model: registered model as name@alias or name/version; any kind, its encoder is used.
        output: folder or address that receives cells.csv, curves.csv, savings.csv and the figure.
        study: arms, rounds, starts, heads, and the error that savings are told by.
        split: share of galaxies that test; the others are the pool.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        representation: how the encoder is run.
        vote_checks: how much disorder a vote table may have.
        label_checks: columns and classes of the labels.
    """
    checkpoint, _ = resolve_model(model=model)
    checked = check_loop(
        manifest=manifest,
        votes=votes,
        labels=labels,
        label_checks=label_checks,
        study=study,
        checkpoint=checkpoint,
        cutouts=cutouts,
        output=output,
    )
    survey, shards = ingest_survey(manifest=checked, ingest=ingest, cutouts=cutouts)
    parts = represent_shards(checkpoint=checkpoint, shards=shards, config=representation)
    joined = join_representations(survey=survey, parts=parts, anomalies=AnomalyConfig())
    tables = read_votes_if_any(votes=votes, checks=vote_checks)
    loop = prepare_loop(
        representations=joined,
        votes=tables,
        labels=labels,
        label_checks=label_checks,
        split=split,
    )
    told: str = publish_loop(output=output, rows=play_loop(loop=loop, study=study), study=study)
    return told


@workflow
def select_next_galaxies(
    manifest: str,
    votes: list[VoteSource] = [],  # noqa: B006 - Flyte takes defaults as values
    model: str = "galaxyloop@champion",
    output: str = "ask-next",
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    vote_checks: VotesConfig = VotesConfig(),
    posterior: PosteriorConfig = PosteriorConfig(),
    information: InformationConfig = InformationConfig(),
    representation: RepresentationConfig = RepresentationConfig(),
    acquisition: AcquisitionConfig = AcquisitionConfig(),
    batch: BatchConfig = BatchConfig(),
    retirement: RetirementConfig = RetirementConfig(),
    subject_set: SubjectSetConfig = SubjectSetConfig(),
    asked_before: list[str] = [],  # noqa: B006 - Flyte takes defaults as values
    previous: str = "",
) -> str:
    """Choose the galaxies that volunteers see next, and make a subject set of them for Zooniverse.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        votes: votes so far, also exports of Zooniverse's classifications; none in the beginning.
        model: registered model as name@alias or name/version, that answers a campaign's questions.
        output: folder or address of its own that receives the list, a page and the subject set.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts; the size must be the model's.
        vote_checks: how much disorder a vote table may have.
        posterior: dropout samples and intervals.
        information: volunteers expected, for the information each galaxy would give.
        representation: how the encoder is run, for a batch of unlike galaxies.
        acquisition: how galaxies are ranked.
        batch: budget, diversity, and where on the sky the batch may lie.
        retirement: when a galaxy has votes enough.
        subject_set: what volunteers are shown.
        asked_before: earlier batches whose votes are to come, as ask_next.csv or a subject set's
            manifest.csv; their galaxies are not asked about again.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    checkpoint, version = resolve_model(model=model)
    checked = check_selection(
        manifest=manifest,
        votes=votes,
        checkpoint=checkpoint,
        cutouts=cutouts,
        acquisition=acquisition,
        retirement=retirement,
        asked_before=asked_before,
        output=output,
    )
    survey, shards = ingest_survey(
        manifest=checked, ingest=ingest, cutouts=cutouts, previous=previous
    )
    tables = read_votes_if_any(votes=votes, checks=vote_checks)
    predicted, reasons = predict_shards(
        checkpoints=[checkpoint], shards=shards, posterior=posterior, information=information
    )
    predictions, _ = check_predictions(
        survey=survey, predictions=predicted, reasons=reasons, missing=[]
    )
    represented = represent_shards(checkpoint=checkpoint, shards=shards, config=representation)
    selection = select_galaxies(
        survey=survey,
        predictions=predictions,
        representations=represented,
        votes=tables,
        checkpoint=checkpoint,
        acquisition=acquisition,
        batch=batch,
        retirement=retirement,
        asked_before=asked_before,
    )
    told: str = publish_selection(
        output=output,
        selection=selection,
        survey=survey,
        votes=tables,
        shards=shards,
        checkpoint=checkpoint,
        model=version,
        cutouts=cutouts,
        subject_set=subject_set,
    )
    return told
