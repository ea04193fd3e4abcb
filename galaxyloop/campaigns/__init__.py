"""The campaigns whose votes can be read. A new one is one file beside this and one line below."""

from collections.abc import Sequence

from galaxyloop.campaigns.campaign import Campaign, Grammar, Reading
from galaxyloop.campaigns.efigi import EFIGI
from galaxyloop.campaigns.gz2 import GZ2
from galaxyloop.campaigns.gz_candels import GZ_CANDELS
from galaxyloop.campaigns.gz_cosmic_dawn import GZ_COSMIC_DAWN
from galaxyloop.campaigns.gz_decals_dr5 import GZ_DECALS_DR5
from galaxyloop.campaigns.gz_decals_dr8 import GZ_DECALS_DR8
from galaxyloop.campaigns.gz_decals_dr12 import GZ_DECALS_DR12
from galaxyloop.campaigns.gz_desi import GZ_DESI
from galaxyloop.campaigns.gz_euclid import GZ_EUCLID
from galaxyloop.campaigns.gz_hubble import GZ_HUBBLE
from galaxyloop.campaigns.gz_jwst_ceers import GZ_JWST_CEERS
from galaxyloop.campaigns.gz_jwst_cosmos import GZ_JWST_COSMOS
from galaxyloop.campaigns.gz_rings import GZ_RINGS
from galaxyloop.campaigns.gz_ukidss import GZ_UKIDSS
from galaxyloop.decision_tree import DecisionTree, combine_trees
from galaxyloop.errors import UnknownNameError

__all__ = [
    "CAMPAIGNS",
    "Campaign",
    "Grammar",
    "Reading",
    "campaign_tree",
    "find_campaign",
    "volunteers_questions",
]

CAMPAIGNS: dict[str, Campaign] = {
    "gz2": GZ2,
    "gz_decals_dr12": GZ_DECALS_DR12,
    "gz_decals_dr5": GZ_DECALS_DR5,
    "gz_decals_dr8": GZ_DECALS_DR8,
    "gz_desi": GZ_DESI,
    "gz_hubble": GZ_HUBBLE,
    "gz_candels": GZ_CANDELS,
    "gz_ukidss": GZ_UKIDSS,
    "gz_cosmic_dawn": GZ_COSMIC_DAWN,
    "gz_jwst_ceers": GZ_JWST_CEERS,
    "gz_jwst_cosmos": GZ_JWST_COSMOS,
    "gz_euclid": GZ_EUCLID,
    "gz_rings": GZ_RINGS,
    "efigi": EFIGI,
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


def volunteers_questions(tree: DecisionTree) -> list[str]:
    """The questions that volunteers can be asked: all but those of derived campaigns.

    Of a tree that has no others, all.
    """
    derived = {
        question
        for name, questions in tree.by_campaign.items()
        if name in CAMPAIGNS and CAMPAIGNS[name].is_derived
        for question in questions
    }
    return [name for name in tree.question_names if name not in derived] or list(
        tree.question_names
    )
