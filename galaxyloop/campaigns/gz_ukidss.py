"""Galaxy Zoo UKIDSS: the tree of Galaxy Zoo 2 on infrared images (Masters et al. 2024).

Names and order follow the harmonised columns that published code uses. The walk is that of the
web site's source; it differs from published code as that of ``gz2`` does:

- spiral arms, bar and bulge size are asked after "edge-on: no", not straight after "featured";
- "something odd" is asked after smooth or featured, not of everybody: "artifact" ends the walk.

"Odd feature" is left out: on this site several could be ticked, so its votes are no shares.

Not verified: the columns of the released table. They are taken to be those of Galaxy Zoo 2, since
the paper says that votes were weighted and put together in the same way.
"""

from galaxyloop.campaigns.campaign import Campaign, dash_grammar, task_grammar
from galaxyloop.campaigns.gz2 import SUFFIXES, TASKS
from galaxyloop.campaigns.questions import gz2_questions
from galaxyloop.decision_tree import DecisionTree

TREE = DecisionTree("gz_ukidss", gz2_questions("ukidss"))

_TASKS = {
    task: (question.removesuffix("-gz2") + "-ukidss", answers)
    for task, (question, answers) in TASKS.items()
    if task != "t08_odd_feature"
}

GZ_UKIDSS = Campaign(
    name="gz_ukidss",
    title="Galaxy Zoo UKIDSS",
    reference="Masters et al. 2024, RNAAS 8 (arXiv:2408.10160)",
    tree=TREE,
    published=task_grammar(
        _TASKS, SUFFIXES, totals={"total_classifications": "smooth-or-featured-ukidss"}
    ),
    further_spellings=(dash_grammar(TREE, "-ukidss"),),
    id_columns=("id_str", "objid", "dr7objid", "dr8objid"),
)
