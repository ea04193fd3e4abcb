"""Rounds: all galaxies are judged once, by a model that never saw them."""

import numpy as np
import pandas as pd
import pytest

from galaxyloop.errors import LabelError
from galaxyloop.finetuning.rounds import RoundsConfig, plan_rounds, run_of_round
from galaxyloop.finetuning.targets import Target
from tests.library.finetuning_data import BRIGHT, VALUE, make_run


def galaxies(n_galaxies: int = 100, n_positive: int = 20) -> pd.DataFrame:
    ids = [f"a{i:03}" for i in range(n_galaxies)]
    groups = [f"g{i // 2}" for i in range(n_galaxies)]
    y = (np.arange(n_galaxies) < n_positive).astype(float)
    return pd.DataFrame({"id_str": ids, "group_id": groups, "y": y})


def test_plan_rounds__predict_everybody_once_and_train_the_last_on_all() -> None:
    rounds = plan_rounds(galaxies(), BRIGHT)
    assert rounds["round"].nunique() == 6
    tested = rounds[rounds["split"] == "test"]
    assert sorted(tested["id_str"]) == galaxies()["id_str"].tolist()
    assert set(rounds.loc[rounds["round"] == 5, "split"]) == {"train"}
    assert (rounds.groupby("round").size() == 100).all()


@pytest.mark.parametrize("below", [0, 1000])
def test_plan_rounds__keep_groups_together_and_spread_classes(below: int) -> None:
    table = galaxies()
    rounds = plan_rounds(table, BRIGHT, RoundsConfig(cross_validate_below=below))
    rounds = rounds.merge(table, on="id_str")
    assert (rounds.groupby(["round", "group_id"])["split"].nunique() == 1).all()
    for _, tested in rounds[rounds["split"] == "test"].groupby("round"):
        assert tested["y"].mean() == pytest.approx(0.2, abs=0.02)


def test_plan_rounds__with_many_labels_hold_out_shares() -> None:
    config = RoundsConfig(cross_validate_below=100, test_share=0.25, validation_share=0.2)
    rounds = plan_rounds(galaxies(400, 100), BRIGHT, config)
    counts = rounds["split"].value_counts()
    assert (counts["test"], counts["validation"], counts["train"]) == (100, 60, 240)
    assert rounds["round"].nunique() == 1


def test_plan_rounds__repeats_have_other_parts_and_other_training_seeds() -> None:
    rounds = plan_rounds(galaxies(), BRIGHT, RoundsConfig(n_folds=4, n_repeats=2))
    assert rounds.groupby("round")["repeat"].first().tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    first, second = (
        rounds[(rounds["repeat"] == r) & (rounds["split"] == "test")].set_index("id_str")["round"]
        for r in (0, 1)
    )
    assert not (first == second.reindex(first.index) - 4).all()
    run = make_run(training={"seed": 3})
    seeds = [run_of_round(run, rounds, number).training.seed for number in (0, 4, 8)]
    assert seeds == [3, 4, 3]


def test_plan_rounds__do_not_depend_on_the_order_of_rows() -> None:
    rounds = plan_rounds(galaxies(), BRIGHT)
    again = plan_rounds(galaxies().sample(frac=1.0, random_state=1), BRIGHT)
    pd.testing.assert_frame_equal(rounds, again)


def test_plan_rounds__spread_values() -> None:
    table = galaxies().assign(y=np.linspace(0, 1, 100))
    rounds = plan_rounds(table, VALUE).merge(table, on="id_str")
    for _, tested in rounds[rounds["split"] == "test"].groupby("round"):
        assert tested["y"].mean() == pytest.approx(0.5, abs=0.12)


def test_plan_rounds__refuses_a_class_too_rare_to_leave_any_out() -> None:
    message = r"training galaxies of round 1 of 3: 1 of 'bright' among 50 .* fewer than 2"
    with pytest.raises(LabelError, match=message):
        plan_rounds(galaxies(n_positive=2).assign(group_id=lambda t: t["id_str"]), BRIGHT)


@pytest.mark.parametrize(("share", "n_test"), [(0.4, 160), (0.35, 140), (0.1, 40), (0.5, 200)])
def test_plan_rounds__hold_out_the_share_that_was_asked_for(share: float, n_test: int) -> None:
    config = RoundsConfig(cross_validate_below=0, test_share=share)
    table = galaxies(400, 100)
    rounds = plan_rounds(table, BRIGHT, config).merge(table, on="id_str")
    tested = rounds[rounds["split"] == "test"]
    assert len(tested) == pytest.approx(n_test, abs=4)
    assert tested["y"].mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("n_galaxies", [3, 4, 7])
def test_plan_rounds__cross_validate_a_handful_of_values(n_galaxies: int) -> None:
    table = galaxies(n_galaxies).assign(y=np.arange(float(n_galaxies)), group_id=lambda t: t.id_str)
    rounds = plan_rounds(table, VALUE)
    tested = rounds[rounds["split"] == "test"]
    assert sorted(tested["id_str"]) == table["id_str"].tolist()
    assert rounds["round"].nunique() == min(5, n_galaxies) + 1


@pytest.mark.parametrize("target", [BRIGHT, VALUE])
@pytest.mark.parametrize("n_galaxies", [2, 8, 9, 12])
def test_plan_rounds__refuse_too_few_galaxies_by_their_number(
    n_galaxies: int, target: Target
) -> None:
    table = galaxies(n_galaxies, n_galaxies // 2)
    if target is VALUE:
        table = table.assign(y=np.arange(float(n_galaxies)))
    with pytest.raises(LabelError, match=rf"{n_galaxies} labelled galaxies in|\d labelled .* cut"):
        plan_rounds(table, target, RoundsConfig(cross_validate_below=0))


def test_plan_rounds__refuse_galaxies_of_one_group() -> None:
    with pytest.raises(LabelError, match="100 labelled galaxies in 1 groups"):
        plan_rounds(galaxies().assign(group_id="one"), BRIGHT)
