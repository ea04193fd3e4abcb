"""Which code ran: the version and revision that footers, tags and reports state."""

import os
import subprocess

from galaxyloop import __version__
from tasks.local_run import PROJECT


def code_version() -> str:
    """Version and revision: ``0.1.0+g1a2b3c4d5e6f``, ending in ``.dirty`` after uncommitted edits.

    In a container the revision is the image's ``GALAXYLOOP_REVISION``.
    """
    revision = os.environ.get("GALAXYLOOP_REVISION") or _git("rev-parse", "--short=12", "HEAD")
    if not revision:
        return __version__
    is_dirty = bool(_git("status", "--porcelain", "--untracked-files=no"))
    return f"{__version__}+g{revision}{'.dirty' if is_dirty else ''}"


def _git(*arguments: str) -> str:
    """What git says of the project; empty where there is no git or no repository."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()
