"""Artefacts as the library's own objects: what a task unwraps before it calls the library."""

from collections.abc import Sequence
from pathlib import Path

from flytekit import FlyteContextManager

from galaxyloop.errors import ShardError
from galaxyloop.shard_streams import StreamedShard
from galaxyloop.shard_summary import MENDING
from galaxyloop.shards import CutoutCollection, CutoutShard, ShardSummary
from galaxyloop.surveys import SurveyVersion
from schemas.artefacts import (
    CutoutShardDirectory,
    PredictionDirectory,
    SurveyVersionDirectory,
    fetch,
)


def open_survey(survey: SurveyVersionDirectory) -> SurveyVersion:
    """The survey version."""
    return SurveyVersion.open(survey.download())


def open_shards(shards: Sequence[CutoutShardDirectory], verify: bool = False) -> list[CutoutShard]:
    """The shards, oldest first; with ``verify`` every byte is checked."""
    return [CutoutShard.open(shard.download(), verify) for shard in shards]


def open_cutouts(
    shards: Sequence[CutoutShardDirectory], survey: SurveyVersionDirectory
) -> CutoutCollection:
    """The cutouts of the galaxies that are in the survey now, as one collection."""
    return CutoutCollection(open_shards(shards), open_survey(survey).alive)


def open_indexes(
    shards: Sequence[CutoutShardDirectory], survey: SurveyVersionDirectory
) -> CutoutCollection:
    """As ``open_cutouts``, but the pixels stay where they are: only the index can be read."""
    return CutoutCollection([open_index(shard) for shard in shards], open_survey(survey).alive)


def open_index(shard: CutoutShardDirectory) -> CutoutShard:
    """A shard of which all but the pixels are here."""
    access = FlyteContextManager.current_context().file_access
    directory = Path(shard.uri)
    if access.is_remote(shard.uri):
        directory = Path(access.get_random_local_directory()) / shard.digest
        for name in ("shard.json", "index.parquet", "rejects.parquet"):
            fetch(f"{shard.uri}/{name}", directory / name)
    return CutoutShard(directory, _read_summary(directory))


def _read_summary(directory: Path) -> ShardSummary:
    """What is in a shard."""
    try:
        return ShardSummary.read((directory / "shard.json").read_bytes(), directory)
    except FileNotFoundError as error:
        raise ShardError(f"{directory} is no cutout shard: {error}; {MENDING}") from error


def open_stream(shard: CutoutShardDirectory) -> CutoutShard | StreamedShard:
    """A shard whose pixels are wanted once and in order: not fetched if it lies elsewhere."""
    if FlyteContextManager.current_context().file_access.is_remote(shard.uri):
        return StreamedShard.open(shard.uri)
    return CutoutShard.open(shard.uri)


def prediction_files(predictions: Sequence[PredictionDirectory]) -> list[Path]:
    """The files that hold the predictions, oldest shard first."""
    return [prediction.download() / "predictions.parquet" for prediction in predictions]
