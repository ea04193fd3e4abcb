"""Studies of few labels: draws, what pretraining may not see, tables, summaries, gates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from galaxyloop import plots
from galaxyloop.campaigns import campaign_tree, find_campaign
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import ConfigError, DecisionTreeError, LabelError, StorageError
from galaxyloop.label_efficiency.arms import standard_arms
from galaxyloop.label_efficiency.cells import METRICS, Cell, cell_digest, finetune_run, list_cells
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.draws import draw_labels
from galaxyloop.label_efficiency.gates import judge_study
from galaxyloop.label_efficiency.leakage import (
    split_study,
    withheld_questions,
    withhold_questions,
    withhold_votes,
)
from galaxyloop.label_efficiency.summary import compare_arms, mean_interval, summarise_cells
from galaxyloop.label_efficiency.table import (
    COLUMNS,
    append_row,
    find_row,
    read_results,
    results_table,
)
from galaxyloop.plots.label_efficiency import plot_label_efficiency_panel
from galaxyloop.splits import SplitConfig

N_STEPS = [80, 100, 140, 240]
DIGESTS = {"checkpoint_digest": "c" * 64, "config_digest": "d" * 64}


def ids(n_galaxies: int) -> list[str]:
    return [f"galaxy{i}" for i in range(n_galaxies)]


def study(**settings: Any) -> LabelEfficiencyConfig:  # noqa: ANN401 - of any field
    return LabelEfficiencyConfig(arms=standard_arms(), **{"n_steps": N_STEPS, **settings})


def result(cell: Cell, auc: float, balanced_accuracy: float = 0.7) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, 0.0)
    values = {"auc": auc, "balanced_accuracy": balanced_accuracy, "accuracy": 0.8}
    for name in METRICS:
        row |= {name: values[name], f"{name}_test_low": 0.6, f"{name}_test_high": 0.9}
    return {**row, **vars(cell), "n_positive": 9, "n_test": 500, **DIGESTS}


def results_of(config: LabelEfficiencyConfig, auc: dict[str, float]) -> pd.DataFrame:
    return results_table(
        result(cell, auc.get(cell.arm, 0.7) + 0.001 * cell.draw, auc.get(cell.arm, 0.7) - 0.05)
        for cell in list_cells(config)
    )


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


def test_append_row__adds_lines_that_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "results" / "cells.csv"
    assert read_results(path).empty
    rows = [result(Cell("byol", "probe", 50, draw), 0.7 + 0.01 * draw) for draw in range(3)]
    for row in rows:
        append_row(path, row)
    pd.testing.assert_frame_equal(read_results(path), results_table(rows))
    assert len(path.read_text().splitlines()) == 4


def test_read_results__leaves_out_a_line_that_was_torn_off(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    rows = [result(Cell("byol", "probe", 50, draw), 0.7) for draw in range(3)]
    for row in rows[:2]:
        append_row(path, row)
    for n_bytes_lost in (5, 100):
        torn = tmp_path / f"torn{n_bytes_lost}.csv"
        torn.write_bytes(path.read_bytes()[:-n_bytes_lost])
        assert read_results(torn)["draw"].tolist() == [0]
        append_row(torn, rows[2])
        assert read_results(torn)["draw"].tolist() == [0, 2]


def test_append_row__refuses_another_table_and_rows_without_a_column(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    row = result(Cell("byol", "probe", 50, 0), 0.7)
    with pytest.raises(StorageError, match=r"has the columns \['a', 'b'\]"):
        append_row(path, row)
    with pytest.raises(ValueError, match=r"needs \['auc'\]"):
        append_row(tmp_path / "new.csv", {key: row[key] for key in row if key != "auc"})


def test_find_row__does_not_take_a_row_of_another_encoder_or_setting() -> None:
    cell = Cell("byol", "probe", 50, 0)
    table = results_table([result(cell, 0.7)])
    found = find_row(table, cell, DIGESTS["checkpoint_digest"], DIGESTS["config_digest"])
    assert found is not None
    assert found["auc"] == 0.7
    assert find_row(table, cell, "e" * 64, DIGESTS["config_digest"]) is None
    assert find_row(table, cell, DIGESTS["checkpoint_digest"], "e" * 64) is None
    assert find_row(table, replace(cell, draw=1), *DIGESTS.values()) is None


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


def test_mean_interval__equals_that_of_a_t_test() -> None:
    values = [0.71, 0.74, 0.69, 0.75, 0.73]
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(mean_interval(values), (expected.low, expected.high))
    assert np.isnan(mean_interval([0.7])).all()


def test_summarise_cells__averages_draws_and_says_that_an_arm_is_absent() -> None:
    config = study()
    summary = summarise_cells(results_of(config, {"byol": 0.8}), config)
    assert len(summary) == (2 + 1 + 2 * 6) * 4
    byol = summary[(summary["arm"] == "byol") & (summary["n_labels"] == 50)].iloc[0]
    assert byol["auc"] == pytest.approx(0.802)
    assert byol["auc_low"] < 0.802 < byol["auc_high"]
    assert byol["auc_test_low"] == pytest.approx(0.6)
    absent = summary[summary["arm"] == "published"]
    assert absent["auc"].isna().all()
    assert set(absent["note"]) == {"absent: no weights given"}


def test_compare_arms__pairs_the_draws() -> None:
    cells = [Cell(arm, "finetune", 50, draw) for arm in ("a", "b") for draw in range(3)]
    auc = [0.60, 0.70, 0.80, 0.55, 0.65, 0.75]
    table = results_table(map(result, cells, auc))
    told = compare_arms(table, ("a", "finetune", 50), ("b", "finetune", 50), "auc")
    # Draws differ by much, and the two arms by the same on each.
    assert told["difference"] == pytest.approx(0.05)
    assert (told["low"], told["high"]) == pytest.approx((0.05, 0.05))
    assert told["n_draws"] == 3
    alone = compare_arms(table.iloc[:4], ("a", "finetune", 50), ("b", "finetune", 50), "auc")
    assert alone["n_draws"] == 1


PAYS = {
    "direct": 0.6,
    "random": 0.65,
    "byol": 0.7,
    "supervised_gz2": 0.75,
    "hybrid_gz2": 0.76,
    "supervised_gz2_efigi": 0.8,
    "hybrid_gz2_efigi": 0.81,
}
HEALTHY = pd.DataFrame({"arm": ["byol"], "feature_std": [0.6], "effective_rank": [40.0]})


def test_judge_study__passes_a_study_in_which_pretraining_pays() -> None:
    judged = judge_study(results_of(study(), PAYS), HEALTHY, study())
    assert judged["is_passed"].all()
    # Draws; 4 of the best arm, 4 + 4 of votes alone and BYOL against random, 16 of hybrids, 2 of
    # collapse.
    assert judged["is_required"].sum() == 31
    assert (~judged["is_required"]).sum() == 1 + 2 * 3 * 2 * 2


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"direct": 0.71}, "balanced_accuracy: supervised_gz2_efigi (finetune, 50) less direct"),
        ({"supervised_gz2": 0.64}, "auc: supervised_gz2 (probe, 750) less random"),
        ({"byol": 0.63}, "auc: byol (probe, 100) less random"),
        ({"hybrid_gz2": 0.59}, "auc: hybrid_gz2 (finetune, 250) less direct"),
    ],
)
def test_judge_study__fails_the_claim_that_does_not_hold(
    changed: dict[str, float], failed: str
) -> None:
    judged = judge_study(results_of(study(), PAYS | changed), HEALTHY, study())
    missed = judged[judged["is_required"] & ~judged["is_passed"]]["gate"]
    assert missed.str.startswith(failed).any()


def test_judge_study__fails_a_collapsed_byol_and_cells_that_are_not_there() -> None:
    results = results_of(study(), PAYS)
    collapsed = HEALTHY.assign(effective_rank=1.2)
    assert not judge_study(results, collapsed, study())["is_passed"].all()
    judged = judge_study(results[results["n_labels"] > 50], HEALTHY, study())
    lacking = judged[judged["value"].isna()]
    assert len(lacking)
    assert not lacking["is_passed"].any()


def test_plot_label_efficiency__draws_each_arm_where_the_table_says() -> None:
    config = study()
    summary = summarise_cells(results_of(config, PAYS), config)
    _, axes = plots.new_figure(9.0, 6.0, 2, 2)
    plot_label_efficiency_panel(summary, axes)
    finetuned = axes[1].containers
    assert [bars.get_label() for bars in finetuned] == [
        *("direct", "direct_x3", "supervised_gz2", "supervised_gz2_efigi"),
        *("byol", "hybrid_gz2", "hybrid_gz2_efigi"),
    ]
    heights = [np.asarray(bars.lines[0].get_ydata(), dtype=float) for bars in finetuned]
    np.testing.assert_allclose(heights[-1], 0.812)
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[1].get_xscale() == "log"


def test_judge_study__what_is_required_and_missing_is_not_passed() -> None:
    few = replace(study(), arms=[study().arm("direct")], n_draws=1)
    judged = judge_study(results_of(few, PAYS), HEALTHY.iloc[:0], few)
    required = judged[judged["is_required"]]
    assert len(required) == 31
    assert not required["is_passed"].any()


def test_judge_study__a_tie_is_not_above() -> None:
    equal = judge_study(results_of(study(), dict.fromkeys(PAYS, 0.8)), HEALTHY, study())
    ties = equal[equal["gate"].str.startswith("auc: hybrid_gz2 (finetune, 50) less direct")]
    assert ties["value"].tolist() == [0.0]
    assert not ties["is_passed"].any()
