"""The cluster's object store, on a server in this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

KEY, SECRET, REGION = "cluster", "cluster-secret", "us-east-1"


@dataclass(frozen=True)
class ObjectStore:
    """One bucket; objects are named by address."""

    endpoint: str
    bucket: str
    client: Any

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}"

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
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self._key(uri)}/"
        )
        found = (one["Key"] for page in pages for one in page.get("Contents", ()))
        return [f"{self.address}/{key}" for key in found]

    def environment(self) -> dict[str, str]:
        """What a pod needs to reach it: one half for Flyte, one for everybody else."""
        return {
            "FLYTE_AWS_ENDPOINT": self.endpoint,
            "FLYTE_AWS_ACCESS_KEY_ID": KEY,
            "FLYTE_AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
        }


@contextmanager
def running_store() -> Iterator[ObjectStore]:
    """A server with an empty bucket, on a free port of this machine."""
    # It notes every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
        )
        # moto keeps one account a process: another server's buckets are seen here too.
        bucket = f"cluster-{port}"
        client.create_bucket(Bucket=bucket)
        yield ObjectStore(endpoint, bucket, client)
    finally:
        server.stop()
