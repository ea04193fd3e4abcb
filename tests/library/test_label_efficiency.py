"""Studies of few labels: draws, what pretraining may not see, tables, summaries, gates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import campaign_tree, find_campaign
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import ConfigError, DecisionTreeError, LabelError
from galaxyloop.label_efficiency.arms import standard_arms
from galaxyloop.label_efficiency.cells import Cell, cell_digest, finetune_run, list_cells
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.draws import draw_labels
from galaxyloop.label_efficiency.leakage import (
    split_study,
    withheld_questions,
    withhold_questions,
    withhold_votes,
)
from galaxyloop.splits import SplitConfig
from tests.library.label_studies import N_STEPS, ids, study


def test_draw_labels__of_a_draw_are_nested_and_hold_two_of_each_class() -> None:
    y = (np.arange(400) % 20 == 0).astype(float)
    for draw in range(20):
        order = draw_labels(ids(400), y, 30, draw, seed=3)
        assert sorted(order) == list(range(400))
        assert 2 <= y[order[:30]].sum() <= 28
        np.testing.assert_array_equal(order, draw_labels(ids(400), y, 30, draw, seed=3))


def test_draw_labels__keeps_the_prevalence_over_many_draws() -> None:
    y = (np.arange(400) % 5 == 0).astype(float)
    shares = [y[draw_labels(ids(400), y, 50, draw, 0)[:50]].mean() for draw in range(200)]
    # Standard error of the mean of 200 draws: about 0.0038.
    assert abs(np.mean(shares) - 0.2) < 0.012


def test_draw_labels__order_does_not_depend_on_the_order_of_the_pool() -> None:
    names, y = np.array(ids(100)), (np.arange(100) % 4 == 0).astype(float)
    shuffled = np.random.default_rng(0).permutation(100)
    first = names[draw_labels(names.tolist(), y, 20, 0, 0)]
    other = draw_labels(names[shuffled].tolist(), y[shuffled], 20, 0, 0)
    np.testing.assert_array_equal(first, names[shuffled][other])


def test_draw_labels__refuses_a_pool_that_is_too_small_or_a_class_too_rare() -> None:
    with pytest.raises(LabelError, match=r"the pool has 10 .* at least 50"):
        draw_labels(ids(10), np.arange(10) % 2 * 1.0, 50, 0, 0)
    one = np.zeros(300)
    one[7] = 1
    with pytest.raises(LabelError, match="the rarest class has 1"):
        draw_labels(ids(300), one, 20, 0, 0)


def test_withhold_questions__leaves_no_ring_in_gz2_and_efigi() -> None:
    tree = campaign_tree(["gz2", "efigi"])
    gone = withheld_questions(tree, ["ring"])
    assert gone == [
        "odd-feature-gz2",
        "inner-ring-efigi",
        "outer-ring-efigi",
        "pseudo-ring-efigi",
    ]
    by_default = withheld_questions(tree, study().withheld)
    assert by_default == ["something-odd-gz2", *gone]
    kept = withhold_questions(tree, ["ring"])
    assert not [column for column in kept.columns if "ring" in column.casefold()]
    assert kept.by_campaign.keys() == {"gz2", "efigi"}
    assert len(kept.questions) == len(tree.questions) - 4


def test_withhold_questions__takes_what_only_a_withheld_answer_leads_to() -> None:
    tree = DecisionTree(
        "toy",
        (
            Question("feature", ("ring", "bar")),
            Question("strength", ("weak", "strong"), ("feature_ring",)),
            Question("colour", ("red", "blue")),
            Question("hue", ("deep", "pale"), ("strength_weak", "colour_red")[1:]),
        ),
    )
    assert withhold_questions(tree, ["RING"]).question_names == ("colour", "hue")
    with pytest.raises(DecisionTreeError, match="every one of 4 questions"):
        withhold_questions(tree, ["feature", "colour"])


def test_split_study__tests_only_groups_with_labels_and_keeps_them_together() -> None:
    galaxies = pd.DataFrame(
        {"id_str": ids(600), "group_id": [f"group{i // 2}" for i in range(600)]}
    )
    labelled = ids(600)[:300:2]
    splits = split_study(galaxies, labelled, SplitConfig(test_share=0.3))
    assert (splits.groupby("group_id")["split"].nunique() == 1).all()
    groups = set(galaxies.loc[galaxies["id_str"].isin(labelled), "group_id"])
    test = splits[splits["split"] == "test"]
    assert set(test["group_id"]) <= groups
    # The partner without a label is held out with its galaxy.
    assert len(test) == 2 * test["id_str"].isin(labelled).sum() > 0
    fewer = split_study(galaxies.iloc[:400], labelled, SplitConfig(test_share=0.3))
    pd.testing.assert_frame_equal(fewer, splits.iloc[:400])


def test_split_study__refuses_labels_of_which_none_is_tested() -> None:
    galaxies = pd.DataFrame({"id_str": ids(5), "group_id": ids(5)})
    with pytest.raises(LabelError, match="of 1 labelled galaxies"):
        split_study(galaxies, ids(1), SplitConfig())


def test_withhold_votes__gives_no_vote_of_a_test_galaxy_nor_on_a_ring() -> None:
    tree = find_campaign("efigi").tree
    votes = pd.DataFrame(1, index=range(200), columns=list(tree.columns))
    votes.insert(0, "id_str", ids(200))
    galaxies = pd.DataFrame({"id_str": ids(200), "group_id": ids(200)})
    splits = split_study(galaxies, ids(200), SplitConfig(test_share=0.3))
    seen, kept = withhold_votes(votes, tree, splits, ["ring"])
    split_of = splits.set_index("id_str")["split"]
    assert set(split_of[seen["id_str"]]) == {"train", "validation"}
    assert list(seen.columns) == ["id_str", *kept.columns]
    assert not [column for column in seen.columns if "ring" in column]


def test_cell_digest__changes_with_what_decides_the_cell_and_with_nothing_else() -> None:
    cell = Cell("byol", "probe", 50, 0)
    digest = cell_digest(cell, study(), "data")
    assert digest == cell_digest(cell, study(n_draws=9), "data")
    fewer = replace(study(), arms=[study().arm("byol")])
    assert digest == cell_digest(cell, fewer, "data")
    assert digest != cell_digest(cell, study(), "other data")
    assert digest != cell_digest(cell, study(seed=1), "data")
    tuned = replace(cell, kind="finetune")
    longer = study(n_steps=[81, *N_STEPS[1:]])
    assert cell_digest(tuned, study(), "data") == cell_digest(tuned, longer, "data")
    longer = study(n_steps=[90, *N_STEPS[1:]])
    assert cell_digest(tuned, study(), "data") != cell_digest(tuned, longer, "data")


def test_finetune_run__takes_the_epochs_that_come_nearest_to_the_steps() -> None:
    config = study()
    for arm, factor in (("direct", 1), ("direct_x3", 3)):
        for n_labels, n_steps in zip(config.n_labels, config.n_steps, strict=True):
            training = finetune_run(Cell(arm, "finetune", n_labels, 0), config).training
            n_batches = -(-n_labels // config.batch_size)
            assert abs(training.epochs * n_batches - factor * n_steps) <= n_batches / 2
            assert training.patience == 0
    seeds = {
        finetune_run(Cell("direct", "finetune", n, draw), config).training.seed
        for n in config.n_labels
        for draw in range(5)
    }
    assert len(seeds) == 20


def test_list_cells__has_every_combination_and_none_of_absent_arms() -> None:
    cells = list_cells(study())
    # Two arms are only finetuned, one only probed, five are both; the ninth is absent.
    assert len(cells) == len(set(cells)) == (2 + 1 + 2 * 5) * 4 * 5
    assert "published" not in {cell.arm for cell in cells}
    weights = standard_arms(published=("resnet18", Path("weights.safetensors")))
    assert len(list_cells(LabelEfficiencyConfig(arms=weights))) == len(cells) + 2 * 4 * 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pretraining": "magic"}, r"pretraining of arm 'a' must be one of .* got 'magic'"),
        ({"pretraining": "votes"}, r"label_set of arm 'a' goes with"),
        ({"kinds": ["probe"]}, r"can be finetune only"),
        ({"kinds": ["guess"], "pretraining": "byol"}, r"got \['guess'\]"),
        ({"kinds": ["finetune"], "start": "b"}, r"start of arm 'a' goes with byol or hybrid"),
        ({"kinds": ["finetune"], "steps_factor": 0.0}, r"steps_factor .* got 0\.0"),
    ],
)
def test_arm_config__refuses_settings_that_do_not_fit(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ArmConfig("a", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_labels": [100, 50]}, r"rise, got \[100, 50\]"),
        ({"n_steps": [10]}, r"n_steps must be one number .* got \[10\]"),
        ({"n_draws": 0}, r"n_draws must be >= 1, got 0"),
    ],
)
def test_label_efficiency_config__refuses_numbers_out_of_range(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        study(**settings)


def test_label_efficiency_config__refuses_equal_names_and_starts_that_come_later() -> None:
    arm = ArmConfig("byol", "byol", start="other")
    with pytest.raises(
        ConfigError, match="must name an earlier arm that is pretrained here, got 'other'"
    ):
        LabelEfficiencyConfig(arms=[arm, ArmConfig("other", "random")])
    with pytest.raises(ConfigError, match="names that differ"):
        LabelEfficiencyConfig(arms=[ArmConfig("a", "random"), ArmConfig("a", "byol")])


def test_label_efficiency_config__survives_json() -> None:
    assert LabelEfficiencyConfig.from_json(study().to_json()) == study()
