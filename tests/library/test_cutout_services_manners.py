"""How gently a service is asked, who is said to ask, and when asking ends."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from galaxyloop.cutout_services import fetch_cutouts
from galaxyloop.cutout_services.addresses import plan_requests
from galaxyloop.cutout_services.client import ask_all
from galaxyloop.errors import ConfigError, CutoutServiceError, StorageError
from tests.library.cutout_server import (
    CutoutServer,
    fails,
    galaxies,
    galaxy_image,
    hangs_up,
    quick_config,
    redirects,
    running_server,
    sends,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutoutServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running_server() as server:
        yield server


def test_fetch_cutouts__leaves_a_service_alone_that_fails_on_and_on(
    server: CutoutServer, tmp_path: Path
) -> None:
    ids = [f"g{i}" for i in range(9)]
    for id_str in ids[2:]:
        server.behave(id_str, fails(502))
    config = quick_config(server, max_failures_in_a_row=3, n_attempts=1)
    with pytest.raises(StorageError, match=r"last 3 galaxies all failed.* HTTP 502"):
        fetch_cutouts(galaxies(*ids), config, tmp_path)
    assert server.asked[:5] == ids[:5]
    assert len(server.asked) <= 6
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_fetch_cutouts__asks_galaxies_that_failed_after_those_never_asked(
    server: CutoutServer, tmp_path: Path
) -> None:
    """As where a service answers a page for each galaxy outside its survey."""
    ids = [f"g{i}" for i in range(8)]
    for id_str in ids[:6]:
        server.behave(id_str, sends(b"<html>no such place", "text/html"))
    config = quick_config(server, max_failures_in_a_row=3)
    asked = []
    for _ in range(3):
        server.asked.clear()
        with pytest.raises(StorageError, match="last 3 galaxies all failed"):
            fetch_cutouts(galaxies(*ids), config, tmp_path)
        asked.append(server.asked[:3])
    assert asked[:2] == [ids[:3], ids[3:6]]
    assert asked[2][:2] == ids[6:]
    server.behaviours.clear()
    assert fetch_cutouts(galaxies(*ids), config, tmp_path).n_fetched == 6


def test_fetch_cutouts__stops_when_all_are_refused_alike(
    server: CutoutServer, tmp_path: Path
) -> None:
    ids = [f"g{i}" for i in range(9)]
    for id_str in ids[:8]:
        server.behave(id_str, fails(404))
    config = quick_config(server, max_same_rejects=3)
    for n_asked in (3, 6):
        with pytest.raises(ConfigError, match=r"no image came, and 3 galaxies .* HTTP 404"):
            fetch_cutouts(galaxies(*ids), config, tmp_path)
        assert n_asked <= len(set(server.asked)) <= n_asked + 1
    summary = fetch_cutouts(galaxies(*ids), config, tmp_path)
    assert (summary.n_fetched, summary.n_rejected) == (1, 8), "rejects are on record"
    for id_str in "abcd":
        server.behave(id_str, fails(404))
    later = fetch_cutouts(galaxies(*ids, *"abcd"), config, tmp_path)
    assert later.n_rejected == 12, "after an image the settings are not to blame"


@pytest.mark.parametrize("n_connections", [1, 3])
def test_fetch_cutouts__keeps_to_the_rate(
    n_connections: int, server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("g0", fails(500))
    config = quick_config(server, requests_per_s=20, n_connections=n_connections, timeout_s=5)
    began_s = time.monotonic()
    summary = fetch_cutouts(galaxies(*(f"g{i}" for i in range(7))), config, tmp_path)
    assert summary.n_requests == len(server.asked) == 8
    assert time.monotonic() - began_s >= 7 / 20
    assert server.times_s[-1] - server.times_s[0] >= 7 / 20 - 0.02


def test_fetch_cutouts__waits_on_all_connections_as_long_as_asked(
    server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("a", fails(429, Retry_After="1"), galaxy_image)
    config = quick_config(server, n_connections=2, requests_per_s=10, timeout_s=5)
    assert fetch_cutouts(galaxies("a", "b", "c"), config, tmp_path).n_fetched == 3
    assert all(moment - server.times_s[0] >= 0.99 for moment in server.times_s[1:])


@pytest.mark.parametrize("is_date", [False, True])
def test_fetch_cutouts__ends_rather_than_wait_for_hours(
    is_date: bool, server: CutoutServer, tmp_path: Path
) -> None:
    wait = formatdate(time.time() + 3600, usegmt=True) if is_date else "3600"
    server.behave("b", fails(503, Retry_After=wait))
    with pytest.raises(StorageError, match=r"pause of 3[56]\d\d s, longer than max_wait_s=300"):
        fetch_cutouts(galaxies("a", "b", "c"), quick_config(server), tmp_path)
    assert server.asked == ["a", "b"]


@pytest.mark.parametrize("n_digits", [400, 5000])
def test_fetch_cutouts__ends_rather_than_wait_for_ever(
    n_digits: int, server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("a", fails(503, Retry_After="9" * n_digits))
    with pytest.raises(StorageError, match="pause of inf s, longer than max_wait_s=300"):
        fetch_cutouts(galaxies("a"), quick_config(server), tmp_path)


@pytest.mark.parametrize("wait", ["soon", "Mon, 01 Jan 2029 00:00:00 +99999999999999"])
def test_fetch_cutouts__takes_no_notice_of_a_wait_without_meaning(
    wait: str, server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("a", fails(503, Retry_After=wait), galaxy_image)
    assert fetch_cutouts(galaxies("a"), quick_config(server), tmp_path).n_fetched == 1


def test_ask_all__gives_what_came_before_it_raises(server: CutoutServer) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.2)
        fails(401)(handler)

    ids = [f"g{i}" for i in range(6)]
    server.behave("g1", refuse)
    config = quick_config(server, n_connections=len(ids), timeout_s=5, requests_per_s=1000)
    requests, _ = plan_requests(galaxies(*ids), config)
    came = []

    def take_all() -> None:
        for request, _ in ask_all(requests, config):
            came.append(request.id_str)
            time.sleep(1.0)

    with pytest.raises(CutoutServiceError, match="HTTP 401"):
        take_all()
    assert sorted(came) == ["g0", *ids[2:]]


def test_fetch_cutouts__doubles_its_waits(server: CutoutServer, tmp_path: Path) -> None:
    server.behave("a", fails(500), fails(500), fails(500), galaxy_image)
    fetch_cutouts(galaxies("a"), quick_config(server, wait_s=0.1, n_attempts=4), tmp_path)
    waits = np.diff(server.times_s)
    assert len(waits) == 3
    assert (waits >= [0.1, 0.2, 0.4]).all()
    assert waits.sum() < 0.7 + 0.5


def test_fetch_cutouts__sends_the_login_and_keeps_it_secret(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_USER", "someone")
    monkeypatch.setenv("TEST_PASSWORD", "hunter2")
    server.behave("b", redirects(server.address.replace("127.0.0.1", "localhost") + "/cutout?id=c"))
    server.behave("c", fails(500))
    fetch_cutouts(galaxies("a", "b"), quick_config(server, login="TEST"), tmp_path)
    sent = dict(zip(server.asked, server.headers, strict=True))
    assert sent["a"]["Authorization"] == sent["b"]["Authorization"]
    assert sent["a"]["Authorization"].startswith("Basic ")
    assert "Authorization" not in sent["c"], "another server must not see the login"
    assert not_in_any_file(tmp_path, "hunter2", sent["a"]["Authorization"].split()[1])


def test_fetch_cutouts__sends_the_token_and_keeps_it_secret(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TOKEN", "s3cr&t")
    config = quick_config(server, login="TEST", url_template=server.url_template + "&token={token}")
    server.behave("b", hangs_up)
    server.behave("c", fails(500))
    server.behave("d", fails(404))
    fetch_cutouts(galaxies("a", "b", "c", "d"), config, tmp_path)
    assert server.paths[0].endswith("&token=s3cr%26t")
    assert not_in_any_file(tmp_path, "s3cr&t", "s3cr%26t")


def not_in_any_file(folder: Path, *secrets: str) -> bool:
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert len(contents) >= 4
    return not any(secret.encode() in content for content in contents for secret in secrets)


def test_fetch_cutouts__names_the_variable_of_a_missing_login(
    server: CutoutServer, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="NOBODY_USER and NOBODY_PASSWORD"):
        fetch_cutouts(galaxies("a"), quick_config(server, login="NOBODY"), tmp_path)
    assert server.asked == []


def test_fetch_cutouts__refuses_two_logins(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("TEST_USER", "someone")
    monkeypatch.setenv("TEST_PASSWORD", "hunter2")
    with pytest.raises(ConfigError, match=r"login is set twice, .* \.netrc"):
        fetch_cutouts(galaxies("a"), quick_config(server, login="TEST"), tmp_path / "out")


def test_fetch_cutouts__tells_an_address_that_cannot_be_from_two_logins(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("TEST_USER", "someone")
    monkeypatch.setenv("TEST_PASSWORD", "hunter2")
    # No label of a host has more than 63 letters.
    server.behave("a", redirects(f"http://{'a' * 70}.example/"))
    summary = fetch_cutouts(galaxies("a", "b"), quick_config(server, login="TEST"), tmp_path)
    assert (summary.n_failed, summary.n_fetched) == (1, 1)
    assert "a,image_uri,UnicodeError,no answer" in Path(summary.rejects).read_text()


@pytest.mark.parametrize("login", ["", "TEST"])
def test_fetch_cutouts__does_not_repeat_a_login_that_is_refused(
    login: str, server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_USER", "someone")
    monkeypatch.setenv("TEST_PASSWORD", "hunter2")
    server.behave("a", fails(401))
    with pytest.raises(CutoutServiceError, match=r"refuses access \(HTTP 401\)"):
        fetch_cutouts(galaxies("a", "b", "c"), quick_config(server, login=login), tmp_path)
    assert server.asked == ["a"]


def test_fetch_cutouts__goes_through_the_proxy_of_the_environment(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", server.address)
    template = server.url_template.replace(server.address, "http://cutouts.example")
    assert fetch_cutouts(
        galaxies("a"), quick_config(server, url_template=template), tmp_path
    ).n_fetched
    assert server.paths[0].startswith("http://cutouts.example/cutout?")


def test_fetch_cutouts__tells_the_service_who_asks(server: CutoutServer, tmp_path: Path) -> None:
    fetch_cutouts(galaxies("a"), quick_config(server, contact="someone@example.org"), tmp_path)
    assert server.headers[0]["User-Agent"].startswith("galaxyloop/")
    assert "someone@example.org" in server.headers[0]["User-Agent"]
