"""A scaling study on the simulated survey: its laws, what a further encoder costs, planted laws.

The workflow is run three times into one fresh store: two encoders, the same with one encoder
added, and that once more without a change. Then laws with known exponents are planted at the
study's own sizes and with its own scatter, and must lie in their intervals as often as these say.
``--save`` also keeps the tables and the figure in ``benchmarks/results/scaling``.
"""

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import RESULTS, Gate, at_least, at_most, finish, parse_arguments
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.scaling.config import LawConfig, ScalingConfig
from galaxyloop.scaling.laws import FORMS, fit_law, interval
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig, write_survey
from galaxyloop.training.config import SupervisedRun, TrainingConfig
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource

CELL = "tasks.scaling.run_scaling_cell"
ADDED = "resnet10t"
SIDE_PX = 40
FULL = ScalingConfig(
    encoders=["test_resnet", "resnet_mini"],
    fractions=[0.0625, 0.125, 0.25, 0.5, 1.0],
    n_seeds=3,
    run=SupervisedRun(training=TrainingConfig(epochs=8, batch_size=32)),
    posterior=PosteriorConfig(n_samples=8),
)
QUICK = replace(
    FULL,
    encoders=["test_resnet"],
    fractions=FULL.fractions[1:],
    n_seeds=2,
    run=SupervisedRun(training=TrainingConfig(epochs=4, batch_size=32)),
)
KEPT = ("scaling.png", "scaling.csv", "scaling_cells.csv", "scaling_laws.csv")
N_PLANTED = 200
PLANTED = ((0.0, 0.1), (0.0, 0.3), (0.0, 0.6), (0.7, 0.6))
"""Floor, as a share of the error at the middle size, and exponent."""
COVERED = (0.84, 0.96)
"""Nominal is 0.9; three standard errors of 200 are 0.064."""
MAX_CPU_MINUTES = 15.0
MAX_FORETOLD = 0.03
"""Largest relative error of the law gone by at the fraction that was left out."""


@dataclass(frozen=True)
class Run:
    """What one run computed and left."""

    n_computed: int
    """How often the code of the cells' task ran."""
    cells: pd.DataFrame
    laws: pd.DataFrame
    told: str


def main() -> None:
    """Run the study three times, plant laws, judge."""
    arguments = parse_arguments(__doc__ or "")
    study = QUICK if arguments.quick else FULL
    more = replace(study, encoders=[*study.encoders, ADDED])
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        os.environ["GALAXYLOOP_STORE"] = str(place / "store")
        write_survey(_survey(arguments.quick), place / "survey", progress=False)
        started = time.process_time()
        first = _play(place, study)
        second = _play(place, more)
        minutes = (time.process_time() - started) / 60
        third = _play(place, more)
        if arguments.save:
            (RESULTS / "scaling").mkdir(parents=True, exist_ok=True)
            for name in KEPT:
                shutil.copyfile(place / "out" / name, RESULTS / "scaling" / name)
    print(second.told)
    coverage = _cover_planted(second)
    figures = _figures(second, minutes, coverage)
    gates = [*_gates(first, second, third), *_law_gates(second, coverage)]
    if not arguments.quick:
        gates.append(at_most("cpu_minutes_of_study", minutes, MAX_CPU_MINUTES))
    finish("scaling", figures, gates, arguments)


def _survey(is_quick: bool) -> SimulationConfig:
    """The galaxies, all with votes."""
    n_galaxies = 500 if is_quick else 2600
    return SimulationConfig(n_galaxies=n_galaxies, image_size_px=SIDE_PX, labelled_share=1.0)


def _play(place: Path, study: ScalingConfig) -> Run:
    """Run the workflow in this process."""
    # Not before the store is named: the tasks' package looks for it.
    from workflows.scaling import scaling_study

    survey = place / "survey"
    with _counting() as ran:
        told = scaling_study(
            manifest=str(survey / "manifest.csv"),
            votes=[VoteSource(str(survey / "votes.csv"), "gz2")],
            output=str(place / "out"),
            study=study,
            ingest=IngestConfig(max_image_reject_rate=0.2),
            cutouts=CutoutConfig(image_size_px=SIDE_PX),
            vote_checks=VotesConfig(max_reject_rate=0.2),
        )
    cells, laws = (
        pd.read_csv(place / "out" / f"{name}.csv") for name in ("scaling_cells", "scaling_laws")
    )
    return Run(ran[CELL], cells, laws, str(told))


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    """How often each task's code runs; a cached result that is found counts nothing."""
    from flytekit.core.base_task import PythonTask

    execute, ran = PythonTask.dispatch_execute, Counter[str]()

    def note(task: PythonTask, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        ran[task.name] += 1
        return execute(task, *arguments, **named)

    PythonTask.dispatch_execute = note
    try:
        yield ran
    finally:
        PythonTask.dispatch_execute = execute


def _cover_planted(run: Run) -> dict[str, float]:
    """Share of planted exponents in their interval, at the study's sizes and with its scatter."""
    cells = run.cells[run.cells["encoder"] == run.cells["encoder"].iloc[0]]
    sizes = cells["n_galaxies"].to_numpy(np.float64)
    spread = float(run.laws["spread"].median())
    config = LawConfig(n_draws=300)
    scatter = spread * (sizes / np.median(sizes)) ** -config.scatter_power
    found = {}
    for number, (floor, exponent) in enumerate(PLANTED):
        form = list(FORMS)[int(floor > 0)]
        law = floor + (1 - floor) * (sizes / np.median(sizes)) ** -exponent
        covered = []
        for seed in range(N_PLANTED):
            noise = scatter * np.random.default_rng((number, seed)).standard_normal(len(sizes))
            fitted = fit_law(sizes, law * (1 + noise), form, config)
            low, high = interval(fitted.exponents, config.level)
            covered.append(low <= exponent <= high)
        found[f"{form}, exponent {exponent:g}"] = float(np.mean(covered))
    return found


def _figures(run: Run, minutes: float, coverage: dict[str, float]) -> dict[str, object]:
    """What is worth printing."""
    chosen = run.laws[run.laws["is_chosen"]]
    columns = ["encoder", "metric", "form", "exponent", "exponent_low", "exponent_high"]
    columns += ["floor", "held_out", "foretold", "gain", "gain_low", "gain_high"]
    means = run.cells.groupby(["encoder", "fraction"], sort=False)[["n_galaxies", "nll", "rmse"]]
    return {
        "n_cells": len(run.cells),
        "n_test": int(run.cells["n_test"].max()),
        "n_parameters": run.cells.groupby("encoder")["n_parameters"].max().to_dict(),
        "cpu_minutes_of_study": minutes,
        "means_over_seeds": means.mean().round(4).reset_index().to_dict("records"),
        "laws": chosen[columns].round(4).to_dict("records"),
        "median_spread": float(run.laws["spread"].median()),
        "coverage_of_planted_exponents": coverage,
    }


def _gates(first: Run, second: Run, third: Run) -> list[Gate]:
    """What was computed, and that nothing else was."""
    is_old = second.cells["encoder"] != ADDED
    again = second.cells[is_old].reset_index(drop=True)
    return [
        at_least("cells_finished", float(second.cells["error"].isna().mean()), 1.0),
        at_least("cells_computed_first", first.n_computed, len(first.cells)),
        at_least("cells_computed_for_the_added_encoder", second.n_computed, int((~is_old).sum())),
        at_most("cells_computed_with_it", second.n_computed, int((~is_old).sum())),
        at_most("cells_computed_without_a_change", third.n_computed, 0),
        at_least("rows_of_other_encoders_are_the_same", again.equals(first.cells), 1),
    ]


def _law_gates(run: Run, coverage: dict[str, float]) -> list[Gate]:
    """That more galaxies help, that laws foretell the largest fraction, that intervals hold."""
    gates = []
    for encoder, cells in run.cells.groupby("encoder", sort=False):
        means = cells.groupby("fraction")["nll"].mean()
        gates.append(at_least(f"fall_of_nll {encoder}", means.iloc[0] - means.iloc[-1], 0.0))
    for law in run.laws[run.laws["is_chosen"]].itertuples():
        missed = abs(law.foretold / law.held_out - 1)
        gates.append(at_most(f"foretold {law.encoder} {law.metric}", missed, MAX_FORETOLD))
    for name, share in coverage.items():
        gates.append(at_least(f"coverage {name}", share, COVERED[0]))
        gates.append(at_most(f"coverage {name}", share, COVERED[1]))
    return gates


if __name__ == "__main__":
    main()
