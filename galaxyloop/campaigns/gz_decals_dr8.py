"""Galaxy Zoo on the eighth data release of the DESI Legacy Surveys (Walmsley et al. 2023).

The ten questions are those of GZ DECaLS DR5. As there, "merging" is asked after smooth or
featured and not of everybody, unlike in published code: "artifact" ends the walk. These are the
newly collected votes that the GZ DESI catalogue was trained on.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree

TREE = DecisionTree("gz_decals_dr8", decals_questions("dr8"))

GZ_DECALS_DR8 = Campaign(
    name="gz_decals_dr8",
    title="Galaxy Zoo DECaLS DR8",
    reference="Walmsley et al. 2023, MNRAS 526, 4768 (arXiv:2309.11425)",
    tree=TREE,
    published=dash_grammar(TREE, "-dr8"),
    id_columns=("id_str", "iauname", "dr8_id", "subject_id"),
)
