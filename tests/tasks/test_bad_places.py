"""Registries and object stores that are away, or refuse: told in a line, and soon."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from flytekit import FlyteContextManager
from flytekit.core.data_persistence import FileAccessProvider
from flytekit.exceptions.user import FlyteRecoverableException

from galaxyloop.acquisition import AcquisitionConfig
from galaxyloop.errors import RefusedError, RegistryError, StorageError
from galaxyloop.splits import SplitConfig
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VoteSource
from schemas.artefacts import FetchError, SurveyVersionDirectory
from tasks.checks import check_round
from tasks.command_line import print_briefly
from tasks.registry.client import open_client

NOWHERE = "http://127.0.0.1:9"


@contextmanager
def answering(status: int, content: bytes) -> Iterator[str]:
    """A server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextmanager
def storage_at(endpoint: str, patch: pytest.MonkeyPatch, place: Path) -> Iterator[None]:
    """Let Flyte look for objects there."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        patch.setenv(f"FLYTE_AWS_{name}", "wrong")
    patch.setenv("FLYTE_AWS_ENDPOINT", endpoint)
    patch.setenv("AWS_MAX_ATTEMPTS", "1")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    access = FileAccessProvider(str(place), str(place / "raw"))
    context = FlyteContextManager.current_context().with_file_access(access)
    with FlyteContextManager.with_context(context):
        yield


def output_at(endpoint: str, patch: pytest.MonkeyPatch) -> None:
    """Let results be written to objects there."""
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "wrong")
    patch.setenv("AWS_MAX_ATTEMPTS", "1")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").clear_instance_cache()


@pytest.mark.timeout(60)
def test_open_client__tells_a_registry_that_is_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with pytest.raises(StorageError, match=f"the model registry {NOWHERE} does not answer"):
        open_client()
    assert not (tmp_path / "registries.txt").exists()
    # In a container the task is tried again.
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    with pytest.raises(FlyteRecoverableException, match="does not answer"):
        open_client()


@pytest.mark.timeout(60)
def test_open_client__tells_wrong_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path))
    with answering(403, b'{"error_code": "PERMISSION_DENIED", "message": "who is it?"}') as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.replace("//", "//me:secret@"))
        with pytest.raises(RegistryError, match="refuses: .*who is it.*credentials") as raised:
            open_client()
    assert "secret" not in str(raised.value)


@pytest.mark.timeout(60)
def test_download__tells_wrong_credentials_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusal = b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
    survey = SurveyVersionDirectory("s3://bucket/refused/abc", "abc")
    with (
        answering(403, refusal) as server,
        storage_at(server, monkeypatch, tmp_path),
        pytest.raises(RefusedError, match="refused/abc may not be read: .*credentials"),
    ):
        survey.download()


@pytest.mark.timeout(60)
def test_download__of_storage_that_is_away_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    survey = SurveyVersionDirectory("s3://bucket/away/abc", "abc")
    with (
        storage_at(NOWHERE, monkeypatch, tmp_path),
        pytest.raises(FetchError, match="away/abc could not be fetched: .*endpoint") as raised,
    ):
        survey.download()
    assert isinstance(raised.value, FlyteRecoverableException)
    assert isinstance(raised.value, StorageError)


def check_round_at(output: str) -> None:
    check_round(
        votes=[VoteSource("votes.csv", "gz2")],
        run=SupervisedRun(),
        split=SplitConfig(),
        n_folds=0,
        acquisition=AcquisitionConfig(),
        output=output,
    )


@pytest.mark.timeout(60)
def test_check_round__tells_an_output_that_refuses_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusal = b"<Error><Code>InvalidAccessKeyId</Code><Message>who is it?</Message></Error>"
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path / "store"))
    with answering(403, refusal) as server:
        output_at(server, monkeypatch)
        with pytest.raises(RefusedError, match="cannot write to output 's3://.*who is it.*cred"):
            check_round_at("s3://bucket/round")
    (tmp_path / "taken").touch()
    with pytest.raises(RefusedError, match="cannot write to output .*taken': .*Not a directory"):
        check_round_at(str(tmp_path / "taken"))
    assert not (tmp_path / "store").exists()


@pytest.mark.timeout(60)
def test_check_round__is_tried_again_if_the_output_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    output_at(NOWHERE, monkeypatch)
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    with pytest.raises(FlyteRecoverableException, match="cannot write to output .*connect"):
        check_round_at("s3://bucket/round")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_print_briefly__tells_a_full_disk_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            Path("/dev/full").write_bytes(b"content")
        except OSError as error:
            raise ValueError("the table could not be written") from error
    except ValueError as error:
        with pytest.raises(SystemExit) as ended:
            print_briefly(error, verbosity=0)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert "the disk is full" in told
    assert "make prune" in told
    assert len(told.splitlines()) == 1
