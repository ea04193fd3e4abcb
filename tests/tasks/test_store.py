import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from flytekit import Cache, task
from flytekit.core import local_cache
from flytekit.core.local_cache import LocalTaskCache

from galaxyloop.errors import StorageError
from galaxyloop.stored_results import StoredResult, find_unneeded, remove_results
from schemas.artefacts import (
    CheckpointDirectory,
    SurveyChunk,
    SurveyChunkDirectory,
    SurveyVersionDirectory,
)
from tasks import local_run
from tasks.registry import log_pretraining
from tasks.store import main
from tests.tasks.test_registry import trained

YESTERDAY = time.time() - 25 * 3600
runs: list[str] = []


@task(cache=Cache(version="7"))
def make_chunks(names: list[str]) -> list[SurveyChunk]:
    runs.extend(names)
    return [keep(name) for name in names]


@task(cache=Cache(version="7"))
def make_some(names: list[str]) -> list[SurveyChunk | None]:
    runs.extend(names)
    return [keep(name) if name else None for name in names]


@task(cache=Cache(version="7"))
def make_table(n_rows: int) -> pd.DataFrame:
    runs.append("table")
    return pd.DataFrame({"row": range(n_rows)})


def keep(name: str) -> SurveyChunkDirectory:
    directory = local_run.new_directory("part")
    directory.mkdir()
    (directory / "content.txt").write_text(name * 1000)
    return local_run.keep(directory, SurveyChunkDirectory, name)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    runs.clear()
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    local_run.install()
    LocalTaskCache.initialize()
    yield tmp_path / "store"
    monkeypatch.undo()
    local_run.install()
    LocalTaskCache.initialize()


def age(place: Path) -> None:
    """Let everything there have been left alone for more than a day."""
    for path in (*place.rglob("*"), place):
        os.utime(path, (YESTERDAY, YESTERDAY), follow_symlinks=False)


def call(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def tree(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


@pytest.mark.parametrize("command", [["status"], ["prune"], ["prune", "--yes"]])
def test_store__that_is_not_there_yet_is_empty(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path / "none"))
    assert "0 directories, 0.0 MB" in call(*command)
    assert not (tmp_path / "none").exists()


def test_prune__leaves_every_hit_a_hit_and_takes_the_orphan(store: Path) -> None:
    make_chunks(names=["aaaa", "bbbb"])
    make_some(names=["cccc", ""])
    make_table(n_rows=3)
    keep("orphan")
    age(store)
    before = list(runs)
    assert "survey-chunk/orphan" in call("prune")
    assert (store / "survey-chunk" / "orphan").is_dir()
    told = call("prune", "--yes")
    assert "removed 1 directories" in told
    assert {path.name for path in (store / "survey-chunk").iterdir()} == {"aaaa", "bbbb", "cccc"}
    kept = make_chunks(names=["aaaa", "bbbb"])
    assert [(Path(one.uri) / "content.txt").read_text()[:4] for one in kept] == ["aaaa", "bbbb"]
    assert make_some(names=["cccc", ""])[1] is None
    assert len(make_table(n_rows=3)) == 3
    assert runs == before
    assert "removed 0 directories" not in call("prune", "--yes")


def test_prune__leaves_what_a_run_of_today_may_use(store: Path) -> None:
    keep("new")
    keep("again")
    age(store)
    keep("again")
    told = call("prune")
    assert "survey-chunk/new" in told
    assert "survey-chunk/again" not in told


def test_prune__leaves_what_was_made_since_a_process_began_that_is_writing(store: Path) -> None:
    writing = local_run.new_directory("part")
    keep("made-before-it")
    age(store)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        place = store / "unfinished" / f"{other.pid}-abc"
        place.mkdir()
        age(place)
        results = [
            StoredResult(place, 1, YESTERDAY),
            StoredResult(store / "raw" / "since", 1, time.time() + 1),
            StoredResult(store / "raw" / "before", 1, YESTERDAY),
        ]
        later = time.time() + 3 * 24 * 3600
        unneeded = find_unneeded(results, set(), set(), now_s=later)
        other.communicate()
    assert [one.path.name for one in unneeded] == ["before"]
    # That process has ended, this one has not.
    told = call("prune")
    assert f"unfinished/{place.name}" in told
    assert writing.parent.name not in told


def test_prune__leaves_what_a_registered_model_was_made_of(store: Path, tmp_path: Path) -> None:
    for kind, name in (("survey-version", "5" * 64), ("survey-version", "6" * 64)):
        (store / kind / name).mkdir(parents=True)
    checkpoint, _ = trained(tmp_path, seed=0)
    survey = SurveyVersionDirectory(uri=f"{store}/survey-version/{'5' * 64}", digest="5" * 64)
    log_pretraining(checkpoint=checkpoint, survey=survey, shards=[], purpose="test")
    (store / "checkpoint" / checkpoint.digest).mkdir(parents=True)
    age(store)
    told = call("prune", "--yes")
    assert f"survey-version/{'6' * 64}" in told
    assert (store / "survey-version" / ("5" * 64)).is_dir()
    assert (store / "checkpoint" / checkpoint.digest).is_dir()
    assert not (store / "survey-version" / ("6" * 64)).exists()
    assert (store / "mlflow.db").is_file()
    assert list((store / "mlflow-artifacts").iterdir())


def test_prune__removes_nothing_while_a_registry_is_silent(store: Path) -> None:
    keep("orphan")
    age(store)
    (store / "registries.txt").write_text("http://127.0.0.1:9\n")
    done = CliRunner(env={"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}).invoke(main, ["prune", "--yes"])
    assert done.exit_code == 1
    assert "the registry http://127.0.0.1:9 does not say" in done.output
    assert (store / "survey-chunk" / "orphan").is_dir()


def test_prune__reads_addresses_that_hold_a_space(store: Path, tmp_path: Path) -> None:
    keep("orphan")
    age(store)
    registry = tmp_path / "a registry" / "mlflow.db"
    registry.parent.mkdir()
    registry.write_text("no database")
    (store / "registries.txt").write_text(f"sqlite:///{registry}\n")
    done = CliRunner().invoke(main, ["prune", "--yes"])
    assert done.exit_code == 1, done.output
    assert f"the registry sqlite:///{registry} does not say" in done.output
    assert (store / "survey-chunk" / "orphan").is_dir()


def test_prune__touches_nothing_outside_the_store(store: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for name in ("linked", "folder/inner", "checkpoints/far"):
        (outside / name).mkdir(parents=True)
        (outside / name / "file").write_text("mine")
    keep("orphan")
    (store / "survey-chunk" / "orphan" / "link").symlink_to(outside / "linked")
    (store / "survey-chunk" / "linked").symlink_to(outside / "linked")
    (store / "checkpoint").symlink_to(outside / "checkpoints")
    (store / "notes").mkdir()
    (store / "notes" / "mine.txt").write_text("mine")
    for place in (store, outside):
        age(place)
    before = tree(outside)
    told = call("prune", "--yes")
    assert "removed 1 directories" in told
    assert tree(outside) == before
    assert (store / "survey-chunk" / "linked").is_symlink()
    assert (store / "notes" / "mine.txt").is_file()
    assert not (store / "survey-chunk" / "orphan").exists()


def test_remove_results__refuses_what_a_link_leads_out_of_the_store_to(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside" / "far"
    outside.mkdir(parents=True)
    store.mkdir()
    (store / "checkpoint").symlink_to(outside.parent)
    with pytest.raises(StorageError, match="is not in the store"):
        remove_results(store, [StoredResult(store / "checkpoint" / "far", 0, 0.0)])
    assert outside.is_dir()


def test_status__tells_results_sizes_and_a_damaged_entry(store: Path) -> None:
    make_chunks(names=["aaaa", "bbbb"])
    make_chunks(names=["cccc"])
    keep("orphan")
    database = Path(local_cache.CACHE_LOCATION) / "cache.db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "update Cache set value = ? where rowid = (select max(rowid) from Cache)",
            (sqlite3.Binary(b"\xff\xffno result"),),
        )
    told = call("status")
    (line,) = [line for line in told.splitlines() if line.startswith("tests.") and "7" in line]
    assert line.split()[1:] == ["7", "1", "0.0"]
    assert "DAMAGED  a result of" in told
    assert "make_chunks" in told
    assert make_chunks(names=["cccc"])[0].digest == "cccc"
    assert runs == ["aaaa", "bbbb", "cccc", "cccc"]
    assert "DAMAGED" not in call("status")


def test_status__tells_a_cache_that_cannot_be_read(store: Path) -> None:
    place = store / "cache-0"
    place.mkdir(parents=True)
    (place / "cache.db").write_bytes(b"no database" * 1000)
    done = CliRunner().invoke(main, ["prune", "--yes"])
    assert done.exit_code == 1
    assert f"the cache {place} cannot be read" in done.output


def test_prune__of_a_moved_store_leaves_what_its_former_cache_points_at(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_chunks(names=["aaaa"])
    keep("orphan")
    age(store)
    moved = tmp_path / "moved"
    shutil.move(store, moved)
    monkeypatch.setenv("GALAXYLOOP_STORE", str(moved))
    call("prune", "--yes")
    assert tree(moved / "survey-chunk") == {"aaaa", "aaaa/content.txt"}


def test_checkpoints__are_a_kind_of_the_store() -> None:
    from tasks.store import KINDS

    assert CheckpointDirectory.kind in KINDS
