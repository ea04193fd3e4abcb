"""Named, scheduled recipes: each survey's catalogue every night, and a full check every week.

To add a survey, add its two lines at the end and register. Times are UTC. A survey's manifest and
catalogue lie in its folder below ``GALAXYLOOP_ROOT``.
"""

import os

from flytekit import CronSchedule, LaunchPlan

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from workflows.catalogue import nightly_catalogue, verify_catalogue

ROOT = os.environ.get("GALAXYLOOP_ROOT", "s3://galaxyloop").rstrip("/")
"""Folder or address below which surveys lie; read when the plans are registered."""
MODEL = "galaxyloop@champion"
"""Whichever model is the champion on the night."""
KICKOFF = "kickoff"
"""The input that a schedule fills with the time at which a run was due."""
CHUNK_SIZE = 100_000
"""Galaxies in a chunk of a large survey: 15 GB of cutouts of 224 pixels, which must fit on the disk
of a pod. With the default of 10,000 a GPU would mostly wait for pods to start."""


def every_night(survey: str, at: str, ingest: IngestConfig, cutouts: CutoutConfig) -> LaunchPlan:
    """The plan that brings a survey's catalogue up to date.

    Args:
        survey: name of its folder, of letters, digits and ``_``.
        at: minute and hour in UTC, as in cron: ``"15 2"``.
        ingest: how its manifest is read; ``stat`` fingerprints do not read the images themselves.
        cutouts: how its images become cutouts.
    """
    return LaunchPlan.get_or_create(
        nightly_catalogue,
        name=f"nightly_catalogue_{survey}",
        default_inputs={
            "manifest": f"{ROOT}/{survey}/manifest.parquet",
            "output": f"{ROOT}/{survey}/catalogue",
            "model": MODEL,
            "ingest": ingest,
            "cutouts": cutouts,
        },
        schedule=CronSchedule(schedule=f"{at} * * *", kickoff_time_input_arg=KICKOFF),
    )


def every_week(survey: str, at: str, ingest: IngestConfig) -> LaunchPlan:
    """The plan that checks a survey's catalogue in full, on Sundays; arguments as above."""
    return LaunchPlan.get_or_create(
        verify_catalogue,
        name=f"weekly_check_{survey}",
        default_inputs={"output": f"{ROOT}/{survey}/catalogue", "ingest": ingest},
        schedule=CronSchedule(schedule=f"{at} * * 0", kickoff_time_input_arg=KICKOFF),
    )


_LEGACY = IngestConfig(survey="legacy_surveys", fingerprint="stat", chunk_size=CHUNK_SIZE)
_SDSS = IngestConfig(survey="sdss", fingerprint="stat", chunk_size=CHUNK_SIZE)
_AT_224_PX = CutoutConfig(image_size_px=224)

nightly_legacy_surveys = every_night("legacy_surveys", "15 2", _LEGACY, _AT_224_PX)
weekly_legacy_surveys = every_week("legacy_surveys", "15 12", _LEGACY)
nightly_sdss = every_night("sdss", "45 2", _SDSS, _AT_224_PX)
weekly_sdss = every_week("sdss", "45 12", _SDSS)
