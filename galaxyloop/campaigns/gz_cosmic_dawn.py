"""Galaxy Zoo Cosmic Dawn: deep Hyper Suprime-Cam images (Pearson et al. 2025).

The ten questions of DECaLS DR5, with three more: clumps in disks that are not edge-on, and what
the problem is with an image, down to the kind of artifact. Names and order follow the harmonised
columns that published code uses. "Merging" is asked after smooth or featured and not of everybody,
as there: "problem" leads to the problem's kind instead.

Volunteers were also asked whether they see a gravitational lens; no table with those answers is
known, so the question is left out. Not verified: the place of "clumps" in the walk, for which
published code is the only source.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar
from galaxyloop.campaigns.questions import decals_questions
from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree(
    "gz_cosmic_dawn",
    (
        *decals_questions("cd", no_galaxy="problem"),
        Question("clumps-cd", ("yes", "no"), ("disk-edge-on-cd_no",)),
        Question("problem-cd", ("star", "artifact", "zoom"), ("smooth-or-featured-cd_problem",)),
        Question(
            "artifact-cd",
            ("satellite", "scattered", "diffraction", "ray", "saturation", "other"),
            ("problem-cd_artifact",),
        ),
    ),
)

GZ_COSMIC_DAWN = Campaign(
    name="gz_cosmic_dawn",
    title="Galaxy Zoo Cosmic Dawn",
    reference="Pearson et al. 2025 (arXiv:2509.22311)",
    tree=TREE,
    published=dash_grammar(TREE, "-cd"),
    id_columns=("id_str", "subject_id"),
)
