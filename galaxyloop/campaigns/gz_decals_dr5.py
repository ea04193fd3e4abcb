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

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree

TREE = DecisionTree("gz_decals_dr5", decals_questions("dr5"))

GZ_DECALS_DR5 = Campaign(
    name="gz_decals_dr5",
    title="Galaxy Zoo DECaLS DR5",
    reference="Walmsley et al. 2022, MNRAS 509, 3966 (arXiv:2102.08414)",
    tree=TREE,
    published=dash_grammar(TREE, "-dr5"),
    id_columns=("id_str", "iauname", "subject_id"),
    superseded={
        "merging_tidal-debris-v1": "merging-dr5",
        "merging_both-v1": "merging-dr5",
        "merging_neither-v1": "merging-dr5",
    },
)
