"""Where images are kept: any folder, one process at a time, names that no file system confuses."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from galaxyloop.cutout_services import CutoutServiceConfig, fetch_cutouts
from galaxyloop.errors import StorageError
from tests.library.cutout_server import (
    CutoutServer,
    fails,
    galaxies,
    quick_config,
    running_server,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutoutServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running_server() as server:
        yield server


def quick(server: CutoutServer) -> CutoutServiceConfig:
    return quick_config(server, timeout_s=10)


def first_galaxies(n: int) -> pd.DataFrame:
    return galaxies(*(f"g{i}" for i in range(n)))


def test_fetch_cutouts__keeps_a_second_process_out(server: CutoutServer, tmp_path: Path) -> None:
    fetch_cutouts(first_galaxies(1), quick(server), tmp_path)
    with (tmp_path / ".lock").open("a+") as held:
        # A lock belongs to an open file, so this is as good as another process.
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match=f"being filled by process {os.getpid()} on"):
            fetch_cutouts(first_galaxies(1), quick(server), tmp_path)
    assert fetch_cutouts(first_galaxies(1), quick(server), tmp_path).n_resumed == 1


def test_fetch_cutouts__says_that_a_file_system_has_no_locks(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(StorageError, match=r"cannot be locked \(No locks available\)"):
        fetch_cutouts(first_galaxies(1), quick(server), tmp_path)


@pytest.mark.parametrize("place", ["a::b", "a~b/~", "~/images"])
def test_fetch_cutouts__goes_on_in_a_folder_of_any_name(
    place: str, server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    fetch_cutouts(first_galaxies(2), quick(server), place)
    assert fetch_cutouts(first_galaxies(3), quick(server), place).n_resumed == 2
    folder = tmp_path / place.replace("~/i", "home/i")
    assert len(list((folder / "images").iterdir())) == 3


def test_fetch_cutouts__tells_ids_apart_that_differ_in_capitals_only(
    server: CutoutServer, tmp_path: Path
) -> None:
    """Some file systems would take their images for one file."""
    ids = ["J1a", "J1A", "j1a", "J1b"]
    asked = pd.DataFrame({"id_str": ids, "ra_deg": 10.0, "dec_deg": -1.5})
    first = fetch_cutouts(asked, quick(server), tmp_path)
    names = pd.read_csv(first.manifest)["image_uri"]
    assert names.str.lower().nunique() == 4
    assert names[0] == "images/J1a.jpg"
    moved = asked.assign(ra_deg=[10.0, 11.0, 10.0, 10.0])[::-1]
    again = fetch_cutouts(moved, quick(server), tmp_path)
    assert (again.n_resumed, again.n_fetched) == (3, 1)
    assert pd.read_csv(again.manifest)["image_uri"].tolist() == names.tolist()[::-1]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="images")
    yield "s3://images"
    moto.stop()


def test_fetch_cutouts__goes_on_in_an_object_store(server: CutoutServer, bucket: str) -> None:
    first = fetch_cutouts(first_galaxies(3), quick(server), f"{bucket}/survey/")
    assert first.manifest == f"{bucket}/survey/manifest.csv"
    server.behave("g3", fails(401))
    with pytest.raises(ValueError, match="refuses access"):
        fetch_cutouts(first_galaxies(4), quick(server), f"{bucket}/survey")
    server.behaviours.clear()
    second = fetch_cutouts(first_galaxies(5), quick(server), f"{bucket}/survey")
    assert (second.n_resumed, second.n_fetched) == (3, 2)
    held = boto3.client("s3").list_objects_v2(Bucket="images")["Contents"]
    names = {item["Key"].removeprefix("survey/") for item in held}
    images = {f"images/g{i}.jpg" for i in range(5)}
    assert names == images | {"manifest.csv", "rejects.csv", "record.jsonl"}
