"""Galaxy Zoo JWST: images of the COSMOS-Web survey, on the site since April 2025.

The ten questions of DECaLS DR5, with clumps and the kind of problem. Names and order follow the
harmonised columns of published code, which end in ``-jwst`` for all JWST images; here each
survey has an ending of its own, so that both can be trained on together. Differences:

- "Merging" is asked after smooth or featured, not of everybody: a star, an artifact or a bad zoom
  leads to the problem's kind instead.
- "Clumps" is asked of disks that are not edge-on, as in Cosmic Dawn, not of everybody: the
  published table lost the parent where one name is given to two tables.
- "How rounded" is asked after "smooth", as the site counts its answers; published code has no
  such question for COSMOS-Web.

Not verified: the place of "clumps" in the walk, for which no figure or table was found.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree(
    "gz_jwst_cosmos",
    (
        *decals_questions("cosmos", no_galaxy="star-artifact-zoom"),
        Question("clumps-cosmos", ("yes", "no"), ("disk-edge-on-cosmos_no",)),
        Question(
            "problem-cosmos",
            ("star", "artifact", "bad-zoom"),
            ("smooth-or-featured-cosmos_star-artifact-zoom",),
        ),
    ),
)

GZ_JWST_COSMOS = Campaign(
    name="gz_jwst_cosmos",
    title="Galaxy Zoo JWST: COSMOS-Web",
    reference="Galaxy Zoo JWST, launched on 29 April 2025; no paper reports its votes yet",
    tree=TREE,
    published=dash_grammar(TREE, "-cosmos", "-jwst"),
    further_spellings=(dash_grammar(TREE, "-cosmos"),),
    id_columns=("id_str", "subject_id"),
)
