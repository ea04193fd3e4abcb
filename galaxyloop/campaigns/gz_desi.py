"""Galaxy Zoo DESI: the questions of DECaLS DR5 and DR8 under the names of the released catalogue.

The catalogue (Walmsley et al. 2023) spells its questions without a suffix and holds a network's
predictions, not votes; the votes that it was trained on are those of ``gz_decals_dr8`` and its
forerunners. The tree is here for votes collected later on the same questions. "Merging" is asked
after smooth or featured and not of everybody, unlike in published code.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree

TREE = DecisionTree("gz_desi", decals_questions("desi"))

GZ_DESI = Campaign(
    name="gz_desi",
    title="Galaxy Zoo DESI",
    reference="Walmsley et al. 2023, MNRAS 526, 4768 (arXiv:2309.11425)",
    tree=TREE,
    published=dash_grammar(TREE, "-desi"),
    id_columns=("id_str", "dr8_id", "subject_id"),
)
