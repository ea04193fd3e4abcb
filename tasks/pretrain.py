"""Training an encoder."""

from flytekit import task

from galaxyloop.training.config import ByolRun, HybridRun, SupervisedRun
from schemas.artefacts import (
    Checkpoint,
    CheckpointDirectory,
    CutoutShard,
    SurveyVersion,
    VoteTable,
)
from schemas.splits import KeyedSplits
from tasks.local_run import keep, new_directory
from tasks.opening import open_cutouts, open_indexes
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    IMAGES,
    LABELLED,
    NETWORK,
    RETRIES,
    TABLES,
    cached,
    with_pixels,
)
from tasks.resuming import resumable


@task(container_image=CPU_IMAGE, resources=TABLES)
def digest_labels(
    survey: SurveyVersion, shards: list[CutoutShard], votes: VoteTable, splits: KeyedSplits
) -> str:
    """What training and evaluation are keyed on: a digest of the labelled galaxies alone.

    Never cached; new galaxies without votes leave it as it is. Pixels count by what they were made
    from, the settings, and the version of the code that made them.
    """
    from galaxyloop import vote_tables
    from galaxyloop.training.labels import digest_labels as digest

    directory = votes.download()
    table, tree = vote_tables.load_votes(directory), vote_tables.load_vote_tree(directory)
    return with_pixels(digest(open_indexes(shards, survey), table, splits, tree))


@task(container_image=CPU_IMAGE, resources=TABLES)
def digest_images(survey: SurveyVersion, shards: list[CutoutShard], splits: KeyedSplits) -> str:
    """What training on images is keyed on: a digest of all galaxies with a cutout.

    Never cached.
    """
    from galaxyloop.training.labels import digest_images as digest

    return with_pixels(digest(open_indexes(shards, survey), splits))


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_supervised", ignored=LABELLED),
)
def pretrain_supervised(
    data_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    run: SupervisedRun,
) -> Checkpoint:
    """Train an encoder and a vote head on the volunteers' votes; goes on where it was cut short.

    ``data_digest`` is what ``digest_labels`` says of the other inputs.
    """
    from galaxyloop import checkpoint, training, vote_tables

    with resumable("pretrain_supervised", data_digest, run.to_json()) as hooks:
        directory = training.pretrain_supervised(
            open_cutouts(shards, survey),
            vote_tables.load_votes(votes.download()),
            splits,
            vote_tables.load_vote_tree(votes.download()),
            run,
            new_directory("checkpoint"),
            **hooks,
        )
        return keep(directory, CheckpointDirectory, checkpoint.checkpoint_digest(directory))


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_byol", ignored=IMAGES),
)
def pretrain_byol(
    images_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    splits: KeyedSplits,
    run: ByolRun,
    start: list[Checkpoint],
) -> Checkpoint:
    """Train an encoder on images alone; goes on where it was cut short.

    ``images_digest`` is what ``digest_images`` says of the other inputs; ``start`` holds the
    checkpoint whose encoder is trained further, or nothing.
    """
    from galaxyloop import checkpoint, training

    with resumable("pretrain_byol", images_digest, run.to_json(), *_digests(start)) as hooks:
        directory = training.pretrain_byol(
            open_cutouts(shards, survey),
            splits,
            run,
            new_directory("checkpoint"),
            start=start[0].download() if start else None,
            **hooks,
        )
        return keep(directory, CheckpointDirectory, checkpoint.checkpoint_digest(directory))


@task(
    container_image=GPU_IMAGE,
    resources=NETWORK,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_hybrid", ignored=LABELLED),
)
def pretrain_hybrid(
    data_digest: str,
    images_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    run: HybridRun,
    start: list[Checkpoint],
) -> Checkpoint:
    """Train an encoder on all images and a vote head on those with votes, at once.

    The digests are what ``digest_labels`` and ``digest_images`` say of the other inputs;
    ``start`` holds the checkpoint whose encoder is trained further, or nothing.
    """
    from galaxyloop import checkpoint, training, vote_tables

    keys = data_digest, images_digest, run.to_json(), *_digests(start)
    with resumable("pretrain_hybrid", *keys) as hooks:
        directory = training.pretrain_hybrid(
            open_cutouts(shards, survey),
            vote_tables.load_votes(votes.download()),
            splits,
            vote_tables.load_vote_tree(votes.download()),
            run,
            new_directory("checkpoint"),
            start=start[0].download() if start else None,
            **hooks,
        )
        return keep(directory, CheckpointDirectory, checkpoint.checkpoint_digest(directory))


def _digests(start: list[Checkpoint]) -> list[str]:
    """Of the checkpoint to start from, if there is one."""
    return [checkpoint.digest for checkpoint in start]
