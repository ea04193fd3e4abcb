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

from galaxyloop.campaigns.campaign import Campaign, Grammar
from galaxyloop.decision_tree import DecisionTree, Question

_FEATURED = "smooth-or-featured-gz2_featured-or-disk"
_SMOOTH = "smooth-or-featured-gz2_smooth"

TREE = DecisionTree(
    "gz2",
    (
        Question("smooth-or-featured-gz2", ("smooth", "featured-or-disk", "artifact")),
        Question("disk-edge-on-gz2", ("yes", "no"), (_FEATURED,)),
        Question("has-spiral-arms-gz2", ("yes", "no"), ("disk-edge-on-gz2_no",)),
        Question("bar-gz2", ("yes", "no"), ("disk-edge-on-gz2_no",)),
        Question(
            "bulge-size-gz2",
            ("dominant", "obvious", "just-noticeable", "no"),
            ("disk-edge-on-gz2_no",),
        ),
        Question("something-odd-gz2", ("yes", "no"), (_SMOOTH, _FEATURED)),
        Question("how-rounded-gz2", ("round", "in-between", "cigar"), (_SMOOTH,)),
        Question("bulge-shape-gz2", ("round", "boxy", "no-bulge"), ("disk-edge-on-gz2_yes",)),
        Question("spiral-winding-gz2", ("tight", "medium", "loose"), ("has-spiral-arms-gz2_yes",)),
        Question(
            "spiral-arm-count-gz2",
            ("1", "2", "3", "4", "more-than-4", "cant-tell"),
            ("has-spiral-arms-gz2_yes",),
        ),
        Question(
            "odd-feature-gz2",
            ("ring", "lens-or-arc", "disturbed", "irregular", "other", "merger", "dust-lane"),
            ("something-odd-gz2_yes",),
        ),
    ),
)

_TASKS: dict[str, tuple[str, dict[str, str]]] = {
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

GZ2 = Campaign(
    name="gz2",
    title="Galaxy Zoo 2",
    reference="Willett et al. 2013, MNRAS 435, 2835 (arXiv:1308.3496)",
    tree=TREE,
    published=Grammar(
        answers={
            f"{task}_{published}": f"{question}_{answer}"
            for task, (question, answers) in _TASKS.items()
            for published, answer in answers.items()
        },
        questions={task: question for task, (question, _) in _TASKS.items()},
        suffixes={
            "_count": "count",
            "_fraction": "fraction",
            "_weighted_fraction": "weighted_fraction",
            "_weight": "statistic",
            "_debiased": "statistic",
            "_flag": "statistic",
        },
        # Every classification answers the first task, so its total is that task's.
        totals={"total_classifications": "smooth-or-featured-gz2"},
    ),
    id_columns=("id_str", "objid", "dr7objid", "dr8objid"),
)
