"""Representations of shards, those of a survey, and what is drawn of them."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from flytekit import task

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
from tasks.opening import open_cutouts, open_shards, open_survey
from tasks.resources import (
    ACCELERATOR,
    GPU_IMAGE,
    NETWORK,
    RETRIES,
    TABLES,
    cached,
    retrying_storage,
)

FILE = "representations.parquet"


@task(requests=TABLES)
def check_embedding(survey: SurveyVersion, galleries: GalleryConfig, output: str) -> SurveyVersion:
    """Let the survey pass if it has the galaxies that are asked for and results a place."""
    from galaxyloop.outputs import check_output
    from galaxyloop.representations.similarity import find_galaxy

    check_output(output, must_be_remote=is_in_pod())
    id_strs = open_survey(survey).galaxies["id_str"]
    for query in galleries.queries:
        find_galaxy(id_strs, query)
    return survey


@task(
    container_image=GPU_IMAGE,
    requests=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    interruptible=True,
    cache=cached("represent_shard"),
)
def represent_shard(
    checkpoint: Checkpoint, shard: CutoutShard, config: RepresentationConfig
) -> Representations:
    """The encoder's features of every galaxy in a shard."""
    from galaxyloop.checkpoint import load_encoder
    from galaxyloop.representations.encoding import write_representations
    from galaxyloop.storage import file_digest

    directory = new_directory("representations")
    directory.mkdir()
    path = directory / FILE
    model = load_encoder(checkpoint.download())
    write_representations(model, open_shards([shard])[0], config, path, checkpoint.digest)
    return keep(directory, RepresentationsDirectory, file_digest(path))


@task(container_image=GPU_IMAGE, requests=NETWORK, accelerator=ACCELERATOR)
def join_representations(
    survey: SurveyVersion,
    parts: list[Representations],
    model: ModelVersion,
    anomalies: AnomalyConfig,
) -> Representations:
    """Put the shards' representations together and score how anomalous each galaxy is."""
    from galaxyloop.representations import joining
    from galaxyloop.representations.table import check_representations
    from galaxyloop.storage import file_digest
    from schemas.representations import judge_representations

    provenance = joining.RepresentationProvenance(
        model_name=model.name,
        model_version=model.version,
        checkpoint_digest=model.checkpoint_digest,
        survey_digest=survey.digest,
        code_version=code_version(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    directory = new_directory("representations")
    directory.mkdir()
    path = directory / FILE
    files = [part.download() / FILE for part in parts]
    joining.join_representations(files, open_survey(survey).galaxies, anomalies, provenance, path)
    check_representations(path, judge_representations)
    return keep(directory, RepresentationsDirectory, file_digest(path))


@task(requests=TABLES, retries=RETRIES)
def publish_representations(
    output: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    representations: Representations,
    galleries: GalleryConfig,
) -> str:
    """Draw the galleries, put all where it was asked for, and say how to look at it."""
    from galaxyloop.representations.galleries import save_galleries
    from galaxyloop.representations.table import read_representations
    from galaxyloop.storage import publish_file

    table = representations.download() / FILE
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        read = read_representations(table)
        drawn = save_galleries(read, open_cutouts(shards, survey), galleries, Path(scratch))
        placed = [
            publish_file(path, f"{output.rstrip('/')}/{path.name}") for path in (table, *drawn)
        ]
    return _say(placed, len(read.vectors), read.footer["encoder"])


def _say(placed: list[str], n_galaxies: int, encoder: str) -> str:
    """Where things are and how to look at them."""
    program = Path(sys.executable).with_name("galaxyloop")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    table, similar, anomalies = placed
    return "\n".join(
        (
            f"representations  {table} ({n_galaxies} galaxies, encoder {encoder})",
            f"similar          {similar}",
            f"anomalies        {anomalies}",
            "To look: open the two pictures; then, with a galaxy's id for ID,",
            f"  {program} similar {table} ID",
            f"  {program} anomalies {table}",
        )
    )
