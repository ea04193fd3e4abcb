"""EFIGI: an expert's attributes of 4458 nearby galaxies, as pseudo-votes (Baillard et al. 2011).

No volunteer voted. Professional astronomers gave each galaxy attributes from 0 to 1 in steps of a
quarter. Each becomes eight votes on a question of two answers, "how much of it is there": 0.25 is
two votes for the answer that 1 stands for and six for the other. An attribute of -1 was not judged
(arms that are not there have no curvature, a disk from the side shows no ring) and gives no votes.
The eight votes are a weight that we chose, below that of a campaign with forty volunteers; shares
of them are not shares of people. All questions stand alone: none leads to another.

Left out: the stage ``T``, which is no share; ``Arm_Rotation``, the sense in which arms wind, which
a mirrored image turns round; and the confidence limits ``_inf`` and ``_sup``.
"""

from galaxyloop.campaigns.campaign import Campaign, PseudoVotes, dash_grammar
from galaxyloop.decision_tree import DecisionTree, Question

_ATTRIBUTES: dict[str, tuple[str, str, str]] = {
    # Share of the light in the bulge.
    "Bulge_to_Total": ("bulge-efigi", "all", "none"),
    # Share of the light in spiral arms.
    "Arm_Strength": ("arms-efigi", "strong", "none"),
    # Undefined without arms.
    "Arm_Curvature": ("arm-curvature-efigi", "tight", "open"),
    # Relative to the galaxy's size.
    "Bar_Length": ("bar-efigi", "yes", "no"),
    "Inner_Ring": ("inner-ring-efigi", "yes", "no"),
    "Outer_Ring": ("outer-ring-efigi", "yes", "no"),
    "Pseudo_Ring": ("pseudo-ring-efigi", "yes", "no"),
    "Perturbation": ("perturbation-efigi", "yes", "no"),
    "Visible_Dust": ("dust-efigi", "yes", "no"),
    # Undefined without dust.
    "Dust_Dispersion": ("dust-dispersion-efigi", "patchy", "even"),
    # How patchy the light of the disk is.
    "Flocculence": ("flocculence-efigi", "yes", "no"),
    # Bright regions of star formation or active nuclei.
    "Hot_Spots": ("hot-spots-efigi", "yes", "no"),
    # Of a disk; the elongation of a galaxy without one.
    "Inclination": ("inclination-efigi", "edge-on", "face-on"),
    # Stars, galaxies and artifacts in front.
    "Contamination": ("contamination-efigi", "yes", "no"),
    # Neighbours of comparable brightness.
    "Multiplicity": ("multiplicity-efigi", "several", "alone"),
}
"""Published column to the question, the answer that 1 votes for, and the one that 0 votes for."""

TREE = DecisionTree(
    "efigi",
    tuple(Question(question, (full, none)) for question, full, none in _ATTRIBUTES.values()),
)

EFIGI = Campaign(
    name="efigi",
    title="EFIGI: an expert's attributes as pseudo-votes",
    reference="Baillard et al. 2011, A&A 532, A74 (arXiv:1103.5734)",
    tree=TREE,
    published=dash_grammar(TREE),
    id_columns=("id_str", "PGCname", "filename"),
    pseudo_votes=tuple(
        PseudoVotes(column, question, f"{question}_{full}", f"{question}_{none}")
        for column, (question, full, none) in _ATTRIBUTES.items()
    ),
)
