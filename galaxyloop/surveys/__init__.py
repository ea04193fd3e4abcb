"""A survey: a manifest of images, kept as versions made of immutable chunks."""

from galaxyloop.surveys.fingerprints import fingerprint_images
from galaxyloop.surveys.growth import version_survey
from galaxyloop.surveys.manifest import (
    IngestConfig,
    Manifest,
    ManifestJudge,
    judge_rows,
    read_manifest,
)
from galaxyloop.surveys.versions import SurveyVersion

__all__ = [
    "IngestConfig",
    "Manifest",
    "ManifestJudge",
    "SurveyVersion",
    "fingerprint_images",
    "judge_rows",
    "read_manifest",
    "version_survey",
]
