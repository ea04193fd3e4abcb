"""Build the cpu image without a registry, look at what is in it, and run tasks in it.

``make test-image`` calls this, as root and with buildah. The base is a Debian made with
debootstrap, unless one is named. Tasks run by their container command, as the image's own user,
against an S3 server on this machine, and must give what the same tasks give here.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from containers.image_build import Buildah, build_base, build_image, storage_driver
from containers.image_contents import faults_of_config, faults_of_files, size_of
from galaxyloop.surveys import IngestConfig
from tests.flyte.protocol.cluster import Cluster, Runner
from tests.flyte.protocol.literals import Literals
from tests.flyte.protocol.pods import LIMIT_S, Eviction, FreshPods, Pod, stays
from tests.flyte.protocol.registration import package, read_archive
from tests.flyte.protocol.storage import running_store
from tests.flyte.protocol.walks import SMALL, write_small_survey

FROM_CLUSTER = ("FLYTE_", "AWS_", "MLFLOW_", "BATCH_JOB", "_F_")
"""How variables begin that a cluster sets; all others are the image's own."""
NEEDED_BYTES = 30 * 2**30
"""An image is there four times while its largest layer is written."""
OFFLINE = """
import importlib, os, pkgutil, socket
assert [name for _, name in socket.if_nameindex()] == ["lo"], socket.if_nameindex()
assert os.getuid() == 1000, os.getuid()
for package in ("galaxyloop", "schemas", "tasks", "workflows"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""
SIMULATE = """
printf 'n_galaxies: 20\\nimage_size_px: 32\\n' > /tmp/simulation.yaml
galaxyloop simulate /tmp/simulated --config /tmp/simulation.yaml
"""


class ImagePods:
    """Each pod is a process in a container of the image, as the image's user."""

    def __init__(self, buildah: Buildah, container: str) -> None:
        """Take a container that exists."""
        self._buildah, self._container = buildah, container

    def run(self, pod: Pod, is_evicted: Eviction = stays) -> int:
        """Run a pod to its end."""
        given = [
            f"--env={name}={value}"
            for name, value in pod.environment.items()
            if name.startswith(FROM_CLUSTER)
        ]
        with pod.log.open("wb") as log:
            return subprocess.run(
                self._buildah.run(self._container, *pod.command, options=given),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_S,
            ).returncode


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what was done, and how long it took."""
    started = time.monotonic()
    yield
    click.echo(f"{what}: {time.monotonic() - started:.0f} s")


def run_offline(buildah: Buildah, container: str) -> None:
    """Import everything and call the commands, where there is no network at all."""
    for command in (
        ("python", "-c", OFFLINE),
        ("sh", "-c", SIMULATE),
        ("pyflyte-execute", "--help"),
    ):
        buildah.check("unshare", "--net", *buildah.run(container, *command))


def run_tasks(runner: Runner, folder: Path) -> list[Literals]:
    """Read a small survey and list its chunks; what each task gave."""
    folder.mkdir()
    write_small_survey(folder / "survey")
    with running_store() as store:
        store.put_folder(folder / "survey", f"{store.address}/survey")
        cluster = Cluster(read_archive(package(folder)), store, runner, folder)
        ingest = IngestConfig.from_dict(SMALL["ingest"])
        manifest = f"{store.address}/survey/manifest.csv"
        survey = cluster.execute_task("tasks.ingest.read_survey", manifest=manifest, config=ingest)
        chunks = cluster.execute_task("tasks.ingest.list_chunks", survey=survey["o0"])
        return [survey, chunks]


def digests(outputs: list[Literals]) -> list[str]:
    """The digests of all artefacts among tasks' outputs."""
    found = []
    for literal in (one["o0"] for one in outputs):
        found += [one.hash for one in literal.collection.literals or [literal]]
    return found


def require(storage: Path, base: str) -> None:
    """Stop early where something is missing."""
    missing = [name for name in ("buildah", "debootstrap") if not shutil.which(name)]
    if base:
        missing = [name for name in missing if name == "buildah"]
    if missing:
        raise click.ClickException(f"{' and '.join(missing)} missing: apt-get install them first")
    if subprocess.run(["id", "-u"], capture_output=True, text=True).stdout.strip() != "0":
        raise click.ClickException("only root may make file systems: run it as root")
    storage.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(storage).free
    if free < NEEDED_BYTES:
        raise click.ClickException(
            f"{storage} has {free / 2**30:.0f} GiB free, {NEEDED_BYTES / 2**30:.0f} are needed; "
            "name another folder with --storage"
        )


@click.command()
@click.option("--base", default="", help="Image to build from; made with debootstrap if not given.")
@click.option("--storage", type=click.Path(path_type=Path), default="/var/tmp/galaxyloop-images")
@click.option("--version", required=True, help="Version that the image shall carry.")
@click.option("--revision", required=True, help="Revision that the image shall carry.")
@click.option("--keep", is_flag=True, help="Keep the image.")
def main(base: str, storage: Path, version: str, revision: str, keep: bool) -> None:
    """Build the cpu image and test it."""
    require(storage, base)
    buildah = Buildah(storage, storage_driver(storage))
    if not base:
        with timed("base"):
            base = build_base(buildah)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with timed("image"):
            image = build_image(buildah, base, version, revision, scratch)
        try:
            test(buildah, image, {"version": version, "revision": revision}, scratch)
        finally:
            if not keep:
                buildah.check(*buildah.command, "rmi", "--force", image)
    click.echo("the image is good")


def test(buildah: Buildah, image: str, labels: dict[str, str], scratch: Path) -> None:
    """Look at an image and run it.

    Raises:
        click.ClickException: something is wrong with it.
    """
    with buildah.container(image) as container, buildah.mounted(container) as root:
        found = faults_of_config(buildah.inspect(image), labels) + faults_of_files(root)
        if found:
            raise click.ClickException("\n".join(found))
        click.echo(f"size: {size_of(root) / 2**30:.1f} GiB")
        with timed("without a network"):
            run_offline(buildah, container)
        with timed("tasks in the image"):
            ours = run_tasks(ImagePods(buildah, container), scratch / "image")
        with timed("tasks here"):
            local = run_tasks(FreshPods(), scratch / "here")
    if digests(ours) != digests(local):
        raise click.ClickException(f"the image gave {digests(ours)}, here was {digests(local)}")


if __name__ == "__main__":
    sys.exit(main())
