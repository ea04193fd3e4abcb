import numpy as np
import pandas as pd
import pytest
from scipy.special import betainc

from galaxyloop.acquisition import RetirementConfig, retire
from galaxyloop.acquisition.retirement import ENOUGH_VOTES, KNOWN, RETIREMENT_COLUMNS
from galaxyloop.campaigns import campaign_tree
from galaxyloop.config import ConfigError
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import UnknownNameError
from tests.reference.trees import flat_tree


def counts(tree: DecisionTree, *rows: tuple[int, ...]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(tree.columns))
    table.insert(0, "id_str", [f"g{i}" for i in range(len(rows))])
    return table


def bar_tree() -> DecisionTree:
    shape = Question("shape", ("smooth", "disk"))
    return DecisionTree("bars", (shape, Question("bar", ("yes", "no"), ("shape_disk",))))


def test_retire__by_the_number_of_volunteers() -> None:
    config = RetirementConfig(max_votes=20, min_votes=5, max_interval_width=0.0)
    table = retire(
        counts(flat_tree([2]), (19, 0), (10, 10), (30, 0), (0, 0)), flat_tree([2]), config
    )
    assert tuple(table.columns) == RETIREMENT_COLUMNS
    assert table["id_str"].tolist() == ["g0", "g1", "g2", "g3"]
    assert table["n_votes"].tolist() == [19, 20, 30, 0]
    assert table["is_retired"].tolist() == [False, True, True, False]
    assert table["reason"].tolist() == ["", ENOUGH_VOTES, ENOUGH_VOTES, ""]


@pytest.mark.parametrize("width", [0.15, 0.2, 0.3])
def test_retire__as_soon_as_fractions_are_known(width: float) -> None:
    # Unanimous votes: Beta(1 + n, 1), whose 90 % interval is [0.05, 0.95] to the power 1 / (n + 1).
    numbers = np.arange(1, 60)
    wide = 0.95 ** (1 / (numbers + 1)) - 0.05 ** (1 / (numbers + 1))
    config = RetirementConfig(max_votes=100, min_votes=1, max_interval_width=width)
    table = retire(counts(flat_tree([2]), *((n, 0) for n in numbers)), flat_tree([2]), config)
    assert table["is_retired"].tolist() == (wide <= width).tolist()
    assert set(table.loc[table["is_retired"], "reason"]) == {KNOWN}


def test_retire__looks_at_the_answer_that_is_known_least() -> None:
    # By the distribution function: the middle answer's 90 % interval holds 90 %.
    tree, config = flat_tree([3]), RetirementConfig(max_votes=500, min_votes=1)
    table = retire(counts(tree, (40, 40, 20), (98, 1, 1), (35, 35, 30)), tree, config)
    assert table["is_retired"].tolist() == [True, True, True]
    narrow = RetirementConfig(max_votes=500, min_votes=1, max_interval_width=0.155)
    mass = betainc(41, 62, 0.398 + 0.0775) - betainc(41, 62, 0.398 - 0.0775)
    assert mass < 0.9
    assert retire(counts(tree, (40, 40, 20)), tree, narrow)["is_retired"].tolist() == [False]
    assert retire(counts(tree, (98, 1, 1)), tree, narrow)["is_retired"].tolist() == [True]


def test_retire__never_before_the_fewest_volunteers() -> None:
    config = RetirementConfig(max_votes=40, min_votes=30, max_interval_width=0.2)
    table = retire(counts(flat_tree([2]), (29, 0), (30, 0)), flat_tree([2]), config)
    assert table["is_retired"].tolist() == [False, True]


def test_retire__waits_for_a_further_question_only_where_volunteers_reached_it() -> None:
    tree = bar_tree()
    config = RetirementConfig(max_votes=60, min_votes=10, questions=["bar"])
    rows = [
        (0, 50, 25, 25),  # half say there is a bar: not known
        (0, 50, 50, 0),  # all say so
        (45, 5, 3, 2),  # few were asked
        (5, 5, 0, 0),  # half passed on to it and nobody has answered yet
    ]
    assert retire(counts(tree, *rows), tree, config)["is_retired"].tolist() == [
        *(False, True, True, True)
    ]
    everybodys = RetirementConfig(max_votes=60, min_votes=10)
    assert retire(counts(tree, *rows), tree, everybodys)["is_retired"].tolist() == [
        *(True, True, True, False)
    ]


def test_retire__never_gets_stricter_with_more_votes_of_the_same_shares() -> None:
    tree, config = flat_tree([3]), RetirementConfig(max_votes=10**6, min_votes=1)
    table = retire(counts(tree, *((6 * n, 3 * n, n) for n in range(1, 60))), tree, config)
    assert table["is_retired"].is_monotonic_increasing
    assert not table["is_retired"].iloc[0]
    assert table["is_retired"].iloc[-1]


def test_retire__does_not_wait_for_a_campaign_that_nobody_was_asked_about() -> None:
    tree = DecisionTree(
        "two",
        (
            *bar_tree().questions,
            Question("odd", ("yes", "no")),
            Question("ring", ("yes", "no"), ("odd_yes",)),
        ),
    )
    rows = [
        (0, 50, 50, 0, 0, 0, 0, 0),  # the first campaign alone, which is known
        (0, 0, 0, 0, 50, 0, 50, 0),  # the second alone
        (0, 50, 50, 0, 1, 1, 0, 0),  # two volunteers of the second have begun
        (0, 50, 50, 0, 50, 0, 50, 0),  # both are known
        (0, 0, 0, 0, 0, 0, 0, 0),  # none has votes
    ]
    config = RetirementConfig(max_votes=60, min_votes=10)
    table = retire(counts(tree, *rows), tree, config)
    assert table["is_retired"].tolist() == [True, True, False, True, False]
    # A campaign that is asked for is not known by the votes of another.
    of_first = RetirementConfig(max_votes=60, min_votes=10, questions=["bar"])
    table = retire(counts(tree, *rows), tree, of_first)
    assert table["is_retired"].tolist() == [True, False, True, True, False]


def test_retire__counts_volunteers_and_no_experts() -> None:
    tree = campaign_tree(["gz2", "efigi"])
    row = dict.fromkeys(tree.columns, 0)
    efigi = [name for name in tree.columns if "efigi" in name]
    assert efigi
    votes = pd.DataFrame([{"id_str": "a", **row, **dict.fromkeys(efigi, 100)}])
    table = retire(votes, tree, RetirementConfig())
    assert table["n_votes"].tolist() == [0]
    assert not table["is_retired"].any()
    assert len(retire(votes.head(0), tree, RetirementConfig())) == 0


def test_retire__refuses_unknown_questions_and_impossible_rules() -> None:
    with pytest.raises(UnknownNameError, match="no question 'ring'"):
        retire(counts(bar_tree(), (1, 1, 1, 0)), bar_tree(), RetirementConfig(questions=["ring"]))
    with pytest.raises(ConfigError, match="min_votes must be in 1 to max_votes=40, got 41"):
        RetirementConfig(min_votes=41)
    with pytest.raises(ConfigError, match=r"max_interval_width must be in \[0, 1\], got 1.5"):
        RetirementConfig(max_interval_width=1.5)
