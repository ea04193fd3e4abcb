"""What a shard says of itself in ``shard.json``."""

import json
from dataclasses import dataclass
from typing import Any

from galaxyloop.errors import ShardError

SHARD_FORMAT = 2
"""Raised whenever a shard's files change their meaning."""
MENDING = (
    "remove its folder and run again, which cuts it out again (on a cluster: run once more with "
    "--overwrite-cache)"
)
"""What to do about a shard that is missing, or is not as it was written."""


@dataclass(frozen=True)
class ShardSummary:
    """What became of the rows of a chunk: ``n_read = n_galaxies + n_rejected``."""

    n_read: int
    n_galaxies: int
    n_rejected: int
    image_size_px: int
    digest: str
    """SHA-256 over the config, each galaxy's id, fingerprint, group and pixels, and each reject's
    row, id, fingerprint, column and reason; not over any location."""
    sha256: dict[str, str]
    """Of each file, by name."""
    config: dict[str, Any]
    """Settings that the pixels depend on."""

    @classmethod
    def read(cls, text: str | bytes, place: object) -> "ShardSummary":
        """The summary in ``shard.json``.

        Raises:
            ShardError: it is of another format, or none.
        """
        try:
            content = json.loads(text)
            found_format = content.pop("format")
            if found_format == SHARD_FORMAT:
                return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ShardError(f"{place} is no cutout shard: {error}; {MENDING}") from error
        raise ShardError(
            f"{place} is a shard of format {found_format}, not {SHARD_FORMAT}; {MENDING}"
        )

    def check(self, name: str, sha256: str, place: object) -> None:
        """Compare the SHA-256 of a shard's file with the one it was written with.

        Raises:
            ShardError: they differ.
        """
        if sha256 != self.sha256[name]:
            raise ShardError(
                f"{place}/{name} has SHA-256 {sha256} but was written with {self.sha256[name]}; "
                f"it is damaged: {MENDING}"
            )
