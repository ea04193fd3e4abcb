"""Galaxy Zoo Hubble: galaxies of Hubble's deep fields, many of them clumps (Willett et al. 2017).

Names follow the harmonised columns that published code uses. The walk is that of the site's source
and of code that its team published to find the most common walk; it differs from published trees:

- spiral winding and arm count are asked after "spiral arms: yes", not after "edge-on: no";
- the questions on clumps are all there, each after any of the answers that led to it;
- clumps arranged in a spiral lead to the questions on bar, arms and bulge, not to the brightest;
- "something odd" is asked after smooth or featured; published trees leave it out.

"Odd feature" (task 08) is left out: on the site of the full-depth GOODS images, a tenth of the
table, several could be ticked, so its votes are no shares. Until 20 May 2010, a month after the
start, two clumps led to their arrangement, and a spiral of clumps to the brightest; these votes
cannot be told from later ones. Not verified: whether somebody who finds the brightest clump off
the centre is still asked for something odd, as the later site did and this tree has it.

The tables publish fractions, from which votes are recovered with each task's number of answers.
"""

from galaxyloop.campaigns.campaign import Campaign, Tasks, task_grammar
from galaxyloop.campaigns.questions import clump_questions
from galaxyloop.decision_tree import DecisionTree, Question

_FEATURES = "smooth-or-featured-hubble_features"
_SMOOTH = "smooth-or-featured-hubble_smooth"
_FACE_ON = ("disk-edge-on-hubble_no", "clump-configuration-hubble_spiral")
_WITH_ARMS = ("has-spiral-arms-hubble_yes",)

TREE = DecisionTree(
    "gz_hubble",
    (
        Question("smooth-or-featured-hubble", ("smooth", "features", "artifact")),
        Question("how-rounded-hubble", ("completely", "in-between", "cigar-shaped"), (_SMOOTH,)),
        *clump_questions("hubble", arrangements=("straight-line", "chain", "cluster-or-irregular")),
        Question("disk-edge-on-hubble", ("yes", "no"), ("clumpy-appearance-hubble_no",)),
        Question("bulge-shape-hubble", ("rounded", "boxy", "none"), ("disk-edge-on-hubble_yes",)),
        Question("bar-hubble", ("yes", "no"), _FACE_ON),
        Question("has-spiral-arms-hubble", ("yes", "no"), _FACE_ON),
        Question("spiral-winding-hubble", ("tight", "medium", "loose"), _WITH_ARMS),
        Question(
            "spiral-arm-count-hubble", ("1", "2", "3", "4", "5-plus", "cant-tell"), _WITH_ARMS
        ),
        Question("bulge-size-hubble", ("none", "just-noticeable", "obvious", "dominant"), _FACE_ON),
        Question("something-odd-hubble", ("yes", "no"), (_SMOOTH, _FEATURES)),
    ),
)

_YES_NO = {"a01_yes": "yes", "a02_no": "no"}
_COUNTS = {
    "a01_1": "1",
    "a02_2": "2",
    "a03_3": "3",
    "a04_4": "4",
    "a05_more_than_4": "5-plus",
    "a06_cant_tell": "cant-tell",
}
_TASKS: Tasks = {
    "t01_smooth_or_features": (
        "smooth-or-featured-hubble",
        {
            "a01_smooth": "smooth",
            "a02_features_or_disk": "features",
            "a03_star_or_artifact": "artifact",
        },
    ),
    "t02_edgeon": ("disk-edge-on-hubble", _YES_NO),
    "t03_bar": ("bar-hubble", {"a01_bar": "yes", "a02_no_bar": "no"}),
    "t04_spiral": ("has-spiral-arms-hubble", {"a01_spiral": "yes", "a02_no_spiral": "no"}),
    "t05_bulge_prominence": (
        "bulge-size-hubble",
        {
            "a01_no_bulge": "none",
            "a02_just_noticeable": "just-noticeable",
            "a03_obvious": "obvious",
            "a04_dominant": "dominant",
        },
    ),
    "t06_odd": ("something-odd-hubble", _YES_NO),
    "t07_rounded": (
        "how-rounded-hubble",
        {
            "a01_completely_round": "completely",
            "a02_in_between": "in-between",
            "a03_cigar_shaped": "cigar-shaped",
        },
    ),
    "t09_bulge_shape": (
        "bulge-shape-hubble",
        {"a01_rounded": "rounded", "a02_boxy": "boxy", "a03_no_bulge": "none"},
    ),
    "t10_arms_winding": (
        "spiral-winding-hubble",
        {"a01_tight": "tight", "a02_medium": "medium", "a03_loose": "loose"},
    ),
    "t11_arms_number": ("spiral-arm-count-hubble", _COUNTS),
    "t12_clumpy": ("clumpy-appearance-hubble", _YES_NO),
    "t13_bright_clump": ("one-clump-brightest-hubble", _YES_NO),
    "t14_bright_clump_central": ("brightest-clump-central-hubble", _YES_NO),
    "t15_clumps_arrangement": (
        "clump-configuration-hubble",
        {
            "a01_line": "straight-line",
            "a02_chain": "chain",
            "a03_cluster": "cluster-or-irregular",
            "a04_spiral": "spiral",
        },
    ),
    "t16_clumps_count": ("clump-count-hubble", _COUNTS),
    "t17_clumps_symmetrical": ("galaxy-symmetrical-hubble", _YES_NO),
    "t18_clumps_embedded": ("clumps-embedded-larger-object-hubble", _YES_NO),
}

GZ_HUBBLE = Campaign(
    name="gz_hubble",
    title="Galaxy Zoo Hubble",
    reference="Willett et al. 2017, MNRAS 464, 4176 (arXiv:1610.03068)",
    tree=TREE,
    published=task_grammar(
        _TASKS,
        {
            "_fraction": "fraction",
            "_weighted_fraction": "weighted_fraction",
            "_total_count": "total",
            "_total_weight": "statistic",
            "_debiased_fraction": "statistic",
            "_best_fraction": "statistic",
            "_lower_limit": "statistic",
            "_upper_limit": "statistic",
            "_flag": "statistic",
        },
    ),
    id_columns=("id_str", "zooniverse_id", "survey_id"),
)
