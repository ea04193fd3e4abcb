"""Between training and evaluation: error bars that hold what they say."""

from flytekit import task

from galaxyloop.calibration import CalibrationConfig
from galaxyloop.posterior import PosteriorConfig
from schemas.artefacts import (
    Checkpoint,
    CheckpointDirectory,
    CutoutShard,
    SurveyVersion,
    VoteTable,
)
from schemas.splits import KeyedSplits
from tasks.local_run import keep, new_directory
from tasks.opening import open_cutouts
from tasks.resources import ACCELERATOR, GPU_IMAGE, LABELLED, NETWORK, RETRIES, cached


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    retries=RETRIES,
    cache=cached("calibrate", ignored=LABELLED),
)
def calibrate(
    checkpoint: Checkpoint,
    data_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    posterior: PosteriorConfig,
    calibration: CalibrationConfig,
) -> Checkpoint:
    """The checkpoint with temperatures that fit the validation galaxies' votes.

    The one given comes back if no question has enough of them. ``data_digest`` is what
    ``digest_labels`` says of survey, shards, votes and splits.
    """
    from galaxyloop.calibration import calibrate_checkpoint
    from galaxyloop.checkpoint import checkpoint_digest
    from galaxyloop.vote_tables import load_votes

    trained, place = checkpoint.download(), new_directory("checkpoint")
    directory = calibrate_checkpoint(
        trained,
        open_cutouts(shards, survey),
        load_votes(votes.download()),
        splits,
        (posterior, calibration),
        place,
    )
    if directory == trained:
        place.parent.rmdir()
        return checkpoint
    return keep(directory, CheckpointDirectory, checkpoint_digest(directory))
