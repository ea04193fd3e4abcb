"""What of a selection's settings can be refused before any data are read."""

from collections.abc import Sequence

from galaxyloop.acquisition import ACQUISITIONS, AcquisitionConfig, RetirementConfig
from galaxyloop.campaigns import campaign_tree
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import UnknownNameError


def check_rules(
    campaigns: Sequence[str],
    tree: DecisionTree,
    acquisition: AcquisitionConfig,
    retirement: RetirementConfig,
) -> None:
    """Refuse names that do not exist.

    Args:
        campaigns: of the votes; none if there are no votes yet.
        tree: the model's questions.
        acquisition: names one acquisition, and questions of the model.
        retirement: names questions of the votes.

    Raises:
        UnknownNameError: a campaign, acquisition or question is unknown.
    """
    voted = campaign_tree(list(dict.fromkeys(campaigns))) if campaigns else tree
    if acquisition.name not in ACQUISITIONS:
        raise UnknownNameError("acquisition", acquisition.name, ACQUISITIONS)
    for names, known in (
        (acquisition.questions, tree.question_names),
        (retirement.questions, voted.question_names),
    ):
        for question in names:
            if question not in known:
                raise UnknownNameError("question", question, known)
