"""Galaxy Zoo CANDELS: Hubble's infrared deep fields (Simmons et al. 2017).

Names follow the harmonised columns that published code uses. The walk is that of the web site's
source; it differs from published trees:

- spiral winding and arm count are asked after "spiral arms: yes", not after "edge-on: no";
- the questions on clumps are all there, each after any of the answers that led to it;
- "merging" is asked after smooth or featured, not of everybody: "artifact" ends the walk.

The tables publish fractions, from which votes are recovered with each task's number of answers.
"""

from galaxyloop.campaigns.campaign import Campaign, Tasks, task_grammar
from galaxyloop.campaigns.questions import clump_questions
from galaxyloop.decision_tree import DecisionTree, Question

_FEATURES = "smooth-or-featured-candels_features"
_SMOOTH = "smooth-or-featured-candels_smooth"
_FACE_ON = ("disk-edge-on-candels_no",)
_WITH_ARMS = ("has-spiral-arms-candels_yes",)

TREE = DecisionTree(
    "gz_candels",
    (
        Question("smooth-or-featured-candels", ("smooth", "features", "artifact")),
        Question("how-rounded-candels", ("completely", "in-between", "cigar-shaped"), (_SMOOTH,)),
        *clump_questions(
            "candels",
            arrangements=("straight-line", "chain", "cluster-or-irregular", "spiral"),
        ),
        Question("disk-edge-on-candels", ("yes", "no"), ("clumpy-appearance-candels_no",)),
        Question("edge-on-bulge-candels", ("yes", "no"), ("disk-edge-on-candels_yes",)),
        Question("bar-candels", ("yes", "no"), _FACE_ON),
        Question("has-spiral-arms-candels", ("yes", "no"), _FACE_ON),
        Question("spiral-winding-candels", ("tight", "medium", "loose"), _WITH_ARMS),
        Question(
            "spiral-arm-count-candels", ("1", "2", "3", "4", "5-plus", "cant-tell"), _WITH_ARMS
        ),
        Question("bulge-size-candels", ("none", "obvious", "dominant"), _FACE_ON),
        Question(
            "merging-candels",
            ("merger", "tidal-debris", "both", "neither"),
            (_SMOOTH, _FEATURES),
        ),
    ),
)

_YES_NO = {"a0_yes": "yes", "a1_no": "no"}
_COUNTS = {
    "a0_1": "1",
    "a1_2": "2",
    "a2_3": "3",
    "a3_4": "4",
    "a4_5_plus": "5-plus",
    "a5_cant_tell": "cant-tell",
}
_TASKS: Tasks = {
    "t00_smooth_or_featured": (
        "smooth-or-featured-candels",
        {"a0_smooth": "smooth", "a1_features": "features", "a2_artifact": "artifact"},
    ),
    "t01_how_rounded": (
        "how-rounded-candels",
        {
            "a0_completely": "completely",
            "a1_inbetween": "in-between",
            "a2_cigarshaped": "cigar-shaped",
        },
    ),
    "t02_clumpy_appearance": ("clumpy-appearance-candels", _YES_NO),
    "t03_how_many_clumps": ("clump-count-candels", _COUNTS),
    "t04_clump_configuration": (
        "clump-configuration-candels",
        {
            "a0_straight_line": "straight-line",
            "a1_chain": "chain",
            "a2_cluster_or_irregular": "cluster-or-irregular",
            "a3_spiral": "spiral",
        },
    ),
    "t05_is_one_clump_brightest": ("one-clump-brightest-candels", _YES_NO),
    "t06_brightest_clump_central": ("brightest-clump-central-candels", _YES_NO),
    "t07_galaxy_symmetrical": ("galaxy-symmetrical-candels", _YES_NO),
    "t08_clumps_embedded_larger_object": ("clumps-embedded-larger-object-candels", _YES_NO),
    "t09_disk_edge_on": ("disk-edge-on-candels", _YES_NO),
    "t10_edge_on_bulge": ("edge-on-bulge-candels", _YES_NO),
    "t11_bar_feature": ("bar-candels", _YES_NO),
    "t12_spiral_pattern": ("has-spiral-arms-candels", _YES_NO),
    "t13_spiral_arm_winding": (
        "spiral-winding-candels",
        {"a0_tight": "tight", "a1_medium": "medium", "a2_loose": "loose"},
    ),
    "t14_spiral_arm_count": ("spiral-arm-count-candels", _COUNTS),
    "t15_bulge_prominence": (
        "bulge-size-candels",
        {"a0_no_bulge": "none", "a1_obvious": "obvious", "a2_dominant": "dominant"},
    ),
    "t16_merging_tidal_debris": (
        "merging-candels",
        {
            "a0_merging": "merger",
            "a1_tidal_debris": "tidal-debris",
            "a2_both": "both",
            "a3_neither": "neither",
        },
    ),
}

GZ_CANDELS = Campaign(
    name="gz_candels",
    title="Galaxy Zoo CANDELS",
    reference="Simmons et al. 2017, MNRAS 464, 4420 (arXiv:1610.03070)",
    tree=TREE,
    published=task_grammar(
        _TASKS,
        {
            "_frac": "fraction",
            "_weighted_frac": "weighted_fraction",
            "_count": "total",
            "_weight": "statistic",
        },
    ),
    id_columns=("id_str", "ID"),
)
