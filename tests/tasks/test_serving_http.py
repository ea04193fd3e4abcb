"""A registered model behind `mlflow models serve`: the catalogue's numbers, and refusals."""

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import CatalogueProvenance, write_catalogue
from galaxyloop.checkpoint import load_checkpoint
from galaxyloop.inference import predict_shard
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.shards import CutoutShard
from tasks import registry
from tasks.registry.client import open_client
from tests.library.training_data import TREE
from tests.tasks.serving_models import make_vote_model, register, request, write_images, write_shard

PROVENANCE = CatalogueProvenance(
    *("votes", "1", "0" * 64, TREE.name, "test", "2026-01-01", "5" * 64)
)
Answer = tuple[int, dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database with a champion."""
    directory = tmp_path_factory.mktemp("http")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(directory / "store"))
        version = register(directory / "votes", make_vote_model(), "votes")
        open_client().set_registered_model_alias("votes", "champion", version.version)
        yield directory


@pytest.fixture(scope="module")
def chunk(tracking: Path) -> pd.DataFrame:
    """Galaxies with images."""
    return write_images(tracking / "images")


@pytest.fixture(scope="module")
def catalogue(tracking: Path, chunk: pd.DataFrame) -> pd.DataFrame:
    """What the catalogue's job says of the galaxies."""
    checkpoint, _ = registry.resolve_model(model="votes@champion")
    model, predictions = load_checkpoint(checkpoint.download()), tracking / "predictions.parquet"
    shard = CutoutShard.open(write_shard(chunk, tracking / "shard"))
    predict_shard(model, shard, PosteriorConfig(), InformationConfig(), predictions)
    write_catalogue([predictions], TREE, PROVENANCE, tracking / "catalogue.parquet")
    return pd.read_parquet(tracking / "catalogue.parquet")


@pytest.fixture(scope="module")
def server(tracking: Path) -> Iterator[str]:
    """The address of a server of the champion, as the how-to starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "--port", port]
    command += ["--model-uri", "models:/votes@champion", "--env-manager", "local"]
    environment = os.environ | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    environment |= {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    with (tracking / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, cwd=tracking, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", process, tracking / "server.log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server answers."""
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())


def ask(server: str, body: object, content_type: str = "application/json") -> Answer:
    """Status and content of the server's answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = urllib.request.Request(server, content, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def rows(frame: pd.DataFrame) -> dict[str, Any]:
    """A request, with images in base64."""
    encoded = [base64.b64encode(image).decode() for image in frame["image"]]
    table = frame.assign(image=encoded)
    return {"dataframe_split": {"columns": list(table.columns), "data": table.to_numpy().tolist()}}


def one(image: bytes) -> dict[str, Any]:
    return rows(pd.DataFrame({"image": [image]}))


def huge_png(side_px: int = 100_000) -> bytes:
    """A hundred bytes that say they are ten thousand million pixels."""

    def part(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header)
    return start + part(b"IDAT", zlib.compress(b"0")) + part(b"IEND", b"")


def test_server__says_what_the_catalogue_says(
    server: str, chunk: pd.DataFrame, catalogue: pd.DataFrame
) -> None:
    status, answer = ask(server, rows(request(chunk)))
    assert status == 200
    found = pd.DataFrame(answer["predictions"])
    assert list(found.columns) == list(catalogue.columns)
    assert found["feature_distance"].isna().all()
    found["feature_distance"] = found["feature_distance"].astype(float)
    pd.testing.assert_frame_equal(
        found, catalogue, check_dtype=False, check_exact=False, rtol=1e-5, atol=1e-5
    )


def test_server__refuses_with_a_message_and_stays_up(
    server: str, chunk: pd.DataFrame, tracking: Path
) -> None:
    good = Path(chunk["image_uri"][1]).read_bytes()
    path = {"dataframe_split": {"columns": ["image"], "data": [[chunk["image_uri"][0]]]}}
    second = rows(pd.DataFrame({"image": [good, good[: len(good) // 2]]}))
    refused: list[tuple[object, str]] = [
        (one(huge_png()), "row 0: more than max_image_px=25000000 pixels: 100000 x 100000"),
        (second, "1 of 2 images cannot be cut out (row 1: a truncated JPEG"),
        (one(b"not an image"), "row 0: neither JPEG nor PNG"),
        (one(b""), "row 0: neither JPEG nor PNG"),
        (path, "not compatible with model signature"),
        ({"dataframe_split": {"columns": ["picture"], "data": [["aaaa"]]}}, "missing inputs"),
        ({"dataframe_split": {"columns": ["image"], "data": [[3]]}}, "not compatible"),
        ({"inputs": np.zeros((1, 32, 32, 3), int).tolist()}, ""),
        ({"rows": []}, "exactly one of the input fields"),
        (b"{", "valid JSON"),
    ]
    for body, message in refused:
        status, answer = ask(server, body)
        assert status == 400, answer
        assert message in answer["message"], answer
    status, answer = ask(server, b"image\n/etc/passwd\n", "text/csv")
    assert (status, "not its name" in answer["message"]) == (400, True)
    status, answer = ask(server, one(good))
    assert status == 200
    assert len(answer["predictions"]) == 1


def test_array_model__refuses_other_shapes_types_and_blanks(chunk: pd.DataFrame) -> None:
    model = mlflow.pyfunc.load_model("models:/votes-array/1")
    for wrong in (
        np.zeros((2, 31, 32, 3), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((1, 32, 32, 3), np.float32),
    ):
        with pytest.raises(mlflow.MlflowException, match="Failed to enforce schema") as caught:
            model.predict(wrong)
        assert caught.value.get_http_status_code() == 400
    unit = np.random.default_rng(0).integers(0, 2, (3, 32, 32, 3)).astype(np.uint8)
    with pytest.raises(mlflow.MlflowException, match="3 of 3 cutouts are blank.*from 0 to 255"):
        model.predict(unit)
