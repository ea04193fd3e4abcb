"""What a shard says of itself in ``shard.json``."""

import json
from dataclasses import dataclass
from typing import Any

from galaxyloop.errors import ShardError

SHARD_FORMAT = 2
"""Raised whenever a shard's files change their meaning."""


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
            raise ShardError(f"{place} is no cutout shard: {error}; cut it out again") from error
        raise ShardError(f"{place} is a shard of format {found_format}, not {SHARD_FORMAT}")
