"""Checks of a round's inputs that need no data."""

from collections.abc import Sequence

from galaxyloop.acquisition import ACQUISITIONS, AcquisitionConfig
from galaxyloop.acquisition.ranking import check_columns
from galaxyloop.campaigns import campaign_tree
from galaxyloop.encoders import check_encoder_name
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.predictions import prediction_columns
from galaxyloop.splits import SplitConfig
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
        ConfigError: there are no votes, more rounds of cross-validation than folds, or predictions
            lack what the acquisition scores.
    """
    if not campaigns:
        raise ConfigError("votes must name at least one table with its campaign, got none")
    tree = campaign_tree(list(dict.fromkeys(campaigns)))
    check_encoder_name(run.encoder)
    if acquisition.name not in ACQUISITIONS:
        raise UnknownNameError("acquisition", acquisition.name, ACQUISITIONS)
    check_columns(prediction_columns(tree), tree, acquisition.name)
    for question in acquisition.questions:
        if question not in tree.question_names:
            raise UnknownNameError("question", question, tree.question_names)
    if not (n_folds == 0 or 2 <= n_folds <= split.n_folds):
        raise ConfigError(
            f"n_folds must be 0 for none or from 2 to split.n_folds={split.n_folds}, got {n_folds}"
        )
