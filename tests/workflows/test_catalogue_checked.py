"""What a schedule and a careful person do with a catalogue that stands."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.errors import CatalogueError
from galaxyloop.publishing import find_surveys
from galaxyloop.surveys import IngestConfig, SurveyVersion
from tests.workflows.survey_night import SIDE_PX, Night, counting_encoder, open_night
from workflows.catalogue import nightly_catalogue, verify_catalogue
from workflows.ingest import compact_survey

pytestmark = pytest.mark.slow

KICKOFF = datetime(2026, 11, 22, 2, 15, tzinfo=UTC)
INGEST = IngestConfig(chunk_size=20, n_readers=1)
CUTOUTS = CutoutConfig(image_size_px=SIDE_PX)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """A full chunk, and three small ones that nights have added."""
    with open_night(tmp_path_factory.mktemp("checked")) as night:
        night.register(1)
        for first, end in ((0, 20), (20, 23), (23, 26), (26, 29)):
            night.add(range(first, end))
            night.build()
        yield night


def verify(night: Night) -> str:
    told: str = verify_catalogue(
        output=str(night.root / "catalogue"), kickoff=KICKOFF, ingest=INGEST
    )
    return told


def test_nightly_catalogue__tells_the_time_it_was_due(night: Night) -> None:
    before = night.stamps()
    told = nightly_catalogue(
        manifest=str(night.root / "manifest.csv"),
        output=str(night.root / "catalogue"),
        kickoff=KICKOFF,
        model="toy@champion",
        ingest=INGEST,
        cutouts=CUTOUTS,
        posterior=night.posterior(),
        information=night.information(),
    )
    assert told.splitlines()[0] == "night of 2026-11-22T02:15+00:00"
    assert "nothing to do" in told
    assert night.stamps() == before


def test_verify_catalogue__finds_a_sound_one_well_and_writes_nothing(night: Night) -> None:
    before, shards = night.stamps(), night.kept("cutout-shard")
    told = verify(night)
    assert "full check of 2026-11-22T02:15+00:00: all is well" in told
    assert "29 galaxies" in told
    assert "4 shards, every byte as it was written" in told
    assert night.stamps() == before
    # The record says how cutouts were made, so none is made in another way.
    assert night.kept("cutout-shard") == shards


def test_verify_catalogue__finds_a_changed_byte(night: Night) -> None:
    path = next((night.root / "store" / "cutout-shard").glob("*/cutouts.npy"))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(CatalogueError, match=r"has 1 faults: .*cutouts.npy has SHA-256"):
            verify(night)
    finally:
        path.write_bytes(content)


def test_verify_catalogue__finds_another_survey_beside_it(night: Night) -> None:
    (path,) = (night.root / "catalogue").glob("survey-*/survey.json")
    text = path.read_text()
    path.write_text(text.replace(str(night.record()["survey_digest"]), "0" * 64))
    try:
        with pytest.raises(CatalogueError, match="the survey beside it is 0000"):
            verify(night)
    finally:
        path.write_text(text)


def test_verify_catalogue__tells_what_to_remove_to_have_it_made_again(night: Night) -> None:
    path = night.root / "catalogue" / "catalogue.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.slice(1), path)
    with pytest.raises(CatalogueError, match="28 rows .* remove .* and catalogue.parquet, and"):
        verify(night)
    path.unlink()
    with counting_encoder() as batches:
        assert "0 galaxies added, 0 changed, 0 removed" in night.build()
    assert not batches
    assert "all is well" in verify(night)


def test_verify_catalogue__wants_a_finished_catalogue(night: Night) -> None:
    path = night.root / "catalogue" / "catalogue.json"
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(CatalogueError, match=r"holds no finished catalogue"):
            verify(night)
    finally:
        path.with_suffix(".away").rename(path)


def test_compact_survey__says_the_cost_then_does_it_and_changes_no_row(night: Night) -> None:
    output = str(night.root / "catalogue")
    first, before = night.read(), SurveyVersion.open(find_surveys(output)[0])
    assert list(before.count_galaxies().values()) == [20, 3, 3, 3]
    stamps = night.stamps()
    told = compact_survey(output=output, chunk_size=20)
    assert "9 of 29 galaxies would be cut out and predicted again" in told
    assert night.stamps() == stamps
    told = compact_survey(output=output, chunk_size=20, apply=True)
    assert "9 of 29 galaxies will be" in told
    merged, standing = map(SurveyVersion.open, find_surveys(output))
    assert list(merged.count_galaxies().values()) == [20, 9]
    assert standing == before
    assert "all is well" in verify(night)
    with counting_encoder() as batches:
        told = night.build()
    assert sum(batches) == 9
    assert "0 galaxies added, 0 changed, 0 removed" in told
    assert pd.read_parquet(night.root / "catalogue" / "changes.parquet").empty
    again = night.read()
    columns = list(first.columns)
    pd.testing.assert_frame_equal(
        again.sort_values("id_str", ignore_index=True)[columns],
        first.sort_values("id_str", ignore_index=True),
    )
    assert "nothing to merge" in compact_survey(output=output, chunk_size=20)
    with counting_encoder() as batches:
        assert "nothing to do" in night.build()
    assert not batches


def test_compact_survey__wants_a_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="holds no survey version"):
        compact_survey(output=str(tmp_path), chunk_size=20)
