"""What changed between the catalogues of two versions of a survey."""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxyloop.predictions import write_row_groups
from galaxyloop.surveys import SurveyVersion

CHANGES = ("added", "changed", "removed")
CHANGE_SCHEMA = pa.schema({"id_str": pa.string(), "change": pa.string()})
_COLUMNS = ["id_str", "image_digest"]


def iterate_changes(
    before: SurveyVersion | None,
    now: SurveyVersion,
    missing_before: Collection[str] = (),
    missing: Collection[str] = (),
) -> Iterator[pd.DataFrame]:
    """Galaxies that a catalogue gained, that have another image, and that it lost.

    Both versions are read side by side in order of id, so memory holds a batch of each. A galaxy
    that only moved to another chunk, or on the sky, has not changed. One whose chunk failed is not
    in the catalogue: it counts as removed, and as added when the catalogue has it again.

    Args:
        before: the version of the catalogue before; None counts every galaxy as added.
        now: the version of today.
        missing_before: digests of chunks of ``before`` that failed.
        missing: digests of chunks of ``now`` that failed.

    Yields:
        ``id_str, change``, in order of ``id_str``; ``change`` is added, changed or removed.
    """
    sides = (_Galaxies(before, missing_before), _Galaxies(now, missing))
    while any(len(side.rows) for side in sides):
        ends = [side.rows["id_str"].iloc[-1] for side in sides if side.has_more]
        then, today = (side.take(min(ends, default=None)) for side in sides)
        both = then.merge(today, "outer", "id_str", suffixes=("_then", "_today"))
        digests = both["image_digest_then"], both["image_digest_today"]
        tests = [digests[0].isna(), digests[1].isna(), digests[0] != digests[1]]
        change = np.select(tests, ["added", "removed", "changed"], "")
        yield both[["id_str"]].assign(change=change)[change != ""]


def list_changes(before: SurveyVersion | None, now: SurveyVersion) -> pd.DataFrame:
    """As ``iterate_changes``, of catalogues without gaps, in one table that memory holds."""
    none = pd.DataFrame(columns=CHANGE_SCHEMA.names, dtype=str)
    return pd.concat([none, *iterate_changes(before, now)], ignore_index=True)


def write_changes(
    before: SurveyVersion | None,
    now: SurveyVersion,
    path: Path,
    missing_before: Collection[str] = (),
    missing: Collection[str] = (),
) -> dict[str, int]:
    """Write what ``iterate_changes`` finds as Parquet.

    Returns:
        How many galaxies were added, changed and removed.
    """
    counts = dict.fromkeys(CHANGES, 0)

    def tables() -> Iterator[pa.Table]:
        for changes in iterate_changes(before, now, missing_before, missing):
            for change in CHANGES:
                counts[change] += int((changes["change"] == change).sum())
            yield pa.Table.from_pandas(changes, CHANGE_SCHEMA, preserve_index=False)

    write_row_groups(tables(), CHANGE_SCHEMA, path)
    return counts


class _Galaxies:
    """A version's galaxies in order of id, as far as they are read and not taken."""

    def __init__(self, survey: SurveyVersion | None, missing: Collection[str]) -> None:
        """Read the first."""
        self._batches: Iterator[pd.DataFrame] = iter(())
        if survey is not None:
            self._batches = survey.batches([*_COLUMNS, "chunk"])
            self._is_there = np.array([chunk not in missing for chunk in survey.chunks], dtype=bool)
        self.rows = pd.DataFrame(columns=_COLUMNS, dtype=str)
        self.has_more = True
        """Whether galaxies may follow those in ``rows``."""
        self._read()

    def take(self, last: str | None) -> pd.DataFrame:
        """Those read up to an id, or all; if none is left, others are read."""
        is_taken = self.rows["id_str"] <= last if last is not None else self.rows["id_str"].notna()
        taken, self.rows = self.rows[is_taken], self.rows[~is_taken]
        self._read()
        return taken

    def _read(self) -> None:
        """Read on if none is left."""
        while self.has_more and self.rows.empty:
            batch = next(self._batches, None)
            if batch is None:
                self.has_more = False
            else:
                self.rows = batch.loc[self._is_there[batch["chunk"]], _COLUMNS]
