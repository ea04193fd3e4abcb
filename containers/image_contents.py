"""What must be in an image, and what must not."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAMS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "opt/galaxyloop/bin")
BUILD_TOOLS = {
    *("gcc", "g++", "cc", "c++", "clang", "ld", "as", "make", "cmake", "ninja", "nvcc"),
    *("cargo", "rustc", "go", "git", "dpkg-buildpackage"),
}
NO_PIP = ("opt/galaxyloop/bin", "opt/pip/bin")
SECRETS = ("etc/pip.conf", "root/.netrc", "root/.aws", "root/.config", "root/.git", "root/tests")
"""Places where secrets and leftovers would lie."""
SECRET_NAME = re.compile(r"(?i)secret|token|passw|_key")
"""Names of variables that hold secrets."""
LABEL = "org.opencontainers.image."


def faults_of_config(inspected: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """What is wrong with what an image says of itself.

    Args:
        inspected: by ``buildah inspect``.
        labels: those it must carry, without their common beginning.
    """
    config = inspected["OCIv1"]["config"]
    found = []
    if config.get("User") != "1000":
        found.append(f"it runs as user '{config.get('User', '')}', not as 1000")
    for name, value in labels.items():
        told = config.get("Labels", {}).get(LABEL + name)
        if told != value:
            found.append(f"label {LABEL}{name} is {told}, not {value}")
    names = [one.partition("=")[0] for one in config.get("Env", ())]
    found += [f"variable {name} looks like a secret" for name in names if SECRET_NAME.search(name)]
    history = json.dumps(inspected["OCIv1"].get("history", []))
    if re.search(r"://[^/\s\"]*:[^/\s\"]*@", history):
        found.append("its history holds an address with a password")
    return found


def faults_of_files(root: Path) -> list[str]:
    """What lies in an image that must not."""
    found = []
    for folder in PROGRAMS:
        if (root / folder).is_dir():
            there = {one.name for one in (root / folder).iterdir()}
            found += [f"build tool /{folder}/{name}" for name in sorted(there & BUILD_TOOLS)]
    found += [f"pip in /{place}" for place in NO_PIP if (root / place / "pip").exists()]
    found += [f"/{name} is there" for name in SECRETS if (root / name).exists()]
    secrets = root / "run/secrets"
    if secrets.is_dir() and any(secrets.iterdir()):
        found.append("/run/secrets is not empty")
    return found


def size_of(root: Path) -> int:
    """Size of all files, each once [B]."""
    seen: dict[int, int] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            seen[status.st_ino] = status.st_size
    return sum(seen.values())
