"""A published catalogue held against its survey: rows that are lost, repeated, moved or strange."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxyloop import predictions
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.surveys import IngestConfig, SurveyVersion, version_survey
from galaxyloop.verification import find_faults
from tests.library.catalogue_tables import PROVENANCE, make_catalogue, random_positions

N_GALAXIES = 12
RECORD = CatalogueRecord("cd34", ["ab12"], "{}", date=PROVENANCE.date)

Spoil = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def survey(tmp_path: Path) -> SurveyVersion:
    """Four chunks of three galaxies, two of which have no position."""
    names = [f"g{number:02}" for number in range(N_GALAXIES)]
    rows = random_positions(N_GALAXIES).assign(id_str=names, image_uri=names)
    rows.loc[[4, 9], ["ra_deg", "dec_deg"]] = np.nan
    config = IngestConfig(chunk_size=3, fingerprint="uri")
    version = version_survey(
        rows.assign(survey="toy", group_id=names), config, None, tmp_path / "version"
    )
    return replace(version, digest=RECORD.survey_digest)


@pytest.fixture
def catalogue(survey: SurveyVersion, tmp_path: Path) -> Path:
    rows = pd.concat([survey.read_chunk(chunk) for chunk in survey.chunks])
    positions = rows[["ra_deg", "dec_deg"]]
    return make_catalogue(tmp_path / "catalogue.parquet", positions, ids=rows["id_str"].tolist())


@pytest.fixture(autouse=True, params=[2, 1000])
def _batch_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that are shorter than a chunk, and longer."""
    monkeypatch.setattr(predictions, "ROW_GROUP_ROWS", request.param)


def spoil(catalogue: Path, change: Spoil) -> None:
    """Write a catalogue's rows anew, with the same footer."""
    table = pq.read_table(catalogue)
    rows = change(table.to_pandas())
    pq.write_table(pa.Table.from_pandas(rows, table.schema, preserve_index=False), catalogue)


def with_ids(*pairs: tuple[int, int]) -> Spoil:
    """Rows that have the ids of other rows."""

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        ids = rows["id_str"].to_numpy(object).copy()
        for to, start in pairs:
            ids[to] = rows["id_str"][start]
        return rows.assign(id_str=ids)

    return change


def test_find_faults__finds_none_in_a_sound_catalogue(
    catalogue: Path, survey: SurveyVersion
) -> None:
    assert find_faults(catalogue, RECORD, survey) == []


@pytest.mark.parametrize(
    ("change", "number", "fault"),
    [
        (with_ids((1, 0)), 0, "1 rows of chunk {chunk} repeat another, as that of '{id_str}'"),
        (
            with_ids((3, 4), (4, 3)),
            4,
            "2 rows of chunk {chunk} have another position than the survey, as that of '{id_str}'",
        ),
        (
            lambda rows: rows.assign(dec_deg=rows["dec_deg"].fillna(0.0)),
            10,
            "2 rows of chunk {chunk} have another position than the survey, as that of '{id_str}'",
        ),
        (with_ids((0, 3), (3, 0)), 1, "'{id_str}' is no galaxy of the survey, or is not in the or"),
        (lambda rows: rows.iloc[[*range(12), 5]], 5, "'{id_str}' is no galaxy of the survey, or"),
        (lambda rows: rows.iloc[:-1], 0, "11 rows and 0 missing do not make 12 galaxies"),
    ],
)
def test_find_faults__finds_rows_that_are_not_the_surveys(
    change: Spoil, number: int, fault: str, catalogue: Path, survey: SurveyVersion
) -> None:
    told = {
        "id_str": pd.read_parquet(catalogue)["id_str"][number],
        "chunk": survey.chunks[number // 3][:12],
    }
    spoil(catalogue, change)
    faults = find_faults(catalogue, RECORD, survey)
    assert any(fault.format(**told) in found for found in faults), faults
