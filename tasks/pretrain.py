"""Training an encoder."""

from flytekit import task

from galaxyloop.training.config import SupervisedRun
from schemas.artefacts import Checkpoint, CheckpointDirectory, CutoutShard, VoteTable
from schemas.splits import KeyedSplits
from tasks.local_run import keep, new_directory
from tasks.opening import open_cutouts
from tasks.resources import ACCELERATOR, GPU_IMAGE, NETWORK, RETRIES, cached


@task(
    container_image=GPU_IMAGE,
    requests=NETWORK,
    accelerator=ACCELERATOR,
    shared_memory=True,
    retries=RETRIES,
    interruptible=True,
    cache=cached("pretrain_supervised"),
)
def pretrain_supervised(
    shards: list[CutoutShard], votes: VoteTable, splits: KeyedSplits, run: SupervisedRun
) -> Checkpoint:
    """Train an encoder and a vote head on the volunteers' votes."""
    from galaxyloop import checkpoint, training, vote_tables

    directory = training.pretrain_supervised(
        open_cutouts(shards),
        vote_tables.load_votes(votes.download()),
        splits,
        vote_tables.load_vote_tree(votes.download()),
        run,
        new_directory("checkpoint"),
    )
    return keep(directory, CheckpointDirectory, checkpoint.checkpoint_digest(directory))
