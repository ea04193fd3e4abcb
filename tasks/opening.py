"""Artefacts as the library's own objects: what a task unwraps before it calls the library."""

from collections.abc import Sequence
from pathlib import Path

from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import SurveyVersion
from schemas.artefacts import CutoutShardDirectory, PredictionDirectory, SurveyVersionDirectory


def open_survey(survey: SurveyVersionDirectory) -> SurveyVersion:
    """The survey version."""
    return SurveyVersion.open(survey.download())


def open_shards(shards: Sequence[CutoutShardDirectory]) -> list[CutoutShard]:
    """The shards, oldest first."""
    return [CutoutShard.open(shard.download()) for shard in shards]


def open_cutouts(shards: Sequence[CutoutShardDirectory]) -> CutoutCollection:
    """The cutouts of several shards as one collection."""
    return CutoutCollection(open_shards(shards))


def prediction_files(predictions: Sequence[PredictionDirectory]) -> list[Path]:
    """The files that hold the predictions, oldest shard first."""
    return [prediction.download() / "predictions.parquet" for prediction in predictions]
