"""What can be refused before anything is read: names, numbers, places, a silent registry."""

from flytekit import task

from galaxyloop.acquisition import AcquisitionConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VoteSource
from tasks.local_run import is_in_pod
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_round(
    votes: list[VoteSource],
    run: SupervisedRun,
    split: SplitConfig,
    n_folds: int,
    acquisition: AcquisitionConfig,
    output: str,
) -> bool:
    """Refuse in a second what would otherwise fail after hours of training."""
    from galaxyloop.checks import check_names
    from galaxyloop.outputs import check_output
    from tasks.registry.client import open_client
    from tasks.registry.locking import check_lock

    check_names([source.campaign for source in votes], run, split, n_folds, acquisition)
    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    check_lock(open_client())
    return True
