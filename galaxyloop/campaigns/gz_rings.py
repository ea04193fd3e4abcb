"""Galaxy Zoo rings: one question on DECaLS galaxies, asked in the Galaxy Zoo mobile app.

The votes taught the ring finder of Walmsley et al. (2022). Everybody is asked. Published code
spells the question without a suffix.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree("gz_rings", (Question("ring-rings", ("yes", "no")),))

GZ_RINGS = Campaign(
    name="gz_rings",
    title="Galaxy Zoo rings",
    reference="Walmsley et al. 2022, MNRAS 513, 1581 (arXiv:2110.12735)",
    tree=TREE,
    published=dash_grammar(TREE, "-rings"),
    id_columns=("id_str", "iauname", "subject_id"),
)
