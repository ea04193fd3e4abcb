"""Galaxy Zoo CEERS: the pilot of some 8000 JWST images (Géron et al. 2025).

The ten questions of DECaLS DR5, with clumps and the kind of problem. Names and order follow the
harmonised columns of published code, which end in ``-jwst`` for all JWST images; here each
survey has an ending of its own, so that both can be trained on together. Differences:

- "Merging" is asked after smooth or featured, not of everybody: a star, an artifact or a bad zoom
  leads to the problem's kind instead.
- "Clumps" is asked of disks that are not edge-on, as in Cosmic Dawn, not of everybody: the
  published table lost the parent where one name is given to two tables.

Not verified: the place of "clumps" in the walk, for which no figure or table was found.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree(
    "gz_jwst_ceers",
    (
        *decals_questions("ceers", no_galaxy="star-artifact-zoom"),
        Question("clumps-ceers", ("yes", "no"), ("disk-edge-on-ceers_no",)),
        Question(
            "problem-ceers",
            ("star", "artifact", "bad-zoom"),
            ("smooth-or-featured-ceers_star-artifact-zoom",),
        ),
    ),
)

GZ_JWST_CEERS = Campaign(
    name="gz_jwst_ceers",
    title="Galaxy Zoo CEERS",
    reference="Géron et al. 2025, Galaxy Zoo CEERS: Bar Fractions Up to z ~ 4.0",
    tree=TREE,
    published=dash_grammar(TREE, "-ceers", "-jwst"),
    further_spellings=(dash_grammar(TREE, "-ceers"),),
    id_columns=("id_str", "subject_id"),
)
