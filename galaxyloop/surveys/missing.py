"""Chunks of a survey that gave no result: what is missing, and whether that may be."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from galaxyloop.errors import MissingChunksError
from galaxyloop.surveys.versions import SurveyVersion

CUTTING_OUT = "cutting out"
PREDICTION = "prediction"
UNTOLD = "failed on the cluster; the console has its log"
_SHOWN = 3


@dataclass(frozen=True)
class MissingChunk:
    """A chunk without cutouts or without predictions."""

    chunk: str
    """Its digest."""
    n_galaxies: int
    """Galaxies of the survey that are in it now."""
    step: str
    """What failed."""
    reason: str
    """Why, as far as is known."""


def find_missing(
    survey: SurveyVersion,
    chunks: Sequence[str],
    is_done: Sequence[bool],
    failure: tuple[str, Sequence[str]],
) -> list[MissingChunk]:
    """The chunks that gave nothing, in the order of the survey.

    Args:
        survey: that the chunks are of.
        chunks: digests of those that were tried.
        is_done: whether each gave a result.
        failure: the step, and the reason for each chunk; empty where it is not known.
    """
    step, reasons = failure
    lost = [
        (chunk, reason or UNTOLD)
        for chunk, done, reason in zip(chunks, is_done, reasons, strict=True)
        if not done
    ]
    if not lost:
        return []
    counts = survey.count_galaxies()
    return [MissingChunk(chunk, counts[chunk], step, reason) for chunk, reason in lost]


def check_missing(missing: Sequence[MissingChunk], n_chunks: int, allow_missing: bool) -> None:
    """Refuse to go on without some chunks, unless that was asked for.

    Raises:
        MissingChunksError: chunks are missing and ``allow_missing`` is False; or all are.
    """
    if not missing or (allow_missing and len(missing) < n_chunks):
        return
    n_galaxies = sum(chunk.n_galaxies for chunk in missing)
    shown = "; ".join(
        f"chunk {one.chunk[:12]} ({one.n_galaxies} galaxies), {one.step}: {one.reason}"
        for one in missing[:_SHOWN]
    )
    more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    remedy = "" if allow_missing else ", or set allow_missing for a catalogue without them"
    raise MissingChunksError(
        f"{len(missing)} of {n_chunks} chunks failed: {shown}{more}. The others are kept: mend "
        f"the cause and run again, which does the failed ones alone{remedy}",
        [one.chunk for one in missing],
        n_galaxies,
    )


def tabulate_missing(survey: SurveyVersion, missing: Sequence[MissingChunk]) -> pd.DataFrame:
    """``id_str, ra_deg, dec_deg, chunk, step, reason`` of every galaxy that is missing."""
    columns = ["id_str", "ra_deg", "dec_deg", "chunk", "step", "reason"]
    tables = []
    for one in missing:
        rows = survey.read_chunk(one.chunk)
        rows = rows[rows["is_alive"]][["id_str", "ra_deg", "dec_deg"]]
        tables.append(rows.assign(chunk=one.chunk, step=one.step, reason=one.reason))
    empty = pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns] if tables else empty
