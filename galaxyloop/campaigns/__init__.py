"""The campaigns whose votes can be read. A new one is one file beside this and one line below."""

from collections.abc import Sequence

from galaxyloop.campaigns.campaign import Campaign, Grammar, Reading
from galaxyloop.campaigns.gz2 import GZ2
from galaxyloop.campaigns.gz_decals_dr5 import GZ_DECALS_DR5
from galaxyloop.decision_tree import DecisionTree, combine_trees
from galaxyloop.errors import UnknownNameError

__all__ = ["CAMPAIGNS", "Campaign", "Grammar", "Reading", "campaign_tree", "find_campaign"]

CAMPAIGNS: dict[str, Campaign] = {
    "gz2": GZ2,
    "gz_decals_dr5": GZ_DECALS_DR5,
}


def find_campaign(name: str) -> Campaign:
    """The campaign of that name.

    Raises:
        UnknownNameError: there is none.
    """
    try:
        return CAMPAIGNS[name]
    except KeyError:
        raise UnknownNameError("campaign", name, CAMPAIGNS) from None


def campaign_tree(names: Sequence[str]) -> DecisionTree:
    """The questions of one or several campaigns side by side, in the order given.

    Raises:
        UnknownNameError: a campaign is unknown.
        DecisionTreeError: no name is given, or one is given twice.
    """
    return combine_trees([find_campaign(name).tree for name in names])
