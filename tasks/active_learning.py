"""The loop played against votes that are there already: data, cells, table and figure."""

import json
import logging
import tempfile
from pathlib import Path

from flytekit import task

from galaxyloop.active_learning.config import ActiveLearningConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.vote_tables.settings import VoteSource
from schemas.artefacts import Checkpoint, Loop, LoopDirectory, Representations, VoteTable
from tasks.embed import FILE
from tasks.local_run import is_in_pod, keep, new_directory
from tasks.resources import (
    CPU_IMAGE,
    RETRIES,
    TABLES,
    cached,
    retrying_storage,
)

logger = logging.getLogger("galaxyloop")


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_loop(
    manifest: str,
    votes: list[VoteSource],
    labels: str,
    label_checks: LabelConfig,
    study: ActiveLearningConfig,
    checkpoint: Checkpoint,
    cutouts: CutoutConfig,
    output: str,
) -> str:
    """Refuse in seconds what would otherwise fail after images were read; gives the manifest."""
    from galaxyloop.active_learning.checks import check_sources
    from galaxyloop.checkpoint import check_size, load_encoder
    from galaxyloop.outputs import check_output

    check_sources([source.campaign for source in votes], labels, label_checks, study)
    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    check_size(load_encoder(checkpoint.download()), cutouts.image_size_px)
    return manifest


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def prepare_loop(
    representations: Representations,
    votes: list[VoteTable],
    labels: str,
    label_checks: LabelConfig,
    split: SplitConfig,
) -> Loop:
    """Features and votes of the galaxies that have both; ``votes`` holds one table, or none."""
    from galaxyloop.active_learning.data import save_loop
    from galaxyloop.active_learning.preparing import loop_of_labels, loop_of_votes
    from galaxyloop.finetuning.labels import read_labels
    from galaxyloop.representations.table import read_representations
    from galaxyloop.vote_tables import load_vote_tree, load_votes

    read = read_representations(representations.download() / FILE)
    if votes:
        table = votes[0].download()
        data = loop_of_votes(read, load_votes(table), load_vote_tree(table), split)
    else:
        with retrying_storage():
            data = loop_of_labels(read, read_labels(labels, label_checks), split)
    return keep(save_loop(data, new_directory("loop")), LoopDirectory, data.digest())


@task(
    container_image=CPU_IMAGE,
    resources=TABLES,
    retries=RETRIES,
    cache=cached("play_loop_cell", ignored=("loop",)),
)
def play_loop_cell(
    loop: Loop, loop_digest: str, study: ActiveLearningConfig, arm: str, seed: int
) -> str:
    """Rows of one arm played from one start, as JSON; ``study`` knows no more than that arm.

    ``loop_digest`` is the loop's own: within a dynamic workflow the loop is known by its place.
    """
    from galaxyloop.active_learning.data import open_loop
    from galaxyloop.active_learning.rounds import Cell
    from galaxyloop.active_learning.study import play_and_sign

    logger.info("%s, seed %d", arm, seed)
    return json.dumps(play_and_sign(Cell(arm, seed), study, open_loop(loop.download())))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_loop(output: str, rows: list[str], study: ActiveLearningConfig) -> str:
    """Put cells, curves, savings and figure where they were asked for; says what came out."""
    from galaxyloop.active_learning.report import write_report
    from galaxyloop.active_learning.table import results_table
    from galaxyloop.storage import publish_file

    results = results_table([row for cell in rows for row in json.loads(cell)])
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        told, paths = write_report(results, study, Path(scratch))
        placed = [publish_file(path, f"{output.rstrip('/')}/{path.name}") for path in paths]
    return "\n".join((told, *placed))
