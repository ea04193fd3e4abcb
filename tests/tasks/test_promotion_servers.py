"""Promotion with servers that are started here: many writers, locks, passwords."""

import json
import logging
import os
import subprocess
import sys
import threading
import traceback
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from galaxyloop.errors import RegistryError, StorageError
from galaxyloop.promotion import PromotionConfig
from schemas.model_version import ModelVersion
from tasks.registry import packaging, promote_model, register_model, roll_back_model
from tasks.registry.aliases import aliased, history
from tasks.registry.client import look_up, open_client
from tasks.registry.runs import DIGEST_TAG
from tests.tasks.conftest import Registry
from tests.tasks.fake_versions import evaluation, logged_run, scores

PROJECT = Path(__file__).resolve().parents[2]


def reach(registry: Registry, patch: pytest.MonkeyPatch, store: Path) -> MlflowClient:
    """Let this process, and those it starts, work with a registry."""
    patch.setenv("MLFLOW_TRACKING_URI", registry.address)
    patch.setenv("GALAXYLOOP_LOCK_URI", registry.lock_uri)
    patch.setenv("GALAXYLOOP_STORE", str(store))
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return open_client()


def packaged_run(client: MlflowClient, seed: int) -> str:
    """A run that another name's version has been made of: its folder is written already."""
    run_id = logged_run(client, seed)
    if not client.search_registered_models("name = 'elsewhere'"):
        client.create_registered_model("elsewhere")
    source = f"{client.get_run(run_id).info.artifact_uri}/{packaging.IMAGES}"
    client.create_model_version("elsewhere", source, run_id)
    return run_id


def promote_at_once(client: MlflowClient, name: str, n_processes: int) -> list[dict[str, str]]:
    """As many processes as that, two of them with the same run; the history they leave."""
    runs = [packaged_run(client, seed) for seed in range(n_processes - 1)]
    offers = [(run, 0.2 * number) for number, run in enumerate(runs)]
    offers.append(offers[0])
    command = [sys.executable, "-m", "tests.tasks.promote_together", name, json.dumps(offers)]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=300, env=os.environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    best = runs[-1]
    versions = client.search_model_versions(f"name = '{name}'")
    digests = [version.tags[DIGEST_TAG] for version in versions]
    assert sorted(digests) == [f"{seed:064d}" for seed in range(n_processes - 1)]
    assert sorted(int(version.version) for version in versions) == list(range(1, n_processes))
    champion = aliased(client, name, "champion")
    assert client.get_model_version(name, str(champion)).run_id == best
    changes = history(client, name)
    assert changes[-1]["version"] == champion
    assert [one["replaced"] for one in changes] == ["", *(one["version"] for one in changes[:-1])]
    previous = changes[-1]["replaced"] or None
    assert aliased(client, name, "previous") == previous
    for version in versions:
        is_decided = version.tags["galaxyloop.promotion"] in {"promoted", "stays"}
        assert is_decided
        assert client.list_artifacts(version.run_id, "promotion")
    return changes


@pytest.mark.slow
def test_promotion__of_eight_processes_at_once_on_postgresql(
    server_on_postgres: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = reach(server_on_postgres, monkeypatch, tmp_path)
    changes = promote_at_once(client, "eight", 8)
    if changes[-1]["replaced"]:
        roll_back_model(name="eight", reason="to see the way back")
        assert aliased(client, "eight", "champion") == changes[-1]["replaced"]
        assert len(history(client, "eight")) == len(changes) + 1


@pytest.mark.slow
def test_promotion__of_three_processes_at_once_on_a_server_with_sqlite(
    server_on_sqlite: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = reach(server_on_sqlite, monkeypatch, tmp_path)
    promote_at_once(client, "three", 3)


@pytest.mark.slow
def test_promotion__of_three_processes_at_once_on_an_embedded_registry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    embedded = Registry(f"sqlite:///{tmp_path}/mlflow.db", "")
    promote_at_once(reach(embedded, monkeypatch, tmp_path), "three", 3)


@pytest.mark.slow
def test_promotion__leaves_passwords_nowhere(
    server_on_postgres: Registry,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    address = server_on_postgres.address.replace("//", "//maria:tracking-secret@")
    client = reach(Registry(address, server_on_postgres.lock_uri), monkeypatch, tmp_path / "store")
    password = str(urlsplit(server_on_postgres.lock_uri).password)
    secrets = ("tracking-secret", password, unquote(password))
    run_id = packaged_run(client, 100)
    model = register_model(run_id=run_id, name="secret", alias="challenger")
    told = promote_model(
        model=model,
        evaluation=evaluation(scores(0.0)),
        champion_evaluations=[],
        champion="",
        obstacle="",
        config=PromotionConfig(n_bootstrap=100),
    )
    with pytest.raises(RegistryError, match="there is no model 'nobody@secret'") as raised:
        look_up(client, "nobody@secret")
    kept = [path.read_text() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    file = f"runs:/{run_id}/promotion/secret-version-1-against-nobody.json"
    kept.append(Path(download_artifacts(file, dst_path=str(tmp_path))).read_text())
    entry = client.get_model_version("secret", model.version)
    said = (told, model, entry.tags, client.get_registered_model("secret").tags)
    errors = "".join(traceback.format_exception(raised.value))
    everything = "\n".join([*kept, *map(str, said), str(entry.source), errors, caplog.text])
    assert "promot" in everything
    assert not [secret for secret in secrets if secret in everything]
    # What is down is told without them too.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://maria:tracking-secret@127.0.0.1:9")
    with pytest.raises(StorageError, match="does not answer") as raised_away:
        open_client()
    assert "secret" not in "".join(traceback.format_exception(raised_away.value))


@pytest.mark.slow
def test_promotion__goes_on_where_a_server_stumbles(
    server_on_sqlite: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    with stumbling(server_on_sqlite.address) as (address, counts):
        run_id = packaged_run(reach(server_on_sqlite, monkeypatch, tmp_path), 200)
        client = reach(Registry(address, server_on_sqlite.lock_uri), monkeypatch, tmp_path)
        versions = {
            register_model(run_id=run_id, name="stumbling", alias="challenger").version
            for _ in range(2)
        }
        promote_model(
            model=ModelVersion("stumbling", "1", "", run_id, ""),
            evaluation=evaluation(scores(0.0)),
            champion_evaluations=[],
            champion="",
            obstacle="",
            config=PromotionConfig(n_bootstrap=100),
        )
        assert versions == {"1"}
        assert aliased(client, "stumbling", "champion") == "1"
        assert [one["version"] for one in history(client, "stumbling")] == ["1"]
    assert counts["refused"] > 5
    assert counts["lost"] > 5


@contextmanager
def stumbling(target: str) -> Iterator[tuple[str, Counter[str]]]:
    """A way to a server on which each request is refused once, and each answer lost once."""
    counts: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = f"{self.command} {self.path} {body!r}"
            seen[key] += 1
            if seen[key] == 1:
                counts["refused"] += 1
                self.reply(503, b"")
                return
            asked = urllib.request.Request(f"{target}{self.path}", body or None)
            asked.method = self.command
            asked.add_header("Content-Type", self.headers.get("Content-Type", "text/plain"))
            try:
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    status, content = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, content = error.code, error.read()
            if seen[key] == 2:
                counts["lost"] += 1
                status, content = 504, b""
            self.reply(status, content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", counts
    server.shutdown()
    server.server_close()
