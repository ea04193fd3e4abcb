"""What a study's cells say together: summary, differences, gates and figure."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from galaxyloop import plots
from galaxyloop.label_efficiency.cells import Cell
from galaxyloop.label_efficiency.gates import judge_study
from galaxyloop.label_efficiency.summary import compare_arms, mean_interval, summarise_cells
from galaxyloop.label_efficiency.table import (
    results_table,
)
from galaxyloop.plots.label_efficiency import plot_label_efficiency_panel
from tests.library.label_studies import result, results_of, study

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


def test_judge_study__passes_a_study_in_which_pretraining_pays() -> None:
    judged = judge_study(results_of(study(), PAYS), HEALTHY, study())
    assert judged["is_passed"].all()
    # Draws; 4 of the best arm, 4 + 4 of votes alone and BYOL against random, 16 of hybrids, 2 of
    # collapse.
    assert judged["is_required"].sum() == 31
    assert (~judged["is_required"]).sum() == 2 + 1 + 2 * 3 * 2 * 2


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
