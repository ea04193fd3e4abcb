"""Does pretraining pay where labels are few? Arms pretrained once, then few labels, many times."""

from flytekit import dynamic, workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.label_efficiency.arms import standard_arms
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.pretraining import with_threads
from galaxyloop.label_efficiency.selections import groups_of_cells, only_group
from galaxyloop.surveys import IngestConfig
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import Checkpoint, CutoutShard, SurveyVersion, VoteTable
from schemas.splits import KeyedSplits
from tasks import pretrain as training
from tasks.label_efficiency import (
    LABEL_SETS,
    check_study,
    digest_study,
    make_random_encoder,
    publish_study,
    read_published,
    run_cells,
    split_labelled,
    withhold_votes,
)
from tasks.resources import CPU_IMAGE, WIRING
from tasks.votes import read_votes
from workflows.ingest import ingest_survey

STANDARD = LabelEfficiencyConfig(arms=standard_arms())


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def read_all_votes(
    votes: list[VoteSource], further_votes: list[VoteSource], checks: VotesConfig
) -> list[VoteTable]:
    """The votes, and with the further ones, if there are any, once more."""
    sources = [votes, [*votes, *further_votes]] if further_votes else [votes]
    return [read_votes(sources=some, checks=checks) for some in sources]


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def compare_arms(
    study: LabelEfficiencyConfig,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    splits: KeyedSplits,
    votes: list[VoteTable],
    labels: str,
    label_checks: LabelConfig,
    cutouts: CutoutConfig,
) -> list[str]:
    """Pretrain each arm once and run all cells; those that were done before are cache hits."""
    seen = [withhold_votes(votes=table, splits=splits, study=study) for table in votes]
    data = digest_study(
        survey=survey, shards=shards, splits=splits, labels=labels, label_checks=label_checks
    )
    images = training.digest_images(survey=survey, shards=shards, splits=splits)
    encoders: dict[str, list[Checkpoint]] = {}
    for arm in (with_threads(arm, study.n_threads) for arm in study.arms):
        start = encoders.get(arm.start, [])
        galaxies = {"survey": survey, "shards": shards, "splits": splits}
        if arm.label_set:
            galaxies["votes"] = seen[LABEL_SETS.index(arm.label_set)]
            galaxies["data_digest"] = training.digest_labels(**galaxies)
        made: list[Checkpoint] = []
        if arm.pretraining == "random":
            made = [make_random_encoder(images_digest=images, run=arm.supervised, **galaxies)]
        elif arm.pretraining == "votes":
            made = [training.pretrain_supervised(run=arm.supervised, **galaxies)]
        elif arm.pretraining == "byol":
            run = arm.byol
            made = [training.pretrain_byol(images_digest=images, run=run, start=start, **galaxies)]
        elif arm.pretraining == "hybrid":
            inputs = {"images_digest": images, "run": arm.hybrid, "start": start, **galaxies}
            made = [training.pretrain_hybrid(**inputs)]
        elif arm.pretraining == "published" and not arm.is_absent:
            made = [read_published(run=arm.finetune, cutouts=cutouts)]
        encoders[arm.name] = made
    return [
        run_cells(
            data_digest=data,
            survey=survey,
            shards=shards,
            splits=splits,
            labels=labels,
            label_checks=label_checks,
            checkpoint=encoders[arm_name],
            study=only_group(study, arm_name, kind),
            draw=draw,
        )
        for arm_name, kind, draw in groups_of_cells(study)
    ]


@workflow
def label_efficiency(
    manifest: str,
    labels: str,
    votes: list[VoteSource],
    further_votes: list[VoteSource] = [],  # noqa: B006 - Flyte takes defaults as values
    output: str = "label-efficiency",
    study: LabelEfficiencyConfig = STANDARD,
    label_checks: LabelConfig = LabelConfig(),
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    vote_checks: VotesConfig = VotesConfig(),
) -> str:
    """Compare ways to come by an encoder at several numbers of labels and draws of them.

    Test galaxies are labelled ones, by hash of id; no pretraining sees them, nor votes on
    questions near the label.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        labels: table with id_str and label of some of its galaxies.
        votes: published vote tables to pretrain on; arms know them as ``gz2``.
        further_votes: tables that make, with these, a second set: ``gz2_efigi``.
        output: folder or address that receives label_efficiency.csv, .png and the cells.
        study: arms, numbers of labels, draws, what is withheld from pretraining.
        label_checks: columns and classes of the labels.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        vote_checks: how much disorder a vote table may have.
    """
    checked = check_study(
        manifest=manifest,
        labels=labels,
        label_checks=label_checks,
        further_votes=further_votes,
        study=study,
        output=output,
    )
    survey, shards = ingest_survey(manifest=checked, ingest=ingest, cutouts=cutouts)
    tables = read_all_votes(votes=votes, further_votes=further_votes, checks=vote_checks)
    splits = split_labelled(survey=survey, labels=labels, label_checks=label_checks, study=study)
    rows = compare_arms(
        study=study,
        survey=survey,
        shards=shards,
        splits=splits,
        votes=tables,
        labels=labels,
        label_checks=label_checks,
        cutouts=cutouts,
    )
    summary: str = publish_study(output=output, rows=rows, study=study)
    return summary
