"""What comes of every kind of answer; the service runs on this machine."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.cutout_services import CutoutServiceConfig, FetchSummary, fetch_cutouts
from galaxyloop.errors import (
    ConfigError,
    CutoutServiceError,
    ManifestError,
    StorageError,
    TooManyRejectsError,
)
from galaxyloop.surveys import IngestConfig, read_manifest
from tests.library.cutout_server import (
    Behaviour,
    CutoutServer,
    black_image,
    fails,
    galaxy_image,
    hangs_up,
    redirects,
    running_server,
    sends,
    sends_without_end,
    trickles,
    trickles_headers,
)
from tests.library.image_files import galaxy_pixels, jpeg_bytes, png_bytes

SIDE = 64


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutoutServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running_server() as server:
        yield server


def quick(server: CutoutServer, **settings: object) -> CutoutServiceConfig:
    """A config that loses no time; every galaxy may fail."""
    return CutoutServiceConfig.from_dict(
        {
            "url_template": server.url_template,
            "size_px": SIDE,
            "requests_per_s": 200,
            "wait_s": 0.01,
            "timeout_s": 0.4,
            "n_attempts": 2,
            "max_image_bytes": 300_000,
            "max_reject_rate": 1.0,
        }
        | settings
    )


def galaxies(*ids: str) -> pd.DataFrame:
    positions = np.arange(len(ids), dtype=float)
    return pd.DataFrame({"id_str": ids, "ra_deg": positions, "dec_deg": -positions})


def fits_bytes(planes: np.ndarray) -> bytes:
    fits = pytest.importorskip("astropy.io.fits")
    file = BytesIO()
    fits.PrimaryHDU(planes.astype(np.float32)).writeto(file)
    return file.getvalue()


def sky(seed: int, side: int) -> np.ndarray:
    """Three bands of noise around a source."""
    y, x = np.mgrid[:side, :side] - side / 2
    noise = np.random.default_rng(seed).normal(0, 0.01, (3, side, side))
    return np.asarray(noise + np.exp(-(x**2 + y**2) / 50))


def test_fetch_cutouts__writes_images_that_a_manifest_names(
    server: CutoutServer, tmp_path: Path
) -> None:
    ids = ["a", "../b/c d", ".hidden", "é+&?#{x}%", "x" * 300]
    asked = galaxies(*ids).assign(survey="deep", group_id="g")
    summary = fetch_cutouts(asked, quick(server), tmp_path / "new" / "folder")
    assert summary.n_fetched == len(ids)
    assert server.asked == ids
    manifest = read_manifest(summary.manifest, IngestConfig()).galaxies
    assert manifest["id_str"].tolist() == ids
    assert manifest["ra_deg"].tolist() == asked["ra_deg"].tolist()
    assert set(manifest["survey"]) == {"deep"}
    assert set(manifest["group_id"]) == {"g"}
    folder = (tmp_path / "new" / "folder" / "images").resolve()
    for place in manifest["image_uri"]:
        assert Path(place).resolve().parent == folder
        assert Path(place).read_bytes().startswith(b"\xff\xd8")
    assert manifest["image_uri"].nunique() == len(ids)


GOOD = jpeg_bytes(galaxy_pixels(1, SIDE, SIDE))
LASTING: dict[str, tuple[Behaviour, str]] = {
    "absent": (fails(404), "the service answers HTTP 404"),
    "black": (sends(black_image(SIDE)), "blank"),
    "clamped": (sends(jpeg_bytes(galaxy_pixels(1, 48, 48))), "not of size_px=64 as asked"),
    "not square": (sends(jpeg_bytes(galaxy_pixels(1, 64, 48))), "not of size_px=64 as asked"),
    "endless": (sends_without_end, "more than max_image_bytes=300000 bytes"),
    "text": (sends(b"no such galaxy", "text/plain"), "neither JPEG"),
}
PASSING: dict[str, tuple[Behaviour, str]] = {
    "ill": (fails(500), "the service answers HTTP 500"),
    "busy": (fails(503), "the service answers HTTP 503"),
    "forbidden": (fails(403), "the service answers HTTP 403"),
    "page": (sends(b"<!DOCTYPE html><p>maintenance", "text/html"), "an HTML page"),
    "json": (sends(b'{"error": "busy"}', "application/json"), "a JSON document"),
    "xml": (sends(b"<?xml version='1.0'?><Error/>", "image/jpeg"), "an XML document"),
    "nothing": (sends(b""), "an empty file"),
    "cut short": (sends(GOOD[: len(GOOD) // 2]), "a truncated JPEG"),
    "cut short png": (sends(png_bytes(galaxy_pixels(1, SIDE, SIDE))[:-9]), "a truncated PNG"),
    "hung up": (hangs_up, "no answer"),
    "trickle": (trickles, "no whole answer within timeout_s=0.4"),
    "slow headers": (trickles_headers, "no whole answer within timeout_s=0.4"),
}
ONCE = {*LASTING, "forbidden", "page", "json", "xml"}
"""Answers that asking again at once would not better."""


def test_fetch_cutouts__gives_a_reason_for_every_answer_that_is_no_image(
    server: CutoutServer, tmp_path: Path
) -> None:
    answers = LASTING | PASSING
    for name, (behaviour, _) in answers.items():
        server.behave(name, behaviour)
    summary = fetch_cutouts(galaxies("good", *answers), quick(server), tmp_path)
    reasons = pd.read_csv(summary.rejects).set_index("id_str")["reason"]
    for name, (_, reason) in answers.items():
        assert reason in reasons[name], name
        assert server.counts[name] == (1 if name in ONCE else 2), name
    assert (summary.n_fetched, summary.n_rejected, summary.n_failed) == (1, 6, 12)
    assert summary.n_requests == len(server.asked)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["good.jpg"]

    server.asked.clear()
    server.behaviours.clear()
    later = fetch_cutouts(galaxies("good", *answers), quick(server), tmp_path)
    assert set(server.asked) == set(PASSING)
    assert (later.n_resumed, later.n_fetched, later.n_rejected, later.n_failed) == (1, 12, 6, 0)


def test_fetch_cutouts__checks_fits_as_it_checks_jpeg(server: CutoutServer, tmp_path: Path) -> None:
    sound = fits_bytes(sky(1, SIDE))
    server.behave("sound", sends(sound, "image/fits"))
    server.behave("empty", sends(fits_bytes(np.zeros((3, SIDE, SIDE))), "image/fits"))
    server.behave("short", sends(sound[:-3000], "image/fits"))
    server.behave("clamped", sends(fits_bytes(sky(2, 48)), "image/fits"))
    ids = ("sound", "empty", "short", "clamped")
    summary = fetch_cutouts(galaxies(*ids), quick(server), tmp_path)
    assert (summary.n_fetched, summary.n_rejected, summary.n_failed) == (1, 2, 1)
    assert (tmp_path / "images" / "sound.fits").read_bytes() == sound
    reasons = pd.read_csv(summary.rejects).set_index("id_str")["reason"]
    assert "truncated" in reasons["short"]
    assert "not of size_px=64" in reasons["clamped"]


def test_fetch_cutouts__follows_a_redirect_but_not_for_ever(
    server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("moved", redirects("/cutout?id=there&size=64"))
    server.behave("circle", redirects("/cutout?id=circle&size=64"))
    summary = fetch_cutouts(galaxies("moved", "circle"), quick(server), tmp_path)
    assert (summary.n_fetched, summary.n_failed) == (1, 1)
    assert pd.read_csv(summary.manifest)["id_str"].tolist() == ["moved"]


def counts_add_up(summary: FetchSummary) -> bool:
    parts = summary.n_fetched, summary.n_resumed, summary.n_rejected, summary.n_failed
    return sum(parts) == summary.n_galaxies


def test_fetch_cutouts__counts_every_galaxy_once(server: CutoutServer, tmp_path: Path) -> None:
    asked = galaxies("a", "b", "b", "", "lost", "off", "far", "nan")
    asked.loc[asked["id_str"] == "far", "dec_deg"] = 91.0
    asked.loc[asked["id_str"] == "nan", "ra_deg"] = np.nan
    server.behave("lost", fails(404))
    server.behave("off", fails(500))
    for _ in range(2):
        summary = fetch_cutouts(asked, quick(server), tmp_path)
        assert counts_add_up(summary)
        assert (summary.n_rejected, summary.n_failed) == (5, 1)
    rejects = pd.read_csv(summary.rejects, keep_default_na=False)
    assert rejects[["id_str", "column", "reason"]].values.tolist()[:4] == [
        ["b", "id_str", "duplicate"],
        ["", "id_str", "empty"],
        ["far", "dec_deg", "not in [-90, 90]"],
        ["nan", "ra_deg", "not in [0, 360]"],
    ]
    assert set(server.asked) == {"a", "b", "lost", "off"}


def test_fetch_cutouts__stops_at_the_end_if_too_many_have_no_image(
    server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("b", fails(404))
    with pytest.raises(
        TooManyRejectsError, match=r"1 of 3 images .*max_reject_rate=0\.3"
    ) as caught:
        fetch_cutouts(galaxies("a", "b", "c"), quick(server, max_reject_rate=0.3), tmp_path)
    assert caught.value.reasons == {"the service answers HTTP 404": 1}
    assert pd.read_csv(tmp_path / "manifest.csv")["id_str"].tolist() == ["a", "c"]


def test_fetch_cutouts__leaves_a_service_alone_that_fails_on_and_on(
    server: CutoutServer, tmp_path: Path
) -> None:
    ids = [f"g{i}" for i in range(9)]
    for id_str in ids[2:]:
        server.behave(id_str, fails(502))
    config = quick(server, max_failures_in_a_row=3, n_attempts=1)
    with pytest.raises(StorageError, match=r"last 3 galaxies all failed.* HTTP 502"):
        fetch_cutouts(galaxies(*ids), config, tmp_path)
    assert server.asked[:5] == ids[:5]
    assert len(server.asked) <= 6
    assert len(list((tmp_path / "images").iterdir())) == 2


@pytest.mark.parametrize("n_connections", [1, 3])
def test_fetch_cutouts__keeps_to_the_rate(
    n_connections: int, server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("g0", fails(500))
    config = quick(server, requests_per_s=20, n_connections=n_connections)
    began_s = time.monotonic()
    summary = fetch_cutouts(galaxies(*(f"g{i}" for i in range(7))), config, tmp_path)
    assert summary.n_requests == len(server.asked) == 8
    assert time.monotonic() - began_s >= 7 / 20
    assert server.times_s[-1] - server.times_s[0] >= 7 / 20 - 0.02


def test_fetch_cutouts__waits_on_all_connections_as_long_as_asked(
    server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("a", fails(429, Retry_After="1"), galaxy_image)
    config = quick(server, n_connections=2, requests_per_s=10, timeout_s=5)
    assert fetch_cutouts(galaxies("a", "b", "c"), config, tmp_path).n_fetched == 3
    assert all(moment - server.times_s[0] >= 0.99 for moment in server.times_s[1:])


@pytest.mark.parametrize("wait", ["3600", formatdate(time.time() + 3600, usegmt=True)])
def test_fetch_cutouts__ends_rather_than_wait_for_hours(
    wait: str, server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("b", fails(503, Retry_After=wait))
    with pytest.raises(StorageError, match=r"pause of 3[56]\d\d s, longer than max_wait_s=300"):
        fetch_cutouts(galaxies("a", "b", "c"), quick(server), tmp_path)
    assert server.asked == ["a", "b"]


def test_fetch_cutouts__doubles_its_waits(server: CutoutServer, tmp_path: Path) -> None:
    server.behave("a", fails(500), fails(500), fails(500), galaxy_image)
    fetch_cutouts(galaxies("a"), quick(server, wait_s=0.1, n_attempts=4), tmp_path)
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
    fetch_cutouts(galaxies("a", "b"), quick(server, login="TEST"), tmp_path)
    sent = dict(zip(server.asked, server.headers, strict=True))
    assert sent["a"]["Authorization"] == sent["b"]["Authorization"]
    assert sent["a"]["Authorization"].startswith("Basic ")
    assert "Authorization" not in sent["c"], "another server must not see the login"
    assert not_in_any_file(tmp_path, "hunter2", sent["a"]["Authorization"].split()[1])


def test_fetch_cutouts__sends_the_token_and_keeps_it_secret(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_TOKEN", "s3cr&t")
    config = quick(server, login="TEST", url_template=server.url_template + "&token={token}")
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
        fetch_cutouts(galaxies("a"), quick(server, login="NOBODY"), tmp_path)
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
        fetch_cutouts(galaxies("a"), quick(server, login="TEST"), tmp_path / "out")


def test_fetch_cutouts__does_not_repeat_a_login_that_is_refused(
    server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("a", fails(401))
    with pytest.raises(CutoutServiceError, match=r"refuses access \(HTTP 401\)"):
        fetch_cutouts(galaxies("a", "b", "c"), quick(server), tmp_path)
    assert server.asked == ["a"]


def test_fetch_cutouts__goes_through_the_proxy_of_the_environment(
    server: CutoutServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", server.address)
    template = server.url_template.replace(server.address, "http://cutouts.example")
    assert fetch_cutouts(galaxies("a"), quick(server, url_template=template), tmp_path).n_fetched
    assert server.paths[0].startswith("http://cutouts.example/cutout?")


def test_fetch_cutouts__tells_the_service_who_asks(server: CutoutServer, tmp_path: Path) -> None:
    fetch_cutouts(galaxies("a"), quick(server, contact="someone@example.org"), tmp_path)
    assert server.headers[0]["User-Agent"].startswith("galaxyloop/")
    assert "someone@example.org" in server.headers[0]["User-Agent"]


def test_fetch_cutouts__says_that_nobody_answers(tmp_path: Path) -> None:
    with running_server() as gone:
        pass
    summary = fetch_cutouts(galaxies("a"), quick(gone), tmp_path)
    assert summary.n_failed == 1
    assert "ClientConnectorError: Connect call failed" in Path(summary.rejects).read_text()


def test_fetch_cutouts__names_the_missing_columns(server: CutoutServer, tmp_path: Path) -> None:
    asked = galaxies("a").rename(columns={"dec_deg": "declination"})
    with pytest.raises(ManifestError, match="lack the columns dec_deg; they have: id_str, ra_deg"):
        fetch_cutouts(asked, quick(server), tmp_path)


def test_fetch_cutouts__takes_no_galaxies_at_all(server: CutoutServer, tmp_path: Path) -> None:
    summary = fetch_cutouts(galaxies(), quick(server, max_reject_rate=0.0), tmp_path)
    assert summary.n_galaxies == summary.n_requests == 0
    assert pd.read_csv(summary.manifest).empty
