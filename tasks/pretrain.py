"""Training an encoder."""

from flytekit import task

from galaxyloop.processes import joined
from galaxyloop.training.config import ByolRun, HybridRun, SupervisedRun
from schemas.artefacts import (
    Checkpoint,
    CutoutShard,
    SurveyVersion,
    VoteTable,
)
from schemas.splits import KeyedSplits
from tasks.opening import open_indexes
from tasks.processes import (
    fetched,
    fetched_cutouts,
    fetched_start,
    keep_checkpoint,
    new_directory,
)
from tasks.resources import (
    ACCELERATOR,
    CPU_IMAGE,
    GPU_IMAGE,
    IMAGES,
    LABELLED,
    RETRIES,
    TABLES,
    TRAINING,
    cached,
    retrying_storage,
    together,
    with_pixels,
)
from tasks.resuming import resumable


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def digest_labels(
    survey: SurveyVersion, shards: list[CutoutShard], votes: VoteTable, splits: KeyedSplits
) -> str:
    """What training and evaluation are keyed on: a digest of the labelled galaxies alone.

    Never cached; new galaxies without votes leave it as it is. Pixels count by what they were made
    from, the settings, and the version of the code that made them.
    """
    from galaxyloop import vote_tables
    from galaxyloop.training.labels import digest_labels as digest

    directory = fetched(votes)
    with retrying_storage():
        indexes = open_indexes(shards, survey)
    table, tree = vote_tables.load_votes(directory), vote_tables.load_vote_tree(directory)
    return with_pixels(digest(indexes, table, splits, tree))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def digest_images(survey: SurveyVersion, shards: list[CutoutShard], splits: KeyedSplits) -> str:
    """What training on images is keyed on: a digest of all galaxies with a cutout.

    Never cached.
    """
    from galaxyloop.training.labels import digest_images as digest

    with retrying_storage():
        indexes = open_indexes(shards, survey)
    return with_pixels(digest(indexes, splits))


@task(
    container_image=GPU_IMAGE,
    resources=TRAINING,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_supervised", ignored=LABELLED),
    **together(),
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
    from galaxyloop import training, vote_tables

    with (
        joined(run.training.device),
        resumable("pretrain_supervised", data_digest, run.to_json()) as hooks,
    ):
        directory = fetched(votes)
        trained = training.pretrain_supervised(
            fetched_cutouts(shards, survey),
            vote_tables.load_votes(directory),
            splits,
            vote_tables.load_vote_tree(directory),
            run,
            new_directory("checkpoint"),
            **hooks,
        )
        return keep_checkpoint(trained)


@task(
    container_image=GPU_IMAGE,
    resources=TRAINING,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_byol", ignored=IMAGES),
    **together(),
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
    from galaxyloop import training

    with (
        joined(run.training.device),
        resumable("pretrain_byol", images_digest, run.to_json(), *_digests(start)) as hooks,
    ):
        trained = training.pretrain_byol(
            fetched_cutouts(shards, survey),
            splits,
            run,
            new_directory("checkpoint"),
            start=fetched_start(start),
            **hooks,
        )
        return keep_checkpoint(trained)


@task(
    container_image=GPU_IMAGE,
    resources=TRAINING,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_hybrid", ignored=LABELLED),
    **together(),
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
    from galaxyloop import training, vote_tables

    keys = data_digest, images_digest, run.to_json(), *_digests(start)
    with joined(run.training.device), resumable("pretrain_hybrid", *keys) as hooks:
        directory = fetched(votes)
        trained = training.pretrain_hybrid(
            fetched_cutouts(shards, survey),
            vote_tables.load_votes(directory),
            splits,
            vote_tables.load_vote_tree(directory),
            run,
            new_directory("checkpoint"),
            start=fetched_start(start),
            **hooks,
        )
        return keep_checkpoint(trained)


def _digests(start: list[Checkpoint]) -> list[str]:
    """Of the checkpoint to start from, if there is one."""
    return [checkpoint.digest for checkpoint in start]
