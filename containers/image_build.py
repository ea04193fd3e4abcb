"""Images by buildah, with a base that needs no registry."""

import ast
import configparser
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = "python3,python3-venv,ca-certificates"
"""What the base has besides Debian's least."""
BASE, IMAGE = "localhost/galaxyloop-base:bookworm", "localhost/galaxyloop-cpu:test"
OF_INDEX = (
    *("index-url", "extra-index-url", "find-links", "trusted-host"),
    *("proxy", "timeout", "default-timeout", "retries"),
)
"""Settings of pip that say where packages come from."""
CERTIFICATES = "/run/secrets/certificates"


@dataclass(frozen=True)
class Buildah:
    """The program, with images and containers in a folder of their own."""

    storage: Path
    driver: str

    @property
    def command(self) -> list[str]:
        """How every command line begins."""
        places = ["--root", f"{self.storage}/root", "--runroot", f"{self.storage}/run"]
        return ["buildah", *places, "--storage-driver", self.driver]

    def check(self, *command: str) -> str:
        """Run a command; what it printed.

        Raises:
            click.ClickException: it failed.
        """
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise click.ClickException(f"{' '.join(command)[:200]} failed: {said}")
        return done.stdout.strip()

    def run(self, container: str, *command: str, options: Sequence[str] = ()) -> list[str]:
        """The command line that runs a command in a container."""
        return [*self.command, "run", "--isolation=chroot", *options, container, "--", *command]

    def inspect(self, image: str) -> dict[str, Any]:
        """What an image says of itself."""
        inspected: dict[str, Any] = json.loads(
            self.check(*self.command, "inspect", "--type=image", image)
        )
        return inspected

    def has(self, image: str) -> bool:
        """Whether an image is there."""
        command = [*self.command, "inspect", "--type=image", image]
        return subprocess.run(command, capture_output=True).returncode == 0

    @contextmanager
    def container(self, image: str) -> Iterator[str]:
        """A container of an image; gone afterwards."""
        name = self.check(*self.command, "from", "--pull-never", image)
        try:
            yield name
        finally:
            self.check(*self.command, "rm", name)

    @contextmanager
    def mounted(self, container: str) -> Iterator[Path]:
        """The files of a container."""
        yield Path(self.check(*self.command, "mount", container))
        self.check(*self.command, "umount", container)


def storage_driver(storage: Path) -> str:
    """``overlay`` where the kernel lets us, else ``vfs``, which copies every layer in full."""
    trial = Buildah(storage / "trial", "overlay")
    works = subprocess.run([*trial.command, "info"], capture_output=True).returncode == 0
    shutil.rmtree(trial.storage, ignore_errors=True)
    return "overlay" if works else "vfs"


def build_base(buildah: Buildah) -> str:
    """Debian with Python, from Debian's packages; made once."""
    if not buildah.has(BASE):
        with buildah.container("scratch") as container:
            with buildah.mounted(container) as root:
                options = ("--variant=minbase", f"--include={PACKAGES}")
                buildah.check("debootstrap", *options, "bookworm", str(root))
            buildah.check(*buildah.command, "commit", "--quiet", container, BASE)
    return BASE


def build_image(buildah: Buildah, base: str, version: str, revision: str, scratch: Path) -> str:
    """The cpu image as the Dockerfile says, with packages from where pip here gets them."""
    arguments = [f"BASE={base}", f"VERSION={version}", f"REVISION={revision}"]
    buildah.check(
        *(*buildah.command, "build", "--isolation=chroot", "--network=host", "--pull-never"),
        *("--file", "containers/Dockerfile", "--target", "cpu", "--tag", IMAGE),
        # One layer a step, where layers are no full copies. Nothing is taken from an earlier build:
        # a stage that is found there cannot be mounted (buildah 1.28).
        *("--no-cache", f"--layers={'true' if buildah.driver == 'overlay' else 'false'}"),
        *(f"--build-arg={one}" for one in arguments),
        *(f"--secret=id={name},src={path}" for name, path in pip_secrets(scratch).items()),
        ".",
    )
    return IMAGE


def pip_secrets(folder: Path) -> dict[str, Path]:
    """The settings of pip on this machine as files that are mounted, and never copied.

    Folders are left out: an image does not see them.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    pairs = [line.partition("=")[::2] for line in listed.stdout.splitlines() if "=" in line]
    # Variables count more than files.
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    known = {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in pairs}
    places = {name: _elsewhere(known[name]) for name in OF_INDEX if name in known}
    settings = {name: value for name, value in places.items() if value}
    secrets = {}
    if "cert" in known:
        secrets["certificates"] = Path(known["cert"])
        settings["cert"] = CERTIFICATES
    parser = configparser.RawConfigParser()
    parser["global"] = settings
    secrets["pip"] = folder / "pip.conf"
    secrets["pip"].touch(mode=0o600)
    with secrets["pip"].open("w") as file:
        parser.write(file)
    return secrets


def _elsewhere(value: str) -> str:
    """The words that are no folder of this machine."""
    return " ".join(word for word in value.split() if not word.startswith(("/", "file:")))
