"""Checks of a loop's inputs that need no images."""

from collections.abc import Sequence

from galaxyloop.active_learning.config import ActiveLearningConfig
from galaxyloop.active_learning.data import label_tree
from galaxyloop.campaigns import campaign_tree
from galaxyloop.config import require
from galaxyloop.errors import UnknownNameError
from galaxyloop.finetuning.labels import LabelConfig, read_labels


def check_sources(
    campaigns: Sequence[str], labels: str, label_checks: LabelConfig, study: ActiveLearningConfig
) -> None:
    """Refuse a loop with neither votes nor labels, with both, or with names that do not exist.

    Args:
        campaigns: of the vote tables.
        labels: table of labels; empty if there are votes.
        label_checks: how it is read.
        study: whose questions and measure must fit.

    Raises:
        ConfigError: there are not exactly votes or labels, or the measure does not fit them.
        UnknownNameError: a campaign or a question is unknown.
        LabelError: the labels cannot be read, or are values and no classes.
    """
    require(
        bool(campaigns) != bool(labels),
        f"give votes or labels, one of the two, got {len(campaigns)} vote tables and "
        f"labels='{labels}'",
    )
    names: tuple[str, ...] = ()
    if campaigns:
        names = campaign_tree(list(dict.fromkeys(campaigns))).question_names
        require(
            study.measure != "ranking_error",
            "measure 'ranking_error' is of labels of two classes; of votes take rmse or log_loss",
        )
    else:
        tree = label_tree(read_labels(labels, label_checks).target)
        names = tree.question_names
        n_classes = len(tree.columns)
        require(
            study.measure != "ranking_error" or n_classes == 2,
            f"measure 'ranking_error' is of labels of two classes, these are of {n_classes}; take "
            "rmse or log_loss",
        )
    for question in study.questions:
        if question not in names:
            raise UnknownNameError("question", question, names)
