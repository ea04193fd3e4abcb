"""What changed between two versions of a survey."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from galaxyloop.surveys import SurveyVersion

CHANGES = ("added", "changed", "removed")
CHANGE_SCHEMA = pa.schema({"id_str": pa.string(), "change": pa.string()})


def list_changes(before: SurveyVersion | None, now: SurveyVersion) -> pd.DataFrame:
    """Galaxies that a survey gained, that have another image, and that it lost.

    Chunks are compared one by one, so memory grows with the changes, not with the survey. A galaxy
    that only moved to another chunk, or on the sky, has not changed.

    Args:
        before: the version of the catalogue before; None counts every galaxy as added.
        now: the version of today.

    Returns:
        ``id_str, change``, in order of ``id_str``; ``change`` is added, changed or removed.
    """
    gained: dict[str, str] = {}
    lost: dict[str, str] = {}
    old_chunks = () if before is None else before.chunks
    for chunk in dict.fromkeys((*old_chunks, *now.chunks)):
        then, today = _living(before, chunk), _living(now, chunk)
        gained.update({id_str: today[id_str] for id_str in today.keys() - then.keys()})
        lost.update({id_str: then[id_str] for id_str in then.keys() - today.keys()})
    rows = sorted(_changed_rows(gained, lost))
    return pd.DataFrame(rows, columns=["id_str", "change"], dtype=object)


def count_changes(changes: pd.DataFrame) -> dict[str, int]:
    """How many galaxies were added, changed and removed."""
    counts = changes["change"].value_counts()
    return {change: int(counts.get(change, 0)) for change in CHANGES}


def _living(version: SurveyVersion | None, chunk: str) -> dict[str, str]:
    """The fingerprints of a chunk's living galaxies, by id; none if the version lacks it."""
    if version is None or chunk not in version.chunks:
        return {}
    rows = version.read_chunk(chunk)
    rows = rows[rows["is_alive"]]
    return dict(zip(rows["id_str"], rows["image_digest"], strict=True))


def _changed_rows(gained: dict[str, str], lost: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each galaxy with what happened to it."""
    for id_str, digest in gained.items():
        if id_str not in lost:
            yield id_str, "added"
        elif lost[id_str] != digest:
            yield id_str, "changed"
    yield from ((id_str, "removed") for id_str in lost if id_str not in gained)
