"""Compaction: the small chunks that nightly growth leaves, merged into full ones.

A merged chunk is a new chunk, so its galaxies are cut out and predicted once more. That is why it
is never done on the way: somebody asks what it would cost, then asks for it.
"""

from dataclasses import dataclass
from pathlib import Path

from galaxyloop.config import require
from galaxyloop.surveys.growth import grow, summarise, write_version
from galaxyloop.surveys.versions import SurveyVersion

MAX_FILL = 0.5
"""A chunk with no more living galaxies than this share of a full one is small."""


@dataclass(frozen=True)
class CompactionPlan:
    """Which chunks would be merged, and what that costs."""

    chunks: tuple[str, ...]
    """Digests of the chunks to be merged; none if nothing would be gained."""
    n_chunks_before: int
    n_chunks_after: int
    n_galaxies: int
    """Galaxies to be cut out and predicted again."""
    n_dead: int
    """Rows of galaxies that left the survey or whose image changed, which are dropped."""

    def describe(self, n_in_survey: int, is_done: bool = False) -> str:
        """The plan in words, for somebody who decides on it.

        Args:
            n_in_survey: galaxies of the survey version.
            is_done: whether it was carried out.
        """
        if not self.chunks:
            return f"nothing to merge: none of {self.n_chunks_before} chunks would be saved"
        n_merged = self.n_chunks_after - self.n_chunks_before + len(self.chunks)
        would, what = ("will", "") if is_done else ("would", " Nothing was written.")
        return (
            f"{len(self.chunks)} small chunks of {self.n_chunks_before} make {n_merged}, so that "
            f"{self.n_chunks_after} are left. {self.n_galaxies} of {n_in_survey} galaxies {would} "
            f"be cut out and predicted again by the next run; {self.n_dead} rows of galaxies that "
            f"are gone {would} be dropped.{what}"
        )


def plan_compaction(
    survey: SurveyVersion, chunk_size: int, max_fill: float = MAX_FILL
) -> CompactionPlan:
    """Find the chunks that are worth merging.

    Args:
        survey: the version to compact.
        chunk_size: most galaxies in a chunk.
        max_fill: a chunk is small that has at most this share of ``chunk_size`` living galaxies;
            above 0, at most 1.

    Raises:
        ConfigError: a number is out of range.
    """
    require(chunk_size >= 1, f"chunk_size must be >= 1, got {chunk_size}")
    require(0 < max_fill <= 1, f"max_fill must be in (0, 1], got {max_fill}")
    counts = survey.count_galaxies()
    small = [chunk for chunk, n in counts.items() if n <= max_fill * chunk_size]
    n_galaxies = sum(counts[chunk] for chunk in small)
    n_merged = -(-n_galaxies // chunk_size)
    if n_merged >= len(small):
        return CompactionPlan((), len(counts), len(counts), 0, 0)
    n_rows = sum(len(survey.read_chunk(chunk)) for chunk in small)
    n_after = len(counts) - len(small) + n_merged
    return CompactionPlan(tuple(small), len(counts), n_after, n_galaxies, n_rows - n_galaxies)


def compact_survey(
    survey: SurveyVersion, plan: CompactionPlan, chunk_size: int, directory: Path
) -> SurveyVersion:
    """Write the same galaxies with the plan's chunks merged; all other chunks stay as they are.

    Args:
        survey: the version to compact.
        plan: from ``plan_compaction`` with the same ``chunk_size``.
        chunk_size: most galaxies in a chunk.
        directory: appears complete or not at all.

    Returns:
        A version that grew from ``survey`` with nothing added, changed or removed.

    Raises:
        StorageError: the directory exists already.
    """
    galaxies = survey.galaxies.drop(columns=["chunk", "healpix_29"])
    growth = grow(galaxies, chunk_size, survey, plan.chunks)
    summary = summarise(growth, survey.name, survey.n_read, survey.n_rejected)
    return write_version(growth, summary, survey.rejects, survey, directory)
