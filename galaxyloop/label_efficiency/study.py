"""Running a study on one machine: pretrainings and cells in worker processes, resumable."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from multiprocessing import connection
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from galaxyloop.checkpoint import LOG, checkpoint_digest, load_checkpoint_config
from galaxyloop.label_efficiency.cells import Cell, cell_digest, list_cells, run_cell
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import StudyData, open_study
from galaxyloop.label_efficiency.pretraining import (
    PRETRAINING_CODE,
    pretrain_arm,
    pretraining_key,
    with_threads,
)
from galaxyloop.label_efficiency.progress import Progress, StudyPlaces
from galaxyloop.label_efficiency.table import PRETRAINING_COLUMNS, append_row, results_table
from galaxyloop.training.running import RunHooks

_MONITORS = ("feature_std", "effective_rank")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_study(
    config: LabelEfficiencyConfig, places: StudyPlaces, n_workers: int = 1
) -> pd.DataFrame:
    """Do what is missing of a study: each arm is pretrained once, each cell is run once.

    Every finished cell is a line of the table at once, so a study that was cut short goes on
    where it was, and arms, numbers of labels or draws can be added later. A line counts if its
    encoder, settings and data are the same; lines of others stay and are not used.

    Args:
        config: the study.
        places: data, work and results.
        n_workers: processes, each of which computes on ``config.n_threads`` threads.

    Returns:
        The rows of this study, the columns ``table.COLUMNS``.

    Raises:
        GalaxyloopError: a pretraining or a cell failed; what was finished is kept.
    """
    data = open_study(places.data)
    progress = Progress(config, places, data.digest())
    with _workers(n_workers, config.n_threads) as pool, _bar(config) as bar:
        jobs: dict[Future[Any], ArmConfig | Cell] = {}
        waiting = [arm for arm in config.arms if not arm.is_absent]
        while waiting or jobs:
            ready = [arm for arm in waiting if not arm.start or arm.start in progress.digests]
            waiting = [arm for arm in waiting if arm not in ready]
            for arm in ready:
                jobs |= _begin(arm, progress, data, pool, bar)
            if not jobs:
                continue
            done, _ = wait(jobs, return_when=FIRST_COMPLETED)
            # What went well is written down before an error ends the study.
            for job in sorted(done, key=lambda job: job.exception() is not None):
                jobs |= _finish(jobs.pop(job), job.result(), progress, pool, bar)
    return results_table(progress.rows)


def _begin(
    arm: ArmConfig,
    progress: Progress,
    data: StudyData,
    pool: ProcessPoolExecutor,
    bar: "tqdm[None]",
) -> dict[Future[Any], ArmConfig | Cell]:
    """Start an arm's pretraining, or its cells if the encoder is known."""
    if not arm.has_checkpoint:
        progress.digests[arm.name] = ""
        return _begin_cells(arm, progress, pool, bar)
    threaded = with_threads(arm, progress.config.n_threads)
    start = progress.digests.get(arm.start, "")
    progress.keys[arm.name] = pretraining_key(threaded, data, start)
    directory = progress.directory(arm.name)
    known = progress.known_digest(progress.keys[arm.name])
    if known and directory.is_dir():
        # The table may have been written elsewhere; what is here is what will be used.
        known = checkpoint_digest(directory)
    elif known and progress.is_wanted(arm, known, data):
        known = ""
    if known:
        progress.digests[arm.name] = known
        return _begin_cells(arm, progress, pool, bar)
    start_directory = progress.directory(arm.start) if arm.start else None
    job = pool.submit(_pretrain, threaded, progress.places, directory, start_directory)
    return {job: arm}


def _begin_cells(
    arm: ArmConfig, progress: Progress, pool: ProcessPoolExecutor, bar: "tqdm[None]"
) -> dict[Future[Any], ArmConfig | Cell]:
    """Take the rows of finished cells, and start the others."""
    rows, missing = progress.look_up(arm, progress.digests[arm.name])
    progress.rows += rows
    n_cells = sum(cell.arm == arm.name for cell in list_cells(progress.config))
    bar.update(n_cells - len(missing) + int(arm.has_checkpoint))
    directory = progress.directory(arm.name) if arm.has_checkpoint else None
    return {
        pool.submit(_run_cell, cell, progress.config, progress.places, directory): cell
        for cell in missing
    }


def _finish(
    what: ArmConfig | Cell,
    result: dict[str, Any],
    progress: Progress,
    pool: ProcessPoolExecutor,
    bar: "tqdm[None]",
) -> dict[Future[Any], ArmConfig | Cell]:
    """Write down what a job gave, and start what waited for it."""
    if isinstance(what, ArmConfig):
        row = {**result, "arm": what.name, "pretraining_key": progress.keys[what.name]}
        append_row(progress.places.pretrainings, row, PRETRAINING_COLUMNS)
        progress.digests[what.name] = str(row["checkpoint_digest"])
        return _begin_cells(what, progress, pool, bar)
    row = {
        **result,
        "checkpoint_digest": progress.digests[what.arm],
        "config_digest": cell_digest(what, progress.config, progress.data_digest),
    }
    append_row(progress.places.cells, row)
    progress.rows.append(row)
    bar.update()
    return {}


class _Clock:
    """Processor seconds of a piece of work, over all the processes that had a part in it."""

    def __init__(self, path: Path) -> None:
        """Go on from what the file says, if it is there."""
        self._path = path
        self._earlier = float(path.read_text()) if path.is_file() else 0.0
        self._started = time.process_time()
        self.seconds = self._earlier

    def keep(self) -> None:
        """Write down the seconds until now."""
        self.seconds = self._earlier + time.process_time() - self._started
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(f"{self.seconds:.2f}\n")


@cache
def _data(directory: Path) -> StudyData:
    """A worker's data, opened once."""
    return open_study(directory)


def _pretrain(
    arm: ArmConfig, places: StudyPlaces, directory: Path, start: Path | None
) -> dict[str, Any]:
    """In a worker: one arm's checkpoint, which may be there already."""
    states = places.work / "states" / directory.name
    clock = _Clock(states / "cpu_seconds.txt")
    if not directory.is_dir():
        hooks: RunHooks = {"state_directory": states, "on_epoch": lambda _: clock.keep()}
        pretrain_arm(arm, _data(places.data), directory, start, **hooks)
        clock.keep()
    log = pd.read_parquet(directory / LOG)
    told = load_checkpoint_config(directory)["data"]
    last = log.iloc[-1].to_dict() if len(log) else {}
    return {
        "cpu_minutes": round(clock.seconds / 60, 2),
        "n_epochs": len(log),
        "n_train": told.get("n_train", 0),
        "n_labelled": told.get("n_labelled", 0),
        **{name: float(last.get(name, float("nan"))) for name in _MONITORS},
        "code": PRETRAINING_CODE,
        "checkpoint_digest": checkpoint_digest(directory),
    }


def _run_cell(
    cell: Cell, config: LabelEfficiencyConfig, places: StudyPlaces, checkpoint: Path | None
) -> dict[str, Any]:
    """In a worker: one cell."""
    return run_cell(cell, config, _data(places.data), checkpoint)


@contextmanager
def _workers(n_workers: int, n_threads: int | None) -> Iterator[ProcessPoolExecutor]:
    """Processes that start from nothing; jobs that have not begun are dropped on an error."""
    settings = {"TQDM_DISABLE": "1"}
    if n_threads is not None:
        settings |= dict.fromkeys(_THREADS, str(n_threads))
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=spawn, initializer=_end_with_parent)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """In a worker: stop when the study is gone, also if it was killed in the middle of a job."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _bar(config: LabelEfficiencyConfig) -> "tqdm[None]":
    """Pretrainings and cells that are done."""
    n_made = sum(arm.has_checkpoint for arm in config.arms)
    return tqdm(total=len(list_cells(config)) + n_made, desc="label efficiency", disable=None)
