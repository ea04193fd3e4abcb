import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import flytekit
import pytest
from flytekit import Cache, task
from flytekit.clis.sdk_in_container import run, utils
from flytekit.core import data_persistence, local_cache

import tasks
from schemas.artefacts import CheckpointDirectory, SurveyChunk, SurveyChunkDirectory
from tasks import command_line, local_run

PROJECT = Path(local_run.__file__).resolve().parent.parent
runs: list[list[str]] = []


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def finished(name: str, text: str) -> Path:
    directory = local_run.new_directory(name)
    directory.mkdir()
    (directory / "content.txt").write_text(text)
    return directory


def test_flytekit__is_the_version_whose_inner_values_are_set() -> None:
    assert flytekit.__version__ == "1.16.31"
    assert hasattr(data_persistence.default_local_file_access_provider, "_raw_output_prefix")
    assert tasks.local_run is local_run
    assert utils.pretty_print_exception is command_line.print_briefly
    assert run.to_click_option is command_line.make_short_option
    assert local_cache.LocalTaskCache.get is local_run.find_cached


def test_install__points_cache_and_outputs_into_the_store() -> None:
    store = local_run.store_directory()
    assert Path(local_cache.CACHE_LOCATION).parent == store
    prefix = data_persistence.default_local_file_access_provider.raw_output_prefix
    assert prefix.startswith(str(store))


def test_install__names_the_cache_after_its_place(tmp_path: Path) -> None:
    code = "import tasks; from flytekit.core import local_cache; print(local_cache.CACHE_LOCATION)"
    names = set()
    for place in ("one", "two"):
        environment = {**os.environ, "GALAXYLOOP_STORE": str(tmp_path / place)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        names.add(Path(done.stdout.strip()).name)
    assert len(names) == 2


def test_keep__moves_a_directory_to_its_digest(store: Path) -> None:
    artefact = local_run.keep(finished("model", "weights"), CheckpointDirectory, "abc")
    assert Path(artefact.uri) == store / "checkpoint" / "abc"
    assert (Path(artefact.uri) / "content.txt").read_text() == "weights"
    assert list((store / "unfinished").iterdir()) == []


def test_keep__leaves_equal_content_where_it_is(store: Path) -> None:
    local_run.keep(finished("model", "first"), CheckpointDirectory, "abc")
    local_run.keep(finished("model", "second"), CheckpointDirectory, "abc")
    assert (store / "checkpoint" / "abc" / "content.txt").read_text() == "first"


def test_keep__replaces_where_addresses_may_have_changed(store: Path) -> None:
    local_run.keep(finished("model", "first"), CheckpointDirectory, "abc")
    local_run.keep(finished("model", "second"), CheckpointDirectory, "abc", replace=True)
    assert (store / "checkpoint" / "abc" / "content.txt").read_text() == "second"
    assert list((store / "unfinished").iterdir()) == []


def test_keep__leaves_a_pods_directory_for_flyte_to_upload(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    directory = finished("model", "weights")
    artefact = local_run.keep(directory, CheckpointDirectory, "abc")
    assert artefact.uri == str(directory)
    assert not store.exists()


def test_store_directory__is_beside_the_project_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GALAXYLOOP_STORE")
    assert local_run.store_directory() == PROJECT / ".galaxyloop"


def test_digests__are_what_literals_end_with(store: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    artefact = local_run.keep(finished("model", "weights"), CheckpointDirectory, digest)
    assert artefact.uri.endswith(digest)


@task(cache=Cache(version="1"))
def make_parts(names: list[str]) -> list[SurveyChunk]:
    runs.append(names)
    return [local_run.keep(finished("part", name), SurveyChunkDirectory, name) for name in names]


def test_find_cached__makes_again_what_was_removed_and_nothing_else(store: Path) -> None:
    local_cache.LocalTaskCache.clear()
    made = [make_parts(names=["a", "b"]) for _ in range(2)]
    assert runs == [["a", "b"]]
    shutil.rmtree(made[0][1].uri)
    made += [make_parts(names=["a", "b"]) for _ in range(2)]
    assert runs == [["a", "b"]] * 2
    assert all(one == made[0] for one in made)
    assert (store / "survey-chunk" / "b" / "content.txt").read_text() == "b"
