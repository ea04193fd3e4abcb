"""Small chunks of a survey, merged."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.catalogue.changes import list_changes
from galaxyloop.errors import ConfigError
from galaxyloop.surveys import IngestConfig, SurveyVersion, version_survey
from galaxyloop.surveys.compaction import compact_survey, plan_compaction

INGEST = IngestConfig(chunk_size=10, fingerprint="uri")


def grow(root: Path, numbers: list[int], previous: SurveyVersion | None) -> SurveyVersion:
    rows = pd.DataFrame(
        {
            "id_str": [f"g{number:03}" for number in numbers],
            "image_uri": [f"images/{number}" for number in numbers],
            "ra_deg": [float(37 * number % 360) for number in numbers],
            "dec_deg": [float(number % 60) for number in numbers],
            "survey": "toy",
            "group_id": [f"g{number:03}" for number in numbers],
        }
    )
    return version_survey(rows, INGEST, previous, root / f"version-{len(numbers)}")


@pytest.fixture
def grown(tmp_path: Path) -> SurveyVersion:
    """Chunks of 10, 10, 3, 3, 3, 3, of one of which a galaxy is gone again."""
    version, numbers = grow(tmp_path, list(range(20)), None), list(range(20))
    for _ in range(4):
        numbers += range(len(numbers), len(numbers) + 3)
        version = grow(tmp_path, numbers, version)
    return grow(tmp_path, [number for number in numbers if number != 21], version)


def test_plan_compaction__counts_what_is_done_again(grown: SurveyVersion) -> None:
    assert list(grown.count_galaxies().values()) == [10, 10, 2, 3, 3, 3]
    plan = plan_compaction(grown, 10)
    assert plan.chunks == grown.chunks[2:]
    assert (plan.n_chunks_before, plan.n_chunks_after) == (6, 4)
    assert (plan.n_galaxies, plan.n_dead) == (11, 1)
    assert "11 of 31 galaxies would be cut out and predicted again" in plan.describe(31)
    assert "Nothing was written" in plan.describe(31)


def test_compact_survey__keeps_every_galaxy_and_every_full_chunk(
    grown: SurveyVersion, tmp_path: Path
) -> None:
    plan = plan_compaction(grown, 10)
    compacted = compact_survey(grown, plan, 10, tmp_path / "compacted")
    assert compacted.chunks[:2] == grown.chunks[:2]
    assert sorted(compacted.count_galaxies().values()) == [5, 6, 10, 10]
    columns = ["id_str", "image_uri", "image_digest", "ra_deg", "dec_deg", "group_id"]
    pd.testing.assert_frame_equal(compacted.galaxies[columns], grown.galaxies[columns])
    assert list_changes(grown, compacted).empty
    assert (compacted.n_added, compacted.n_changed, compacted.n_removed) == (0, 0, 0)
    assert compacted.previous == grown.digest
    living = pd.concat(
        [compacted.read_chunk(chunk).query("is_alive") for chunk in compacted.chunks]
    )
    assert sorted(living["id_str"]) == sorted(grown.galaxies["id_str"])


def test_compact_survey__is_what_the_next_version_grows_from(
    grown: SurveyVersion, tmp_path: Path
) -> None:
    compacted = compact_survey(grown, plan_compaction(grown, 10), 10, tmp_path / "compacted")
    numbers = [int(name[1:]) for name in grown.galaxies["id_str"]]
    after = grow(tmp_path / "after", [*numbers, 99], compacted)
    assert after.chunks[:4] == compacted.chunks
    assert len(after.chunks) == 5


def test_plan_compaction__leaves_alone_what_would_gain_nothing(tmp_path: Path) -> None:
    version = grow(tmp_path, list(range(14)), None)
    assert list(version.count_galaxies().values()) == [7, 7]
    plan = plan_compaction(version, 10, max_fill=0.8)
    assert plan.chunks == ()
    assert plan.describe(14) == "nothing to merge: none of 2 chunks would be saved"


@pytest.mark.parametrize(("chunk_size", "max_fill"), [(0, 0.5), (10, 0.0), (10, 1.5)])
def test_plan_compaction__refuses_numbers_out_of_range(
    grown: SurveyVersion, chunk_size: int, max_fill: float
) -> None:
    with pytest.raises(ConfigError, match=str(chunk_size if chunk_size < 1 else max_fill)):
        plan_compaction(grown, chunk_size, max_fill)
