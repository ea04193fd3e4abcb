"""Galaxy Zoo 2: 11 tasks on SDSS galaxies (Willett et al. 2013; debiased anew by Hart et al. 2016).

Names and order follow the harmonised columns that published code uses for GZ2. The tree differs
from the one in that code, because volunteers walked another way:

- spiral arms, bar and bulge size are asked after "edge-on: no", not straight after "featured";
- "something odd" is asked after smooth or featured, not of everybody: "artifact" ends the walk;
- "odd feature" (task 08: ring, lens or arc, ...), asked after "odd: yes", is left out there and
  is kept here, as the last question, so that the first 30 columns are the published ones.

In the Stripe 82 table of 13,836 galaxies these parents give each question's number of answers
exactly for 96 % to 99.7 % of galaxies, and never miss by more than five votes.
Two published columns of the tables are left unread: ``total_votes`` (the sum over all tasks) and
everything weighted or debiased, unless a source asks for ``rebuild: weighted``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from galaxyloop.campaigns.campaign import Campaign, Role, Tasks, task_grammar
from galaxyloop.campaigns.questions import gz2_questions
from galaxyloop.decision_tree import DecisionTree, Question

_ODD_FEATURE = Question(
    "odd-feature-gz2",
    ("ring", "lens-or-arc", "disturbed", "irregular", "other", "merger", "dust-lane"),
    ("something-odd-gz2_yes",),
)

TREE = DecisionTree("gz2", (*gz2_questions("gz2"), _ODD_FEATURE))

TASKS: Tasks = {
    "t01_smooth_or_features": (
        "smooth-or-featured-gz2",
        {
            "a01_smooth": "smooth",
            "a02_features_or_disk": "featured-or-disk",
            "a03_star_or_artifact": "artifact",
        },
    ),
    "t02_edgeon": ("disk-edge-on-gz2", {"a04_yes": "yes", "a05_no": "no"}),
    "t03_bar": ("bar-gz2", {"a06_bar": "yes", "a07_no_bar": "no"}),
    "t04_spiral": ("has-spiral-arms-gz2", {"a08_spiral": "yes", "a09_no_spiral": "no"}),
    "t05_bulge_prominence": (
        "bulge-size-gz2",
        {
            "a10_no_bulge": "no",
            "a11_just_noticeable": "just-noticeable",
            "a12_obvious": "obvious",
            "a13_dominant": "dominant",
        },
    ),
    "t06_odd": ("something-odd-gz2", {"a14_yes": "yes", "a15_no": "no"}),
    "t07_rounded": (
        "how-rounded-gz2",
        {
            "a16_completely_round": "round",
            "a17_in_between": "in-between",
            "a18_cigar_shaped": "cigar",
        },
    ),
    "t08_odd_feature": (
        "odd-feature-gz2",
        {
            "a19_ring": "ring",
            "a20_lens_or_arc": "lens-or-arc",
            "a21_disturbed": "disturbed",
            "a22_irregular": "irregular",
            "a23_other": "other",
            "a24_merger": "merger",
            "a38_dust_lane": "dust-lane",
        },
    ),
    "t09_bulge_shape": (
        "bulge-shape-gz2",
        {"a25_rounded": "round", "a26_boxy": "boxy", "a27_no_bulge": "no-bulge"},
    ),
    "t10_arms_winding": (
        "spiral-winding-gz2",
        {"a28_tight": "tight", "a29_medium": "medium", "a30_loose": "loose"},
    ),
    "t11_arms_number": (
        "spiral-arm-count-gz2",
        {
            "a31_1": "1",
            "a32_2": "2",
            "a33_3": "3",
            "a34_4": "4",
            "a36_more_than_4": "more-than-4",
            "a37_cant_tell": "cant-tell",
        },
    ),
}

SUFFIXES: Mapping[str, Role] = MappingProxyType(
    {
        "_count": "count",
        "_fraction": "fraction",
        "_weighted_fraction": "weighted_fraction",
        "_weight": "statistic",
        "_debiased": "statistic",
        "_flag": "statistic",
    }
)

GZ2 = Campaign(
    name="gz2",
    title="Galaxy Zoo 2",
    reference="Willett et al. 2013, MNRAS 435, 2835 (arXiv:1308.3496)",
    tree=TREE,
    published=task_grammar(
        TASKS,
        SUFFIXES,
        # Every classification answers the first task, so its total is that task's.
        totals={"total_classifications": "smooth-or-featured-gz2"},
    ),
    id_columns=("id_str", "objid", "dr7objid", "dr8objid"),
)
