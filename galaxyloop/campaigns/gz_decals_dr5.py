"""Galaxy Zoo DECaLS, fifth data release (Walmsley et al. 2022).

Names and order follow the harmonised columns that published code uses for DR5. Two things differ:

- "merging" is asked after smooth or featured, not of everybody: "artifact" ends the walk.
- The merging question was worded anew while the campaign ran. The first wording offered merger,
  tidal debris, both, neither (``-v1`` in the tables); the second merger, major disturbance,
  minor disturbance, none. Only the second is in the tree. To call "tidal debris" a "major
  disturbance" would be our guess, not the volunteers' answer, and "merger" was an answer of both,
  so it cannot be told apart. So where a galaxy has votes on any ``-v1`` answer, all its votes on
  merging are set aside (0 votes), and the summary says how many.
"""

from galaxyloop.campaigns.campaign import DASH_SUFFIXES, Campaign, Grammar
from galaxyloop.decision_tree import DecisionTree, Question

_FEATURED = "smooth-or-featured-dr5_featured-or-disk"
_SMOOTH = "smooth-or-featured-dr5_smooth"

TREE = DecisionTree(
    "gz_decals_dr5",
    (
        Question("smooth-or-featured-dr5", ("smooth", "featured-or-disk", "artifact")),
        Question("disk-edge-on-dr5", ("yes", "no"), (_FEATURED,)),
        Question("has-spiral-arms-dr5", ("yes", "no"), ("disk-edge-on-dr5_no",)),
        Question("bar-dr5", ("strong", "weak", "no"), ("disk-edge-on-dr5_no",)),
        Question(
            "bulge-size-dr5",
            ("dominant", "large", "moderate", "small", "none"),
            ("disk-edge-on-dr5_no",),
        ),
        Question("how-rounded-dr5", ("round", "in-between", "cigar-shaped"), (_SMOOTH,)),
        Question("edge-on-bulge-dr5", ("boxy", "none", "rounded"), ("disk-edge-on-dr5_yes",)),
        Question("spiral-winding-dr5", ("tight", "medium", "loose"), ("has-spiral-arms-dr5_yes",)),
        Question(
            "spiral-arm-count-dr5",
            ("1", "2", "3", "4", "more-than-4", "cant-tell"),
            ("has-spiral-arms-dr5_yes",),
        ),
        Question(
            "merging-dr5",
            ("none", "minor-disturbance", "major-disturbance", "merger"),
            (_SMOOTH, _FEATURED),
        ),
    ),
)

GZ_DECALS_DR5 = Campaign(
    name="gz_decals_dr5",
    title="Galaxy Zoo DECaLS DR5",
    reference="Walmsley et al. 2022, MNRAS 509, 3966 (arXiv:2102.08414)",
    tree=TREE,
    published=Grammar(
        answers={column.replace("-dr5_", "_"): column for column in TREE.columns},
        questions={name.removesuffix("-dr5"): name for name in TREE.question_names},
        suffixes=DASH_SUFFIXES,
    ),
    id_columns=("id_str", "iauname", "subject_id"),
    superseded={
        "merging_tidal-debris-v1": "merging-dr5",
        "merging_both-v1": "merging-dr5",
        "merging_neither-v1": "merging-dr5",
    },
)
