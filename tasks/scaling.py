"""A study of scaling: checks, cells, tables and figure."""

import json
import logging
import tempfile
from pathlib import Path

from flytekit import task

from galaxyloop.scaling.cells import ScalingCell
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.vote_tables.settings import VoteSource
from schemas.artefacts import CutoutShard, SurveyVersion, VoteTable
from schemas.splits import KeyedSplits
from tasks.local_run import is_in_pod
from tasks.opening import open_cutouts
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    LABELLED,
    NETWORK,
    RETRIES,
    TABLES,
    cached,
    retrying_storage,
)
from tasks.resuming import resumable

logger = logging.getLogger("galaxyloop")


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_scaling(manifest: str, votes: list[VoteSource], study: ScalingConfig, output: str) -> str:
    """Refuse in seconds what would otherwise fail after images were read; gives the manifest."""
    from galaxyloop.campaigns import campaign_tree
    from galaxyloop.config import require
    from galaxyloop.encoders import check_encoder_name
    from galaxyloop.outputs import check_output

    require(bool(votes), "votes must name at least one table with its campaign, got none")
    campaign_tree(list(dict.fromkeys(source.campaign for source in votes)))
    for encoder in study.encoders:
        check_encoder_name(encoder)
    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    return manifest


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("run_scaling_cell", ignored=LABELLED),
)
def run_scaling_cell(
    cell: ScalingCell,
    data_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
) -> str:
    """The row of one cell, as JSON; its training goes on where it was cut short.

    ``data_digest`` is what ``digest_labels`` says of the other inputs.
    """
    from galaxyloop import vote_tables
    from galaxyloop.scaling.cells import run_cell

    logger.info("%s, fraction %g, seed %d", cell.run.encoder, cell.fraction, cell.seed)
    directory = votes.download()
    with resumable("run_scaling_cell", data_digest, cell.to_json()) as hooks:
        row = run_cell(
            cell,
            open_cutouts(shards, survey),
            vote_tables.load_votes(directory),
            splits,
            vote_tables.load_vote_tree(directory),
            **hooks,
        )
    return json.dumps(row)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_scaling(
    output: str, rows: list[str | None], reasons: list[str], study: ScalingConfig
) -> str:
    """Put cells, laws and figure where they were asked for; says what came out.

    Cells that failed are lines of the table; only if all did, the task fails after that.
    """
    from galaxyloop.errors import ScalingError
    from galaxyloop.scaling.report import write_report
    from galaxyloop.scaling.summary import collect_cells
    from galaxyloop.storage import publish_file

    found = [None if row is None else json.loads(row) for row in rows]
    cells = collect_cells(study, found, reasons)
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        told, paths = write_report(cells, study, Path(scratch))
        placed = [publish_file(path, f"{output.rstrip('/')}/{path.name}") for path in paths]
    if not any(found):
        raise ScalingError(
            f"none of {len(cells)} cells finished ({cells['error'].iloc[0]}); {placed[0]} says "
            "why of each: mend it and run it again"
        )
    return "\n".join((told, *placed))
