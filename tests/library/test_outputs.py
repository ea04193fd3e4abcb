"""Results are never written where they would be lost, and a place is tried before it is needed."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from galaxyloop.errors import ConfigError, RefusedError, StorageError
from galaxyloop.outputs import check_output
from tests.library.object_store import new_bucket, note_requests


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_bucket(monkeypatch) as place:
        yield place


def test_check_output__refuses_a_containers_disk(bucket: str) -> None:
    check_output("round", must_be_remote=False)
    check_output(f"{bucket}/round", must_be_remote=True)
    with pytest.raises(ConfigError, match="must be an address such as s3://.*, got 'round'"):
        check_output("round", must_be_remote=True)
    with pytest.raises(ConfigError, match="got ''"):
        check_output("", must_be_remote=False)


def test_check_output__writes_at_the_address_and_leaves_nothing(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = note_requests(monkeypatch)
    check_output(f"{bucket}/round/", must_be_remote=True)
    assert [one.split()[0] for one in requests] == ["PUT", "DELETE"]
    assert not fsspec.filesystem("s3").find(bucket)


def test_check_output__makes_no_folder(tmp_path: Path) -> None:
    check_output(str(tmp_path / "rounds" / "first"), must_be_remote=False)
    check_output(f"file://{tmp_path}", must_be_remote=False)
    assert not list(tmp_path.iterdir())


def test_check_output__refuses_a_bucket_that_is_not_there(bucket: str) -> None:
    with pytest.raises(RefusedError, match=f"cannot write to output '{bucket}-no/round': .*bucket"):
        check_output(f"{bucket}-no/round", must_be_remote=True)


def test_check_output__refuses_a_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("content")
    for output in (tmp_path / "taken", tmp_path / "taken" / "round"):
        with pytest.raises(RefusedError, match=f"output '{output}': .*Not a directory.*another"):
            check_output(str(output), must_be_remote=False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has a read-only /proc")
def test_check_output__tells_a_folder_that_takes_no_files() -> None:
    with pytest.raises((RefusedError, StorageError), match="cannot write to output '/proc/round'"):
        check_output("/proc/round", must_be_remote=False)


@pytest.mark.parametrize("output", ["nosuch://place/round", "s3:///round"])
def test_check_output__refuses_what_is_no_address(output: str, bucket: str) -> None:
    with pytest.raises((ConfigError, RefusedError), match=f"got '{output}'|output '{output}'"):
        check_output(output, must_be_remote=True)
