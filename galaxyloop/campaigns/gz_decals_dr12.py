"""Galaxy Zoo DECaLS, first and second data release (Walmsley et al. 2022, appendix).

Names and order follow the harmonised columns that published code uses for DR1 and DR2: bars are
there or not, bulges have three sizes, and nobody may say that arms cannot be counted. Differences:

- "merging" is asked after smooth or featured, not of everybody: "artifact" ends the walk.
- The list of odd features that closes the walk is left out, there as here: several could be
  ticked, so its votes are no shares.

The walk is that of the paper's figure and of the web site's source.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.decision_tree import DecisionTree, Question

_FEATURED = "smooth-or-featured-dr12_featured-or-disk"
_SMOOTH = "smooth-or-featured-dr12_smooth"
_FACE_ON = ("disk-edge-on-dr12_no",)
_WITH_ARMS = ("has-spiral-arms-dr12_yes",)

TREE = DecisionTree(
    "gz_decals_dr12",
    (
        Question("smooth-or-featured-dr12", ("smooth", "featured-or-disk", "artifact")),
        Question("disk-edge-on-dr12", ("yes", "no"), (_FEATURED,)),
        Question("has-spiral-arms-dr12", ("yes", "no"), _FACE_ON),
        Question("bar-dr12", ("yes", "no"), _FACE_ON),
        Question("bulge-size-dr12", ("dominant", "obvious", "none"), _FACE_ON),
        Question("how-rounded-dr12", ("completely", "in-between", "cigar-shaped"), (_SMOOTH,)),
        Question("edge-on-bulge-dr12", ("boxy", "none", "rounded"), ("disk-edge-on-dr12_yes",)),
        Question("spiral-winding-dr12", ("tight", "medium", "loose"), _WITH_ARMS),
        Question("spiral-arm-count-dr12", ("1", "2", "3", "4", "more-than-4"), _WITH_ARMS),
        Question(
            "merging-dr12",
            ("neither", "tidal-debris", "both", "merger"),
            (_SMOOTH, _FEATURED),
        ),
    ),
)

GZ_DECALS_DR12 = Campaign(
    name="gz_decals_dr12",
    title="Galaxy Zoo DECaLS DR1 and DR2",
    reference="Walmsley et al. 2022, MNRAS 509, 3966 (arXiv:2102.08414)",
    tree=TREE,
    published=dash_grammar(TREE, "-dr12"),
    id_columns=("id_str", "iauname", "subject_id"),
)
