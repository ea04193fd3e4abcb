"""A round that is played again: how long it takes, and what of it is computed again.

The round of ``make demo`` is played three times into one fresh store, each time in a process of
its own as a person starts it: first, again without a change, and with another acquisition alone.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.harness import Gate, at_least, at_most, finish, parse_arguments
from galaxyloop.synthetic import SimulationConfig, write_survey
from tests.workflows.place import SMALL

ROOT = Path(__file__).parent.parent
SHARE_GATE, SECONDS_GATE = 0.1, 45.0
"""The second run takes this share of the first one's time or these seconds, whichever is more."""
RANKING, REPORT = "tasks.acquire.rank_galaxies", "tasks.report.write_report"
KEPT = ("cutout-shard", "checkpoint", "evaluation", "prediction")
"""Kinds of results in the store that no later run may add to or touch."""


@dataclass(frozen=True)
class Run:
    """What one run took and left."""

    seconds: float
    """With the start of the process."""
    cached: dict[str, int]
    """How often the code of each cached task ran."""
    uncached: dict[str, int]
    kept: dict[str, int]
    """Results of the store with the time of their last change [ns]."""
    catalogue: str
    """Digest of the catalogue's rows."""
    acquisition: str
    """Digest of the list of galaxies to ask about."""


def main() -> None:
    """Play three rounds and compare them."""
    arguments = parse_arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as place:
        inputs = _prepare(Path(place), arguments.quick)
        first, second = _play(Path(place), inputs), _play(Path(place), inputs)
        n_galaxies = len(pd.read_csv(inputs["manifest"]))
        changed = inputs | {"acquisition": {"name": "random"}}
        third = _play(Path(place), changed)
    figures = {
        "n_galaxies": n_galaxies,
        **{f"{name}_run_s": run.seconds for name, run in _named(first, second, third)},
        "second_over_first": second.seconds / first.seconds,
        "cached_tasks_of_first_run": first.cached,
        "uncached_tasks_of_third_run": third.uncached,
    }
    finish("rerun", figures, _gates(first, second, third), arguments)


def _named(*runs: Run) -> list[tuple[str, Run]]:
    """The runs with their names."""
    return list(zip(("first", "second", "third"), runs, strict=True))


def _prepare(place: Path, quick: bool) -> dict[str, Any]:
    """Simulate the survey; the round's inputs."""
    survey = yaml.safe_load((ROOT / "examples/demo_survey.yaml").read_text())
    inputs = yaml.safe_load((ROOT / "examples/demo.yaml").read_text())
    if quick:
        survey |= {"n_galaxies": 150, "image_size_px": 48}
        inputs |= SMALL
    write_survey(SimulationConfig.from_dict(survey), place / "survey", progress=False)
    votes = [{"uri": str(place / "survey/votes.csv"), "campaign": "gz2"}]
    manifest, output = str(place / "survey/manifest.csv"), str(place / "round")
    return {**inputs, "manifest": manifest, "votes": votes, "output": output}


def _play(place: Path, inputs: dict[str, Any]) -> Run:
    """Play a round in a process of its own."""
    (place / "inputs.yaml").write_text(yaml.safe_dump(inputs))
    counts = place / "counts.json"
    environment = {
        **os.environ,
        "GALAXYLOOP_STORE": str(place / "store"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "benchmarks.rerun_round", place / "inputs.yaml", counts]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"the round failed: {(done.stdout + done.stderr)[-3000:]}")
    ran = json.loads(counts.read_text())
    kept = {
        f"{kind}/{path.name}": path.stat().st_mtime_ns
        for kind in KEPT
        for path in (place / "store" / kind).iterdir()
    }
    catalogue, acquisition = (
        hashlib.sha256(_rows(place / "round" / f"{name}.parquet")).hexdigest()
        for name in ("catalogue", "acquisition")
    )
    return Run(seconds, ran["cached"], ran["uncached"], kept, catalogue, acquisition)


def _rows(path: Path) -> bytes:
    """A Parquet file up to its footer, which has the date."""
    content = path.read_bytes()
    return content[: -8 - int.from_bytes(content[-8:-4], "little")]


def _gates(first: Run, second: Run, third: Run) -> list[Gate]:
    """Bounds on time, on what ran, and on what came out."""
    allowed = max(SHARE_GATE * first.seconds, SECONDS_GATE)
    other_tasks = sum(
        abs(second.uncached.get(name, 0) - third.uncached.get(name, 0))
        for name in second.uncached | third.uncached
    )
    return [
        at_most("second_run_s", second.seconds, allowed),
        at_least("cached_tasks_run_first", sum(first.cached.values()), 4),
        at_most("cached_tasks_run_second", sum(second.cached.values()), 0),
        at_most("cached_tasks_run_third", sum(third.cached.values()), 0),
        at_least("rankings_run_third", third.uncached.get(RANKING, 0), 1),
        at_least("reports_run_third", third.uncached.get(REPORT, 0), 1),
        at_most("differences_of_tasks_run_second_and_third", other_tasks, 0),
        at_most(
            "results_added_or_touched", len(set(third.kept.items()) ^ set(first.kept.items())), 0
        ),
        at_least("acquisition_lists_differ", second.acquisition != third.acquisition, 1),
        at_least("catalogues_agree", first.catalogue == second.catalogue == third.catalogue, 1),
    ]


if __name__ == "__main__":
    main()
