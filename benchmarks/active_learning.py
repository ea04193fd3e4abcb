"""How many labels does it save to ask about the right galaxies?

Rounds of asking are played against votes or labels that are there already, several times from
other starts: by mutual information, by it with batches of unlike galaxies, by two baselines, and
at random. In each round a small head on frozen features is trained anew.

Simulated, the loop asks volunteers whether there is "anything odd" (rings, mergers, dust lanes,
clumps), and an expert which galaxies merge, as one in 20 does. Kinds of galaxies are as common as
the simulation has them. The encoder was trained on the votes on other simulated galaxies. Both are
held to the same saving, on surveys that no setting was chosen on; ``--settle`` plays those that
settings were chosen on. ``--tree`` plays volunteers who are asked the whole tree as well, and gates
nothing there.

``--data FOLDER`` takes the folder of ``examples.real_galaxies`` and asks an expert whether EFIGI's
galaxies have a bar, with three encoders: trained on the Galaxy Zoo 2 votes on other galaxies
without the question about bars, on all of them, and on both these votes and EFIGI's other
attributes, again without bars. None has seen an expert's label of a bar. Features are kept in
``--work``; finished cells are lines of a table, and a run goes on from what is there.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd
import torch

from benchmarks.active_learning_data import (
    JUDGED_ON,
    QUICK,
    SETTLED_ON,
    RealEncoder,
    Sizes,
    labelled_mergers,
    one_question,
    real_loop,
    simulated_loop,
)
from benchmarks.harness import RESULTS, at_least, finish
from galaxyloop.acquisition import InformationConfig
from galaxyloop.active_learning.config import ActiveLearningConfig, HeadConfig, standard_arms
from galaxyloop.active_learning.data import LoopData
from galaxyloop.active_learning.report import write_report
from galaxyloop.active_learning.savings import tabulate_savings
from galaxyloop.active_learning.study import run_study

WORK = Path(".galaxyloop") / "active_learning"
ODD, MERGERS = "something-odd-gz2", "mergers"
BEST = "mutual_information_diverse"
"""What a round does by default: the arm that is judged."""
ENCODERS = {
    "bars_unseen": RealEncoder("gz2", ("bar",)),
    "bars": RealEncoder("gz2"),
    "bars_attributes": RealEncoder("gz2_efigi", ("bar",)),
}
"""Of EFIGI's galaxies. The last is judged: it has seen most and was never asked for a bar."""
N_STARTS = 20
_ABOVE = 1e-9
LEAST_SAVING = 0.35


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="mergers alone, fewer galaxies")
    parser.add_argument("--data", type=Path, help="folder of real galaxies")
    parser.add_argument("--work", type=Path, default=WORK, help=f"features (default {WORK})")
    parser.add_argument("--settle", action="store_true", help="surveys that settings come from")
    parser.add_argument("--tree", action="store_true", help="play the whole tree too")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json")
    options = parser.parse_args()
    if options.quick and (options.data or options.save):
        parser.error("--quick is simulated and is not kept: leave out --data and --save")
    if options.settle and (options.data or options.save):
        parser.error("--settle is simulated and is not kept: leave out --data and --save")
    torch.set_num_threads(1)
    return options


def play(
    config: ActiveLearningConfig, data: LoopData, directory: Path
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Play what is missing and write tables and figure; the savings, and figures to keep."""
    directory.mkdir(parents=True, exist_ok=True)
    results = run_study(config, data, directory / "played.csv")
    told, _ = write_report(results, config, directory)
    print(told)
    savings = tabulate_savings(results, config)
    own = savings[savings["measure"] == config.measure].set_index("arm")
    figures: dict[str, object] = {
        "n_pool": int((~data.is_test).sum()),
        "n_test": int(data.is_test.sum()),
        "n_labels": config.n_labels,
        "n_seeds": config.n_seeds,
        "measure": config.measure,
        "cpu_minutes_of_cells": float(results["cpu_seconds"].sum() / 60),
        "savings": json.loads(own.drop(columns="measure").round(4).to_json(orient="index")),
    }
    return own, figures


def odd_config() -> ActiveLearningConfig:
    """Rounds that ask whether anything is odd; 40 volunteers see a galaxy."""
    # Forty votes a galaxy bear more training than an expert's one.
    head = HeadConfig(dropout_rate=0.3, n_steps=300, learning_rate=3e-3, weight_decay=0.03)
    return ActiveLearningConfig(n_start=50, n_asked=25, n_rounds=8, n_seeds=N_STARTS, head=head)


def mergers_config(quick: bool) -> ActiveLearningConfig:
    """Rounds that ask an expert whether a galaxy merges."""
    information = InformationConfig(expected_votes=1)
    if quick:
        arms = [arm for arm in standard_arms() if arm.name in ("random", BEST)]
        return ActiveLearningConfig(
            arms, 60, 30, 4, n_seeds=8, measure="ranking_error", information=information
        )
    return ActiveLearningConfig(
        n_start=100,
        n_rounds=8,
        n_seeds=N_STARTS,
        measure="ranking_error",
        information=information,
    )


def tree_config() -> ActiveLearningConfig:
    """Rounds that ask the whole tree."""
    arms = [arm for arm in standard_arms() if arm.name in ("random", "mutual_information", BEST)]
    information = InformationConfig(expected_votes=10, n_monte_carlo=120)
    return ActiveLearningConfig(arms, 100, 100, n_rounds=6, information=information)


def bars_config() -> ActiveLearningConfig:
    """Rounds that ask an expert, whose answer is one vote."""
    return ActiveLearningConfig(
        n_start=50,
        n_asked=25,
        n_rounds=12,
        n_seeds=N_STARTS,
        measure="ranking_error",
        information=InformationConfig(expected_votes=1),
    )


def judge_bars(options: argparse.Namespace) -> None:
    """Play the encoders' rounds on real galaxies, and judge those of the last."""
    told: dict[str, object] = {}
    for name, encoder in ENCODERS.items():
        data = real_loop(options.data, options.work / name, encoder)
        own, told[name] = play(bars_config(), data, RESULTS / "active_learning" / name)
    gates = [
        at_least(f"area_low of {BEST}, {name}", own["area_low"][BEST], _ABOVE),
        at_least(f"saving of {BEST}, {name}", _saving(own), _ABOVE),
    ]
    finish("active_learning_bars", told, gates, options)


def main() -> None:
    """Play what is missing, report, judge."""
    options = parse()
    if options.data:
        judge_bars(options)
    seeds = SETTLED_ON if options.settle else JUDGED_ON
    is_kept = not (options.quick or options.settle)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) if options.quick else options.work
        results = RESULTS / "active_learning" if is_kept else Path(scratch) / "results"
        sizes = QUICK if options.quick else Sizes()
        data = simulated_loop(sizes, seeds, work / f"simulated_{seeds.played}")
        told: dict[str, object] = {}
        mergers, told[MERGERS] = play(
            mergers_config(options.quick),
            labelled_mergers(data, sizes, seeds),
            results / "simulated_mergers",
        )
        gates = [at_least(f"area_low of {BEST}, {MERGERS}", mergers["area_low"][BEST], 0.0)]
        if not options.quick:
            gates.append(at_least(f"saving of {BEST}, {MERGERS}", _saving(mergers), LEAST_SAVING))
            odd, told[ODD] = play(odd_config(), one_question(data, ODD), results / "simulated_odd")
            gates.append(at_least(f"area_low of {BEST}, {ODD}", odd["area_low"][BEST], 0.0))
            gates.append(at_least(f"saving of {BEST}, {ODD}", _saving(odd), LEAST_SAVING))
        if options.tree:
            _, told["whole tree"] = play(tree_config(), data, results / "simulated_tree")
        finish("active_learning", told, gates, options)


def _saving(own: pd.DataFrame) -> float:
    """Of the arm that is judged; -1 where it never reaches random's last error."""
    return max(float(own["saving"][BEST]), -1.0)


if __name__ == "__main__":
    main()
