"""What of a selection's settings can be refused before any data are read."""

from collections.abc import Sequence

from galaxyloop.acquisition import ACQUISITIONS, AcquisitionConfig, RetirementConfig
from galaxyloop.acquisition.ranking import check_columns
from galaxyloop.campaigns import campaign_tree
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import UnknownNameError
from galaxyloop.predictions import prediction_columns


def check_rules(
    campaigns: Sequence[str],
    tree: DecisionTree,
    acquisition: AcquisitionConfig,
    retirement: RetirementConfig,
) -> None:
    """Refuse names that do not exist, and an acquisition that cannot rank a survey.

    Args:
        campaigns: of the votes; none if there are no votes yet.
        tree: the model's questions.
        acquisition: names one acquisition, and questions of the model.
        retirement: names questions of the votes.

    Raises:
        UnknownNameError: a campaign, acquisition or question is unknown.
        ConfigError: predictions lack what the acquisition scores.
    """
    voted = campaign_tree(list(dict.fromkeys(campaigns))) if campaigns else tree
    if acquisition.name not in ACQUISITIONS:
        raise UnknownNameError("acquisition", acquisition.name, ACQUISITIONS)
    check_columns(prediction_columns(tree), tree, acquisition.name)
    for names, known in (
        (acquisition.questions, tree.question_names),
        (retirement.questions, voted.question_names),
    ):
        for question in names:
            if question not in known:
                raise UnknownNameError("question", question, known)
