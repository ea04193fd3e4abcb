"""What a second run asks for after a first that ended, well or badly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.cli import main
from galaxyloop.cutout_services import CutoutServiceConfig, fetch_cutouts
from galaxyloop.errors import ConfigError, StorageError
from tests.library.cutout_server import CutoutServer, fails, galaxy_image, running_server, sends


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutoutServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running_server() as server:
        yield server


def quick(server: CutoutServer, **settings: object) -> CutoutServiceConfig:
    fast = {"size_px": 64, "requests_per_s": 500, "wait_s": 0.01, "n_attempts": 1}
    template = {"url_template": server.url_template, "max_reject_rate": 1.0}
    return CutoutServiceConfig.from_dict(template | fast | settings)


def galaxies(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"id_str": [f"g{i}" for i in range(n)], "ra_deg": [10.0] * n, "dec_deg": [-1.5] * n}
    )


def test_fetch_cutouts__asks_for_nothing_that_is_there(
    server: CutoutServer, tmp_path: Path
) -> None:
    first = fetch_cutouts(galaxies(5), quick(server), tmp_path)
    assert (first.n_fetched, first.n_resumed) == (5, 0)
    manifest = Path(first.manifest).read_bytes()
    second = fetch_cutouts(galaxies(8), quick(server), tmp_path)
    assert (second.n_fetched, second.n_resumed, second.n_requests) == (3, 5, 3)
    assert len(server.asked) == len(set(server.asked)) == 8
    third = fetch_cutouts(galaxies(5), quick(server, requests_per_s=0.001), tmp_path)
    assert (third.n_requests, third.n_bytes) == (0, 0)
    assert Path(third.manifest).read_bytes() == manifest


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_fetch_cutouts__asks_only_for_the_rest_after_a_kill(
    how: signal.Signals, server: CutoutServer, tmp_path: Path
) -> None:
    table, config = tmp_path / "galaxies.csv", tmp_path / "service.yaml"
    galaxies(12).to_csv(table, index=False)
    config.write_text(f"url_template: '{server.url_template}'\nsize_px: 64\nrequests_per_s: 20\n")
    arguments = ["fetch", str(table), str(tmp_path / "out"), "--config", str(config)]
    program = "import sys; from galaxyloop.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE)
    until(lambda: len(server.asked) >= 6 or process.poll() is not None)
    process.send_signal(how)
    _, told = process.communicate(timeout=20)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert b"Traceback" not in told
    n_asked = len(server.asked)
    assert 6 <= n_asked < 12
    assert main(arguments) == 0
    assert set(server.asked) == set(galaxies(12)["id_str"])
    # What was under way when the process ended is asked for again, nothing else.
    assert len(server.asked) <= 12 + 1
    assert len(pd.read_csv(tmp_path / "out" / "manifest.csv")) == 12


def until(is_so: object, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C as Python has it; flytekit, once imported, has another way."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interrupts")
def test_fetch_cutouts__gives_up_what_is_under_way_when_interrupted(
    server: CutoutServer, tmp_path: Path
) -> None:
    def interrupt(handler: BaseHTTPRequestHandler) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        handler.is_closing.wait(5)  # type: ignore[attr-defined]

    server.behave("g3", interrupt, galaxy_image)
    with pytest.raises(KeyboardInterrupt):
        fetch_cutouts(galaxies(6), quick(server), tmp_path)
    summary = fetch_cutouts(galaxies(6), quick(server), tmp_path)
    assert (summary.n_resumed, summary.n_fetched) == (3, 3)
    assert server.counts == {"g0": 1, "g1": 1, "g2": 1, "g3": 2, "g4": 1, "g5": 1}


def test_fetch_cutouts__heals_a_line_that_was_cut_short(
    server: CutoutServer, tmp_path: Path
) -> None:
    fetch_cutouts(galaxies(3), quick(server), tmp_path)
    record = tmp_path / "record.jsonl"
    record.write_bytes(record.read_bytes()[:-20])
    for n_requests in (1, 0):
        assert fetch_cutouts(galaxies(3), quick(server), tmp_path).n_requests == n_requests
    assert record.read_text().count("\n") == 4


def test_fetch_cutouts__refuses_a_damaged_record(server: CutoutServer, tmp_path: Path) -> None:
    fetch_cutouts(galaxies(3), quick(server), tmp_path)
    record = tmp_path / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    for number, lost in ((3, "nonsense"), (3, '{"id_str": "g1"}'), (1, '{"request": 5}')):
        damaged = [*lines]
        damaged[number - 1] = f"{lost}\n"
        record.write_text("".join(damaged))
        with pytest.raises(StorageError, match=f"damaged in line {number}: '{lost[:9]}"):
            fetch_cutouts(galaxies(3), quick(server), tmp_path)


def test_fetch_cutouts__asks_again_for_images_that_are_lost_or_cut(
    server: CutoutServer, tmp_path: Path
) -> None:
    fetch_cutouts(galaxies(4), quick(server), tmp_path)
    (tmp_path / "images" / "g1.jpg").unlink()
    cut = tmp_path / "images" / "g2.jpg"
    cut.write_bytes(cut.read_bytes()[:-1])
    changed = tmp_path / "images" / "g3.jpg"
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x00")
    server.asked.clear()
    fetch_cutouts(galaxies(4), quick(server), tmp_path)
    assert server.asked == ["g1", "g2"], "a change of the same size costs reading all to be seen"
    server.asked.clear()
    fetch_cutouts(galaxies(4), quick(server, verify_digests=True), tmp_path)
    assert server.asked == ["g3"]


def test_fetch_cutouts__asks_again_for_a_galaxy_that_moved(
    server: CutoutServer, tmp_path: Path
) -> None:
    fetch_cutouts(galaxies(3), quick(server), tmp_path)
    moved = galaxies(3)
    moved.loc[1, "ra_deg"] = 11.0
    server.asked.clear()
    assert fetch_cutouts(moved, quick(server), tmp_path).n_resumed == 2
    assert server.asked == ["g1"]


def test_fetch_cutouts__asks_refused_galaxies_again_only_if_told(
    server: CutoutServer, tmp_path: Path
) -> None:
    server.behave("g1", fails(404))
    fetch_cutouts(galaxies(3), quick(server), tmp_path)
    server.behaviours.clear()
    again = fetch_cutouts(galaxies(3), quick(server), tmp_path)
    assert (again.n_requests, again.n_rejected) == (0, 1)
    told = fetch_cutouts(galaxies(3), quick(server, retry_rejected=True), tmp_path)
    assert (told.n_requests, told.n_rejected, told.n_fetched) == (1, 0, 1)


def test_fetch_cutouts__asks_again_what_other_checks_refused(
    server: CutoutServer, tmp_path: Path
) -> None:
    """Only the answers that were checked: what is absent stays so whatever the settings."""
    server.behave("g0", fails(404))
    narrow = quick(server, max_image_bytes=100)
    assert fetch_cutouts(galaxies(3), narrow, tmp_path).n_rejected == 3
    assert fetch_cutouts(galaxies(3), narrow, tmp_path).n_requests == 0
    server.asked.clear()
    summary = fetch_cutouts(galaxies(3), quick(server), tmp_path)
    assert server.asked == ["g1", "g2"]
    assert (summary.n_fetched, summary.n_rejected) == (2, 1)
    assert fetch_cutouts(galaxies(3), narrow, tmp_path).n_resumed == 2


def test_fetch_cutouts__asks_again_after_a_wrong_colour(
    server: CutoutServer, tmp_path: Path
) -> None:
    cube = np.random.default_rng(1).normal(1, 0.1, (3, 64, 64)).astype(np.float32)
    file = BytesIO()
    fits = pytest.importorskip("astropy.io.fits")
    fits.PrimaryHDU(cube, fits.Header({"BANDS": "grz"})).writeto(file)
    for i in range(5):
        server.behave(f"g{i}", sends(file.getvalue(), "image/fits"))
    wrong = quick(server, colour={"bands": ["i"]}, max_same_rejects=3)
    with pytest.raises(ConfigError, match=r"no band 'i'.* colour"):
        fetch_cutouts(galaxies(5), wrong, tmp_path)
    right = quick(server, colour={"bands": ["g", "r", "z"]})
    assert fetch_cutouts(galaxies(5), right, tmp_path).n_fetched == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size_px": 65}, "size_px was 64 and is 65"),
        ({"pixel_scale_arcsec": 0.3}, "pixel_scale_arcsec was None and is 0.3"),
        ({"layer": "dr9"}, "layer was '' and is 'dr9'"),
    ],
)
def test_fetch_cutouts__refuses_to_mix_requests(
    change: dict[str, object], message: str, server: CutoutServer, tmp_path: Path
) -> None:
    fetch_cutouts(galaxies(2), quick(server), tmp_path)
    with pytest.raises(ConfigError, match=message):
        fetch_cutouts(galaxies(2), quick(server, **change), tmp_path)
    gentler = quick(server, requests_per_s=1.0, n_attempts=9, contact="someone")
    assert fetch_cutouts(galaxies(2), gentler, tmp_path).n_resumed == 2
