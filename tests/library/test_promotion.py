"""The gate: who wins, who cannot, and what is no comparison."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyloop import metrics
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import ConfigError, DifferentGalaxiesError
from galaxyloop.promotion import (
    HeldOutScores,
    PromotionConfig,
    judge_challenger,
    judge_first,
    make_scores,
)
from galaxyloop.promotion.comparison import ALL_QUESTIONS, compare_scores

TREE = DecisionTree(
    "toy",
    (
        Question("smooth-toy", ("smooth", "featured")),
        Question("bar-toy", ("yes", "no"), asked_after=("smooth-toy_featured",)),
    ),
)
CONFIG = PromotionConfig(n_bootstrap=400)
Values = Callable[[pd.DataFrame, np.random.Generator], np.ndarray]


def scores(change: Values | None = None, n_galaxies: int = 200, seed: int = 0) -> HeldOutScores:
    """Well calibrated scores of galaxies in groups of two; ``change`` is added to them."""
    rng = np.random.default_rng(3)
    names = [f"g{number:03}" for number in range(n_galaxies)]
    table = pd.DataFrame(
        {
            "id_str": np.repeat(names, 2),
            "group_id": np.repeat([f"group{number // 2}" for number in range(n_galaxies)], 2),
            "question": np.tile(TREE.question_names, n_galaxies),
            "log_likelihood": rng.normal(-3, 1, 2 * n_galaxies),
            "coverage": (np.arange(2 * n_galaxies) // 2 % 10 > 0).astype(float),
        }
    )
    if change is not None:
        table["log_likelihood"] += change(table, np.random.default_rng(seed))
    return HeldOutScores(table, TREE, "d" * 64, 32)


def better_by(nats: float, noise: float = 0.1) -> Values:
    return lambda table, rng: rng.normal(nats, noise, len(table))


def test_judge_challenger__promotes_what_is_better_everywhere() -> None:
    decision = judge_challenger(scores(better_by(0.1)), scores(), CONFIG)
    assert decision.is_promoted
    (reason,) = decision.reasons
    assert reason.startswith("better: mean log-likelihood +0.")
    total = decision.table.set_index("question").loc[ALL_QUESTIONS]
    assert total["difference"] == pytest.approx(0.2, abs=0.03)
    assert 0 < total["low"] < total["difference"] < total["high"]
    assert total["n_groups"] == 100


def test_judge_challenger__keeps_a_worse_one_and_says_why() -> None:
    decision = judge_challenger(scores(better_by(-0.2)), scores(), CONFIG)
    assert not decision.is_promoted
    assert decision.reasons[0].startswith("not better beyond chance: mean log-likelihood -0.")
    assert {reason.split(" is worse")[0] for reason in decision.reasons[1:]} == set(
        TREE.question_names
    )


def test_judge_challenger__refuses_one_question_that_loses_though_the_sum_wins() -> None:
    def change(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
        return np.where(table["question"] == "bar-toy", -0.2, 0.6) + rng.normal(0, 0.1, len(table))

    decision = judge_challenger(scores(change), scores(), CONFIG)
    assert decision.table["verdict"].tolist() == ["better", "better", "worse"]
    assert not decision.is_promoted
    (reason,) = decision.reasons
    assert reason.startswith("bar-toy is worse: -0.")
    wider = replace(CONFIG, question_margin_nats=0.3)
    assert judge_challenger(scores(change), scores(), wider).is_promoted


def test_judge_challenger__refuses_intervals_that_are_too_narrow() -> None:
    challenger = scores(better_by(0.1))
    narrow = challenger.table.assign(coverage=np.arange(400) // 2 % 10 > 2).astype(
        {"coverage": float}
    )
    decision = judge_challenger(replace(challenger, table=narrow), scores(), CONFIG)
    assert not decision.is_promoted
    assert decision.reasons[0].startswith("calibration of all: 0.700 of the counts")
    # A champion that is as bad is no reason to stay.
    champion = replace(scores(), table=scores().table.assign(coverage=narrow["coverage"]))
    assert judge_challenger(replace(challenger, table=narrow), champion, CONFIG).is_promoted


def test_judge_challenger__does_not_mistake_one_group_for_many_galaxies() -> None:
    def change(table: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
        values: np.ndarray = rng.normal(0.03, 0.3, 5)[np.arange(len(table)) % 5]
        return values

    challenger = scores(change)
    few = {"group_id": [f"group{number % 5}" for number in range(len(challenger.table))]}
    grouped = [replace(one, table=one.table.assign(**few)) for one in (challenger, scores())]
    config = replace(CONFIG, min_groups=2)
    alone = judge_challenger(challenger, scores(), config).table.iloc[0]
    together = judge_challenger(grouped[0], grouped[1], config).table.iloc[0]
    assert alone["difference"] == pytest.approx(together["difference"])
    assert together["high"] - together["low"] > 3 * (alone["high"] - alone["low"])


def test_judge_challenger__concludes_nothing_from_few_groups() -> None:
    few = [scores(better_by(1.0), 40), scores(None, 40)]
    decision = judge_challenger(few[0], few[1], CONFIG)
    assert not decision.is_promoted
    assert decision.reasons == (
        "20 independent groups of held-out galaxies say too little; min_groups is 30",
    )


def test_judge_challenger__keeps_an_identical_one() -> None:
    decision = judge_challenger(scores(), scores(), CONFIG)
    assert not decision.is_promoted
    assert "not better beyond chance: mean log-likelihood +0 nats" in decision.reasons[0]


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 1000),
    nats=st.floats(-0.3, 0.3),
    confidence=st.sampled_from([0.5, 0.8, 0.95]),
)
def test_judge_challenger__lets_at_most_one_of_two_win(
    seed: int, nats: float, confidence: float
) -> None:
    config = PromotionConfig(n_bootstrap=100, confidence=confidence)
    pair = scores(better_by(nats, 1.0), 80, seed), scores(None, 80)
    one, other = judge_challenger(*pair, config), judge_challenger(*pair[::-1], config)
    assert not (one.is_promoted and other.is_promoted)
    swapped = other.table.set_index("question")
    for row in one.table.to_dict("records"):
        assert row["low"] == pytest.approx(-swapped.loc[row["question"], "high"], abs=1e-12)


def test_judge_challenger__does_not_depend_on_the_order_of_rows() -> None:
    challenger, champion = scores(better_by(0.02, 0.5)), scores()
    shuffled = replace(champion, table=champion.table.sample(frac=1, random_state=1))
    one = judge_challenger(challenger, champion, CONFIG)
    other = judge_challenger(challenger, shuffled, CONFIG)
    pd.testing.assert_frame_equal(one.table, other.table)


def test_compare_scores__agrees_with_a_plain_bootstrap() -> None:
    challenger, champion = scores(better_by(0.05, 0.5)), scores()
    config = replace(CONFIG, n_bootstrap=4000)
    total = compare_scores(challenger.table, champion.table, TREE, config).iloc[0]
    gain = challenger.table["log_likelihood"] - champion.table["log_likelihood"]
    by_group = gain.groupby(challenger.table["group_id"]).sum().to_numpy()
    rng = np.random.default_rng(11)
    means = [rng.choice(by_group, 100).sum() / 200 for _ in range(4000)]
    assert total["difference"] == pytest.approx(gain.sum() / 200)
    expected = np.quantile(means, [0.05, 0.95])
    np.testing.assert_allclose([total["low"], total["high"]], expected, atol=0.006)


@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_judge_challenger__a_score_that_is_not_finite_loses(value: float) -> None:
    broken = scores()
    broken.table.loc[3, "log_likelihood"] = value
    decision = judge_challenger(broken, scores(), CONFIG)
    assert (decision.is_promoted, decision.reasons) == (
        False,
        ("1 of its 400 log-likelihoods are not finite",),
    )
    assert judge_challenger(scores(), broken, CONFIG).is_promoted
    assert not judge_challenger(broken, broken, CONFIG).is_promoted
    assert not judge_first(broken, CONFIG).is_promoted
    assert judge_first(scores(), CONFIG).is_promoted


def test_judge_challenger__keeps_one_of_another_tree() -> None:
    renamed = DecisionTree("toy", (TREE.questions[0],))
    decision = judge_challenger(replace(scores(better_by(1.0)), tree=renamed), scores(), CONFIG)
    assert not decision.is_promoted
    assert decision.reasons == (
        "its label columns are not the champion's: 0 new [], "
        "2 missing ['bar-toy_no', 'bar-toy_yes']",
    )
    loose = replace(TREE.questions[1], asked_after=())
    other = DecisionTree("toy", (TREE.questions[0], loose))
    decision = judge_challenger(replace(scores(better_by(1.0)), tree=other), scores(), CONFIG)
    assert "decision tree 'toy' is not the champion's" in decision.reasons[0]


def test_judge_challenger__refuses_scores_of_other_galaxies() -> None:
    with pytest.raises(DifferentGalaxiesError, match="the champion's of eeee") as raised:
        judge_challenger(scores(), replace(scores(), digest="e" * 64), CONFIG)
    assert (raised.value.n_challenger, raised.value.n_champion) == (0, 0)
    with pytest.raises(DifferentGalaxiesError, match="with 20 and 0 answered questions"):
        judge_challenger(scores(None, 210), scores(None, 200), CONFIG)


def test_decision__is_plain_json() -> None:
    decision = judge_challenger(scores(better_by(0.1)), scores(), CONFIG)
    told = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert told["is_promoted"] is True
    assert [row["question"] for row in told["questions"]] == ["all", *TREE.question_names]
    assert PromotionConfig.from_dict(told["config"]) == CONFIG


def test_make_scores__keeps_answered_questions_with_their_coverage(tmp_path: Path) -> None:
    votes = np.array([[8, 2, 0, 0], [1, 9, 5, 1], [0, 0, 0, 0]])
    pit = np.array([[0.5, 0.97, np.nan, np.nan], [0.01, 0.5, 0.06, 0.94], [np.nan] * 4])
    names = np.array(["a", "b", "c"]), np.array(["x", "x", "y"])
    likelihood = np.array([[-1.0, 0.0], [-2.0, -3.0], [0.0, 0.0]])
    table = make_scores(names, likelihood, pit, votes, TREE)
    assert table["id_str"].tolist() == ["a", "b", "b"]
    assert table["group_id"].tolist() == ["x"] * 3
    assert table["question"].tolist() == ["smooth-toy", "smooth-toy", "bar-toy"]
    assert table["log_likelihood"].tolist() == [-1.0, -2.0, -3.0]
    assert table["coverage"].tolist() == [0.5, 0.5, 1.0]
    made = HeldOutScores(table, TREE, "d", 32)
    made.write(tmp_path)
    found = HeldOutScores.open(tmp_path)
    pd.testing.assert_frame_equal(found.table, made.table)
    assert (found.tree, found.digest, found.image_size_px) == (TREE, "d", 32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confidence", 1.0),
        ("question_margin_nats", -0.1),
        ("calibration_margin", 0.95),
        ("min_groups", 1),
        ("n_bootstrap", 10),
        ("seed", -1),
    ],
)
def test_promotion_config__refuses(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be .* got {value}"):
        PromotionConfig(**{name: value})


def test_promotion__needs_no_torch() -> None:
    asked = "import sys, galaxyloop.promotion; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], check=True)
    assert ALL_QUESTIONS == metrics.ALL_QUESTIONS
