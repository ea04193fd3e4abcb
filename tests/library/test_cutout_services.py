"""What comes of every kind of answer; the service runs on this machine."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.cutout_services import FetchSummary, fetch_cutouts
from galaxyloop.errors import ManifestError, TooManyRejectsError
from galaxyloop.surveys import IngestConfig, read_manifest
from tests.library.cutout_server import (
    Behaviour,
    CutoutServer,
    black_image,
    fails,
    galaxies,
    hangs_up,
    quick_config,
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
    summary = fetch_cutouts(asked, quick_config(server), tmp_path / "new" / "folder")
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
    summary = fetch_cutouts(galaxies("good", *answers), quick_config(server), tmp_path)
    reasons = pd.read_csv(summary.rejects).set_index("id_str")["reason"]
    for name, (_, reason) in answers.items():
        assert reason in reasons[name], name
        assert server.counts[name] == (1 if name in ONCE else 2), name
    assert (summary.n_fetched, summary.n_rejected, summary.n_failed) == (1, 6, 12)
    assert summary.n_requests == len(server.asked)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["good.jpg"]

    server.asked.clear()
    server.behaviours.clear()
    later = fetch_cutouts(galaxies("good", *answers), quick_config(server), tmp_path)
    assert set(server.asked) == set(PASSING)
    assert (later.n_resumed, later.n_fetched, later.n_rejected, later.n_failed) == (1, 12, 6, 0)


def test_fetch_cutouts__checks_fits_as_it_checks_jpeg(server: CutoutServer, tmp_path: Path) -> None:
    sound = fits_bytes(sky(1, SIDE))
    server.behave("sound", sends(sound, "image/fits"))
    server.behave("empty", sends(fits_bytes(np.zeros((3, SIDE, SIDE))), "image/fits"))
    server.behave("short", sends(sound[:-3000], "image/fits"))
    server.behave("clamped", sends(fits_bytes(sky(2, 48)), "image/fits"))
    ids = ("sound", "empty", "short", "clamped")
    summary = fetch_cutouts(galaxies(*ids), quick_config(server), tmp_path)
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
    summary = fetch_cutouts(galaxies("moved", "circle"), quick_config(server), tmp_path)
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
        summary = fetch_cutouts(asked, quick_config(server), tmp_path)
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
        fetch_cutouts(galaxies("a", "b", "c"), quick_config(server, max_reject_rate=0.3), tmp_path)
    assert caught.value.reasons == {"the service answers HTTP 404": 1}
    assert pd.read_csv(tmp_path / "manifest.csv")["id_str"].tolist() == ["a", "c"]


def test_fetch_cutouts__says_that_nobody_answers(tmp_path: Path) -> None:
    with running_server() as gone:
        pass
    summary = fetch_cutouts(galaxies("a"), quick_config(gone), tmp_path)
    assert summary.n_failed == 1
    assert "ClientConnectorError: Connect call failed" in Path(summary.rejects).read_text()


def test_fetch_cutouts__names_the_missing_columns(server: CutoutServer, tmp_path: Path) -> None:
    asked = galaxies("a").rename(columns={"dec_deg": "declination"})
    with pytest.raises(ManifestError, match="lack the columns dec_deg; they have: id_str, ra_deg"):
        fetch_cutouts(asked, quick_config(server), tmp_path)


def test_fetch_cutouts__takes_no_galaxies_at_all(server: CutoutServer, tmp_path: Path) -> None:
    summary = fetch_cutouts(galaxies(), quick_config(server, max_reject_rate=0.0), tmp_path)
    assert summary.n_galaxies == summary.n_requests == 0
    assert pd.read_csv(summary.manifest).empty
