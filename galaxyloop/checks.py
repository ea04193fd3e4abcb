"""Checks of a round's inputs that need no data."""

from collections.abc import Sequence

from galaxyloop.acquisition import ACQUISITIONS, AcquisitionConfig
from galaxyloop.campaigns import campaign_tree
from galaxyloop.encoders import check_encoder_name
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.splits import SplitConfig
from galaxyloop.storage import local_path
from galaxyloop.training.config import SupervisedRun


def check_names(
    campaigns: Sequence[str],
    run: SupervisedRun,
    split: SplitConfig,
    n_folds: int,
    acquisition: AcquisitionConfig,
) -> None:
    """Refuse names that do not exist and folds that are not there.

    Raises:
        UnknownNameError: a campaign, encoder, acquisition or question is unknown.
        ConfigError: there are no votes, or more rounds of cross-validation than folds.
    """
    if not campaigns:
        raise ConfigError("votes must name at least one table with its campaign, got none")
    tree = campaign_tree(list(dict.fromkeys(campaigns)))
    check_encoder_name(run.encoder)
    if acquisition.name not in ACQUISITIONS:
        raise UnknownNameError("acquisition", acquisition.name, ACQUISITIONS)
    for question in acquisition.questions:
        if question not in tree.question_names:
            raise UnknownNameError("question", question, tree.question_names)
    if not (n_folds == 0 or 2 <= n_folds <= split.n_folds):
        raise ConfigError(
            f"n_folds must be 0 for none or from 2 to split.n_folds={split.n_folds}, got {n_folds}"
        )


def check_output(output: str, must_be_remote: bool) -> None:
    """Refuse a place where results would be lost.

    Raises:
        ConfigError: nothing is named, or a container's own disk is.
    """
    if not output:
        raise ConfigError("output must name a folder or address for the results, got ''")
    if must_be_remote and local_path(output) is not None:
        raise ConfigError(
            f"output must be an address such as s3://bucket/round on a cluster, got '{output}': "
            "a container's own disk is lost with it"
        )
