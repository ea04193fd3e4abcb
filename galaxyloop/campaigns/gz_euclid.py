"""Galaxy Zoo Euclid: the first images of the space telescope (Walmsley et al. 2025).

The questions of Cosmic Dawn, and one more kind of artifact: ghosts. Names and order follow the
harmonised columns that published code uses. "Merging" is asked after smooth or featured and not
of everybody, as there: "problem" leads to the problem's kind instead.

The released catalogue holds a network's predictions, not votes. Not verified: the place of
"clumps" in the walk, for which published code is the only source.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree(
    "gz_euclid",
    (
        *decals_questions("euclid", no_galaxy="problem"),
        Question("clumps-euclid", ("yes", "no"), ("disk-edge-on-euclid_no",)),
        Question(
            "problem-euclid",
            ("star", "artifact", "zoom"),
            ("smooth-or-featured-euclid_problem",),
        ),
        Question(
            "artifact-euclid",
            ("satellite", "scattered", "diffraction", "ray", "saturation", "other", "ghost"),
            ("problem-euclid_artifact",),
        ),
    ),
)

GZ_EUCLID = Campaign(
    name="gz_euclid",
    title="Galaxy Zoo Euclid",
    reference="Euclid Collaboration: Walmsley et al. 2025 (arXiv:2503.15310)",
    tree=TREE,
    published=dash_grammar(TREE, "-euclid"),
    id_columns=("id_str", "object_id", "subject_id"),
)
