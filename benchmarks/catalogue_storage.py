"""GET requests that predicting shards on an S3 server takes, counted by the server."""

import importlib.util
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import fsspec
import numpy as np

from benchmarks.catalogue_survey import DEVICE, Case, case_model, posterior, predict, shard_of_noise
from benchmarks.harness import Gate, at_most
from galaxyloop.decision_tree import DecisionTree, Question

RANGE_BYTES = 8 * 2**20
GETS_BESIDE = 2
"""A shard, beside one for each range."""
CASE = Case("resnet_mini", 64, 256)


@dataclass
class CountingServer:
    """An S3 server's application that notes every request."""

    application: Callable[..., Any]
    requests: list[str] = field(default_factory=list)

    def __call__(self, environment: dict[str, Any], start_response: Callable[..., Any]) -> Any:  # noqa: ANN401
        """Note a request and pass it on."""
        part = environment.get("HTTP_RANGE", "")
        path = f"{environment['PATH_INFO']}?{environment['QUERY_STRING']}"
        self.requests.append(f"{environment['REQUEST_METHOD']} {path} {part}")
        return self.application(environment, start_response)

    def n_gets(self) -> int:
        """GET requests, listings included."""
        return sum(request.startswith("GET ") for request in self.requests)


@contextmanager
def s3_server() -> Iterator[CountingServer]:
    """A server on this machine, which fsspec's s3 finds as long as the context lasts."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            pass

    counting = CountingServer(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, counting, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with patch.dict(os.environ, settings):
        fsspec.filesystem("s3").clear_instance_cache()
        try:
            yield counting
        finally:
            fsspec.filesystem("s3").clear_instance_cache()
            server.shutdown()
            thread.join()


def measure_requests(n_shards: int, n_galaxies: int) -> tuple[dict[str, object], list[Gate]]:
    """GETs of all shards; without moto nothing is counted, which only a GPU machine may do."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("s3fs") is None:
        gates = [] if DEVICE.type == "cuda" else [at_most("gets_from_s3", float("nan"), 0)]
        return {"gets_from_s3": "not counted: install moto[server] and s3fs"}, gates
    questions = (Question("smooth", ("yes", "no")), Question("bar", ("yes", "no")))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    model = case_model(CASE, pixels, DecisionTree("short", questions))
    n_gets = bound = n_bytes = 0
    with tempfile.TemporaryDirectory() as place, s3_server() as server:
        files = fsspec.filesystem("s3")
        files.mkdir("s3://survey")
        for i in range(n_shards):
            shard = shard_of_noise(Path(place) / f"shard-{i}", n_galaxies, CASE.image_size_px)
            address = f"s3://survey/{shard.name}"
            sizes = []
            for path in shard.iterdir():
                files.put_file(str(path), f"{address}/{path.name}")
                sizes.append(path.stat().st_size)
            server.requests.clear()
            predict(model, address, posterior(CASE, 2), Path(place) / f"{i}.parquet")
            n_gets += server.n_gets()
            n_bytes += sum(sizes)
            bound += sum(sizes) // RANGE_BYTES + GETS_BESIDE
    figures: dict[str, object] = {
        "gets_from_s3": n_gets,
        "gets_allowed": bound,
        "shards_on_s3": n_shards,
        "megabytes_on_s3": n_bytes / 1e6,
        "requests_of_last_shard": server.requests,
    }
    return figures, [at_most("gets_from_s3", n_gets, bound)]
