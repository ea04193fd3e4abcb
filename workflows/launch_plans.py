"""Named recipes: of each survey a catalogue every night, a full check and a training every week.

To add a survey, add its lines at the end and register. Times are UTC. A survey's manifest, votes
and catalogue lie in its folder below ``GALAXYLOOP_ROOT``.
"""

import os
from typing import Any

from flytekit import CronSchedule, Email, Labels, LaunchPlan, WorkflowExecutionPhase

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.vote_tables.settings import VoteSource
from workflows.catalogue import nightly_catalogue, verify_catalogue
from workflows.finetune import finetune_and_register
from workflows.pretrain import pretrain_supervised

ROOT = os.environ.get("GALAXYLOOP_ROOT", "s3://galaxyloop").rstrip("/")
"""Folder or address below which surveys lie; read when the plans are registered."""
EMAILS = [one for one in os.environ.get("GALAXYLOOP_EMAILS", "").split(",") if one]
"""Who is told when a run fails, with commas between; read when the plans are registered."""
MODEL = "galaxyloop@champion"
"""Whichever model is the champion on the night."""
KICKOFF = "kickoff"
"""The input that a schedule fills with the time at which a run was due."""
CHUNK_SIZE = 100_000
"""Galaxies in a chunk of a large survey: 15 GB of cutouts of 224 pixels, which must fit on the disk
of a pod. With the default of 10,000 a GPU would mostly wait for pods to start."""
MAX_PARALLELISM = 50
"""Most tasks of one run at a time, so that a large survey leaves room for others."""


def _circumstances(survey: str) -> dict[str, Any]:
    """What all plans share: a label, how much they may take, and who is told of a failure."""
    bad_ends = [WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.TIMED_OUT]
    mails = [Email(phases=bad_ends, recipients_email=EMAILS)] if EMAILS else []
    return {
        "labels": Labels({"galaxyloop/survey": survey}),
        "max_parallelism": MAX_PARALLELISM,
        "notifications": mails,
    }


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
        **_circumstances(survey),
    )


def every_week(survey: str, at: str, ingest: IngestConfig) -> LaunchPlan:
    """The plan that checks a survey's catalogue in full, on Sundays; arguments as above."""
    return LaunchPlan.get_or_create(
        verify_catalogue,
        name=f"weekly_check_{survey}",
        default_inputs={"output": f"{ROOT}/{survey}/catalogue", "ingest": ingest},
        schedule=CronSchedule(schedule=f"{at} * * 0", kickoff_time_input_arg=KICKOFF),
        **_circumstances(survey),
    )


def every_week_trained(
    survey: str, at: str, ingest: IngestConfig, cutouts: CutoutConfig, campaign: str
) -> LaunchPlan:
    """The plan that trains a challenger on Saturdays, and promotes it if it is better.

    Without new votes or images it does nothing.

    Args:
        survey: name of its folder; its votes are ``votes.parquet`` there.
        at: minute and hour in UTC, as in cron.
        ingest: as for the night, so that cutouts are shared.
        cutouts: as for the night.
        campaign: whose votes they are.
    """
    votes = VoteSource(uri=f"{ROOT}/{survey}/votes.parquet", campaign=campaign)
    return LaunchPlan.get_or_create(
        pretrain_supervised,
        name=f"weekly_pretraining_{survey}",
        default_inputs={
            "manifest": f"{ROOT}/{survey}/manifest.parquet",
            "votes": [votes],
            "ingest": ingest,
            "cutouts": cutouts,
        },
        schedule=CronSchedule(schedule=f"{at} * * 6"),
        **_circumstances(survey),
    )


_LEGACY = IngestConfig(survey="legacy_surveys", fingerprint="stat", chunk_size=CHUNK_SIZE)
_SDSS = IngestConfig(survey="sdss", fingerprint="stat", chunk_size=CHUNK_SIZE)
_AT_224_PX = CutoutConfig(image_size_px=224)

nightly_legacy_surveys = every_night("legacy_surveys", "15 2", _LEGACY, _AT_224_PX)
weekly_legacy_surveys = every_week("legacy_surveys", "15 12", _LEGACY)
nightly_sdss = every_night("sdss", "45 2", _SDSS, _AT_224_PX)
weekly_sdss = every_week("sdss", "45 12", _SDSS)
training_legacy_surveys = every_week_trained(
    "legacy_surveys", "15 15", _LEGACY, _AT_224_PX, "gz_decals_dr5"
)
training_sdss = every_week_trained("sdss", "45 15", _SDSS, _AT_224_PX, "gz2")
finetune_champion = LaunchPlan.get_or_create(
    finetune_and_register,
    name="finetune_champion",
    default_inputs={"start": MODEL, "output": f"{ROOT}/finetuned", "cutouts": _AT_224_PX},
    **_circumstances("labelled"),
)
