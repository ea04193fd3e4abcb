"""Representations of shards, those of a survey, and what is drawn of them."""

import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flytekit import task

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.local_files import local_path
from galaxyloop.representations.config import AnomalyConfig, GalleryConfig, RepresentationConfig
from schemas.artefacts import (
    Checkpoint,
    CutoutShard,
    Representations,
    RepresentationsDirectory,
    SurveyVersion,
)
from schemas.model_version import ModelVersion
from tasks.lineage import code_version
from tasks.local_run import is_in_pod, keep, new_directory
from tasks.opening import open_cutouts, open_indexes, open_shards, open_survey
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    NETWORK,
    RETRIES,
    TABLES,
    VECTORS,
    cached,
    retrying_storage,
)

if TYPE_CHECKING:
    from galaxyloop.representations.joining import RepresentationProvenance

FILE = "representations.parquet"


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_embedding(
    manifest: str, checkpoint: Checkpoint, cutouts: CutoutConfig, output: str
) -> str:
    """Let the manifest pass if results have a place and cutouts will fit the encoder."""
    from galaxyloop.checkpoint import check_size, load_encoder
    from galaxyloop.outputs import check_output

    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    check_size(load_encoder(checkpoint.download()), cutouts.image_size_px)
    return manifest


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_queries(
    survey: SurveyVersion, shards: list[CutoutShard], galleries: GalleryConfig
) -> list[CutoutShard]:
    """Let the shards pass if they hold the galaxies whose neighbours are asked for."""
    from galaxyloop.representations.galleries import check_queries

    with retrying_storage():
        id_strs = open_indexes(shards, survey).index["id_str"]
    check_queries(galleries.queries, open_survey(survey).galaxies["id_str"], id_strs)
    return shards


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("represent_shard", ignored=("checkpoint", "shard")),
)
def represent_shard(
    checkpoint: Checkpoint, shard: CutoutShard, config: RepresentationConfig, digests: list[str]
) -> Representations:
    """The encoder's features of every galaxy in a shard.

    ``digests``, of shard and checkpoint, stand for them in the key, as in ``predict_shard``.
    """
    from galaxyloop.checkpoint import load_encoder
    from galaxyloop.representations.encoding import write_representations
    from galaxyloop.storage import file_digest

    directory = new_directory("representations")
    directory.mkdir()
    path = directory / FILE
    (cutouts,) = open_shards([shard], verify=True)
    model = load_encoder(checkpoint.download())
    write_representations(model, cutouts, config, path, checkpoint.digest)
    return keep(directory, RepresentationsDirectory, file_digest(path))


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("join_representations"),
)
def join_representations(
    survey: SurveyVersion, parts: list[Representations], anomalies: AnomalyConfig
) -> Representations:
    """Put the shards' representations together and score how anomalous each galaxy is."""
    from galaxyloop.representations import joining
    from galaxyloop.representations.table import check_representations
    from galaxyloop.storage import file_digest
    from schemas.representations import judge_representations

    directory = new_directory("representations")
    directory.mkdir()
    path = directory / FILE
    files = [part.download() / FILE for part in parts]
    joining.join_representations(files, open_survey(survey).galaxies, anomalies, path)
    check_representations(path, judge_representations)
    return keep(directory, RepresentationsDirectory, file_digest(path))


@task(container_image=CPU_IMAGE, resources=VECTORS, retries=RETRIES)
def publish_representations(
    output: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    representations: Representations,
    model: ModelVersion,
    galleries: GalleryConfig,
) -> str:
    """Say where all is from, draw the galleries, put all in its place, say how to look at it."""
    from galaxyloop.representations.galleries import choose_galleries, save_galleries
    from galaxyloop.representations.joining import stamp_representations
    from galaxyloop.representations.table import read_representations
    from galaxyloop.storage import publish_file

    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        table = Path(scratch) / FILE
        provenance = _provenance(model, survey)
        stamp_representations(representations.download() / FILE, provenance, table)
        read = read_representations(table)
        chosen = choose_galleries(read, galleries)
        cutouts = open_cutouts(shards_of(chosen.id_strs, shards, survey), survey)
        drawn = save_galleries(chosen, cutouts, Path(scratch))
        placed = [
            publish_file(path, f"{output.rstrip('/')}/{path.name}") for path in (table, *drawn)
        ]
    return _say(placed, len(read.vectors), read.footer["encoder"])


def shards_of(
    id_strs: Sequence[str], shards: list[CutoutShard], survey: SurveyVersion
) -> list[CutoutShard]:
    """The shards that hold some galaxies, found without fetching anybody's pixels."""
    indexes = open_indexes(shards, survey).shards
    return [
        shard
        for shard, index in zip(shards, indexes, strict=True)
        if index.index["id_str"].isin(id_strs).any()
    ]


def _provenance(model: ModelVersion, survey: SurveyVersion) -> "RepresentationProvenance":
    """Which model and survey, by which code, and when."""
    from galaxyloop.representations.joining import RepresentationProvenance

    return RepresentationProvenance(
        model_name=model.name,
        model_version=model.version,
        checkpoint_digest=model.checkpoint_digest,
        survey_digest=survey.digest,
        code_version=code_version(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _say(placed: list[str], n_galaxies: int, encoder: str) -> str:
    """Where things are and how to look at them."""
    program = Path(sys.executable).with_name("galaxyloop")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    table, similar, anomalies = placed
    here, look = table, "To look: open the two pictures; then, with a galaxy's id for ID,"
    if local_path(table) is None:
        here = FILE
        look = "To look: copy all three to your machine; then, with a galaxy's id for ID,"
    return "\n".join(
        (
            f"representations  {table} ({n_galaxies} galaxies, encoder {encoder})",
            f"similar          {similar}",
            f"anomalies        {anomalies}",
            look,
            f"  {program} similar {here} ID",
            f"  {program} anomalies {here}",
        )
    )
