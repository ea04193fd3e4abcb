"""A study of few labels: who tests, what pretraining may see, cells, table and figure."""

import json
import logging
import tempfile
from pathlib import Path

from flytekit import task
from pandera.typing import DataFrame

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import StudyData, match_study
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VoteSource
from schemas.artefacts import (
    Checkpoint,
    CheckpointDirectory,
    CutoutShard,
    SurveyVersion,
    VoteTable,
    VoteTableDirectory,
)
from schemas.splits import KeyedSplits
from tasks.local_run import is_in_pod, keep, new_directory
from tasks.opening import open_cutouts, open_survey
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    IMAGES,
    NETWORK,
    RETRIES,
    TABLES,
    cached,
    retrying_storage,
)

logger = logging.getLogger("galaxyloop")
LABEL_SETS = ("gz2", "gz2_efigi")
"""Names by which arms know the votes, and the votes with the further ones."""
STUDY = ("survey", "shards", "splits", "labels", "label_checks")
"""Inputs that a study's ``data_digest`` stands for."""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_study(
    manifest: str,
    labels: str,
    label_checks: LabelConfig,
    further_votes: list[VoteSource],
    study: LabelEfficiencyConfig,
    output: str,
) -> str:
    """Refuse in seconds what would otherwise fail after images were read; gives the manifest."""
    from galaxyloop.errors import UnknownNameError
    from galaxyloop.finetuning.labels import read_labels
    from galaxyloop.outputs import check_output

    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    label_sets = LABEL_SETS if further_votes else LABEL_SETS[:1]
    for arm in study.arms:
        if arm.label_set and arm.label_set not in label_sets:
            raise UnknownNameError(f"label set of arm '{arm.name}'", arm.label_set, label_sets)
    with retrying_storage():
        logger.info("%s", read_labels(labels, label_checks).told)
    return manifest


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def split_labelled(
    survey: SurveyVersion, labels: str, label_checks: LabelConfig, study: LabelEfficiencyConfig
) -> KeyedSplits:
    """Decide which labelled galaxies test; nobody else does."""
    from galaxyloop.finetuning.labels import read_labels
    from galaxyloop.label_efficiency.leakage import split_study

    with retrying_storage():
        table = read_labels(labels, label_checks).table
    return DataFrame(split_study(open_survey(survey).galaxies, table["id_str"], study.split))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def withhold_votes(
    votes: VoteTable, splits: KeyedSplits, study: LabelEfficiencyConfig
) -> VoteTable:
    """The votes that pretraining may see: none of test galaxies, none near the label."""
    from galaxyloop.label_efficiency.leakage import write_withheld_votes

    directory = new_directory("votes")
    digest = write_withheld_votes(votes.download(), splits, study.withheld, directory)
    return keep(directory, VoteTableDirectory, digest)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def digest_study(
    survey: SurveyVersion,
    shards: list[CutoutShard],
    splits: KeyedSplits,
    labels: str,
    label_checks: LabelConfig,
) -> str:
    """What cells are keyed on: a digest of the labelled galaxies; never cached."""
    with retrying_storage():
        return _open_study(survey, shards, splits, labels, label_checks).digest()


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("make_random_encoder", ignored=IMAGES),
)
def make_random_encoder(
    images_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    splits: KeyedSplits,
    run: SupervisedRun,
) -> Checkpoint:
    """An encoder of first weights, with normalisations that know the images."""
    from galaxyloop.checkpoint import checkpoint_digest
    from galaxyloop.label_efficiency import pretraining

    directory = new_directory("checkpoint")
    pretraining.make_random_encoder(open_cutouts(shards, survey), splits, run, directory)
    return keep(directory, CheckpointDirectory, checkpoint_digest(directory))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def read_published(run: FinetuneRun, cutouts: CutoutConfig) -> Checkpoint:
    """Published weights as a checkpoint; never cached, so that a replaced file is seen."""
    from galaxyloop.finetuning.published import fetch_weights, save_published

    directory = new_directory("checkpoint")
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        digest = save_published(fetch_weights(run, Path(scratch)), cutouts.image_size_px, directory)
    return keep(directory, CheckpointDirectory, digest)


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("run_cells", ignored=STUDY),
)
def run_cells(
    data_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    splits: KeyedSplits,
    labels: str,
    label_checks: LabelConfig,
    checkpoint: list[Checkpoint],
    study: LabelEfficiencyConfig,
    draw: int,
) -> str:
    """Rows of the cells of one arm, used in one way, with one draw of labels, as JSON.

    ``checkpoint`` holds the arm's encoder, or nothing; ``study`` has one arm and one kind.
    """
    from galaxyloop.errors import LabelError
    from galaxyloop.label_efficiency.cells import Cell, cell_digest, run_cell

    data = _open_study(survey, shards, splits, labels, label_checks)
    if data.digest() != data_digest:
        raise LabelError(
            f"{labels} was edited while the study ran ({data_digest[:12]} then, "
            f"{data.digest()[:12]} now); run it again"
        )
    encoder = checkpoint[0].download() if checkpoint else None
    digest = checkpoint[0].digest if checkpoint else ""
    (arm,), rows = study.arms, []
    for n_labels in study.n_labels:
        cell = Cell(arm.name, arm.kinds[0], n_labels, draw)
        logger.info("%s %s, %d labels, draw %d", *vars(cell).values())
        row = run_cell(cell, study, data, encoder)
        key = cell_digest(cell, study, data_digest)
        rows.append({**row, "checkpoint_digest": digest, "config_digest": key})
    return json.dumps(rows)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_study(output: str, rows: list[str], study: LabelEfficiencyConfig) -> str:
    """Put cells, summary and figure where they were asked for; says what came out."""
    from galaxyloop.label_efficiency.report import write_report
    from galaxyloop.label_efficiency.table import results_table
    from galaxyloop.storage import publish_file

    results = results_table([row for group in rows for row in json.loads(group)])
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        told, paths = write_report(results, study, Path(scratch))
        placed = [publish_file(path, f"{output.rstrip('/')}/{path.name}") for path in paths]
    return "\n".join((told, *placed))


def _open_study(
    survey: SurveyVersion,
    shards: list[CutoutShard],
    splits: KeyedSplits,
    labels: str,
    label_checks: LabelConfig,
) -> StudyData:
    """Cutouts, labels and splits."""
    from galaxyloop.finetuning.labels import read_labels

    read = read_labels(labels, label_checks)
    return match_study(open_cutouts(shards, survey), read, splits, label_checks.max_unmatched)
