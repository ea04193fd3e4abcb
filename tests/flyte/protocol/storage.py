"""The cluster's object store: a server in this process, or one that the environment names.

``GALAXYLOOP_TEST_S3`` is the address of another S3 server, whose keys are ``AWS_ACCESS_KEY_ID`` and
``AWS_SECRET_ACCESS_KEY``; tests make a bucket of their own there, and remove it.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

KEY, SECRET, REGION = "cluster", "cluster-secret", "us-east-1"
SERVER = "GALAXYLOOP_TEST_S3"
"""Variable that holds the address of a server that runs already."""


@dataclass(frozen=True)
class ObjectStore:
    """One bucket; objects are named by address."""

    endpoint: str
    bucket: str
    key: str
    secret: str

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}"

    @cached_property
    def client(self) -> Any:  # noqa: ANN401 - boto3 is untyped
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=REGION,
        )

    def _key(self, uri: str) -> str:
        prefix = f"{self.address}/"
        assert uri.startswith(prefix), f"{uri} is not in {self.address}"
        return uri.removeprefix(prefix)

    def put(self, uri: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self._key(uri), Body=content)

    def put_folder(self, folder: Path, uri: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{uri}/{path.relative_to(folder)}", path.read_bytes())

    def get(self, uri: str) -> bytes | None:
        """The object's bytes; None if there is none."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=self._key(uri))
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise
        return bytes(answer["Body"].read())

    def fetch(self, uri: str, path: Path) -> Path:
        """A local copy of an object."""
        content = self.get(uri)
        assert content is not None, f"there is no {uri}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def names(self, uri: str) -> list[str]:
        """Addresses of the objects below an address."""
        return [f"{self.address}/{key}" for key in self._keys(f"{self._key(uri)}/")]

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        return (one["Key"] for page in pages for one in page.get("Contents", ()))

    def remove(self) -> None:
        """Remove the bucket with all it holds."""
        for key in list(self._keys("")):
            self.client.delete_object(Bucket=self.bucket, Key=key)
        self.client.delete_bucket(Bucket=self.bucket)

    def environment(self) -> dict[str, str]:
        """What a pod needs to reach it, and MLflow's server: the secret of the deployment."""
        return {
            "FLYTE_AWS_ENDPOINT": self.endpoint,
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
        }


@contextmanager
def running_store() -> Iterator[ObjectStore]:
    """A server with an empty bucket, on a free port of this machine unless another is named."""
    # moto keeps one account a process: another server's buckets are seen here too.
    bucket = f"cluster-{secrets.token_hex(6)}"
    with running_server() as (endpoint, key, secret):
        store = ObjectStore(endpoint, bucket, key, secret)
        store.client.create_bucket(Bucket=bucket)
        try:
            yield store
        finally:
            store.remove()


@contextmanager
def running_server() -> Iterator[tuple[str, str, str]]:
    """Address of an S3 server, and its keys."""
    if SERVER in os.environ:
        keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        yield (os.environ[SERVER], *keys)
        return
    # It notes every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        yield f"http://127.0.0.1:{port}", KEY, SECRET
    finally:
        server.stop()
