import numpy as np
import pandas as pd

from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.metrics import ALL_QUESTIONS, add_average_ratio, question_sets

RATIOS = {"bar": 0.5, "odd": 0.7, "arms": 0.9}
TREE = DecisionTree("one", tuple(Question(name, ("yes", "no")) for name in RATIOS))
OTHER = DecisionTree("other", (Question("rings", ("yes", "no")), Question("dust", ("yes", "no"))))


def table(tree: DecisionTree = TREE, **n_galaxies: int) -> pd.DataFrame:
    ratios = {**RATIOS, "rings": 0.1, "dust": 0.3}
    rows = [
        (campaign, question, metric, value, np.nan, np.nan, n_galaxies[question])
        for campaign, questions in tree.by_campaign.items()
        for question in questions
        for metric, value in (("rmse", 9.0), ("rmse_ratio", ratios[question]))
    ]
    columns = ["campaign", "question", "metric", "value", "low", "high", "n_galaxies"]
    return pd.DataFrame(rows, columns=columns)


def test_add_average_ratio__averages_questions_with_enough_galaxies() -> None:
    rows = add_average_ratio(table(bar=30, odd=200, arms=29), TREE)
    last = rows.iloc[-1]
    assert len(rows) == 7
    assert (last["campaign"], last["question"]) == ("one", ALL_QUESTIONS)
    assert (last["metric"], last["value"], last["n_galaxies"]) == ("rmse_ratio", 0.6, 200)


def test_add_average_ratio__is_nan_without_such_a_question() -> None:
    assert np.isnan(add_average_ratio(table(bar=1, odd=2, arms=3), TREE).iloc[-1]["value"])


def test_add_average_ratio__gives_each_of_several_campaigns_its_own() -> None:
    both = combine_trees([TREE, OTHER])
    rows = add_average_ratio(table(both, bar=30, odd=40, arms=1, rings=50, dust=60), both)
    last = rows.iloc[-3:].set_index("question")
    assert last["campaign"].tolist() == ["one", "other", "all"]
    assert last["value"].round(9).to_dict() == {"all-one": 0.6, "all-other": 0.2, "all": 0.4}
    assert last["n_galaxies"].tolist() == [40, 60, 60]


def test_question_sets__of_one_campaign_is_one() -> None:
    assert question_sets(OTHER) == {("other", "all"): ("rings", "dust")}
