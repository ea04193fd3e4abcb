"""A published catalogue held against its survey and its record."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from galaxyloop.catalogue import read_catalogue_provenance
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import read_batches, table_schema
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.surveys import SurveyVersion

_SHOWN = 5
_POSITION = ["ra_deg", "dec_deg"]


def find_faults(catalogue: Path, record: CatalogueRecord, survey: SurveyVersion) -> list[str]:
    """What is wrong with a catalogue, in words; nothing if it describes its survey.

    Ids and positions are compared chunk by chunk; memory holds a chunk of the survey and a row
    group of the catalogue.

    Args:
        catalogue: the parquet file.
        record: what it should have been made from.
        survey: the version published beside it.
    """
    return [*_faults_of_origin(catalogue, record, survey), *_faults_of_rows(catalogue, survey)]


def check_faults(faults: Sequence[str], what: str) -> None:
    """Refuse what has faults.

    Raises:
        CatalogueError: there are some; the first are shown.
    """
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise CatalogueError(
            f"{what} has {len(faults)} faults: {'; '.join(faults[:_SHOWN])}{more}; remove the "
            "shards that are named from the store, and catalogue.parquet, and build it again"
        )


def _faults_of_origin(
    catalogue: Path, record: CatalogueRecord, survey: SurveyVersion
) -> Iterator[str]:
    """Where footer, record and survey disagree on what the catalogue was made from."""
    footer = read_catalogue_provenance(catalogue)
    for name, found, wanted in (
        ("the survey beside it", survey.digest, record.survey_digest),
        ("the survey in its footer", footer.survey_digest, record.survey_digest),
        ("the checkpoint in its footer", footer.checkpoint_digest, record.checkpoint_digests[0]),
        ("the date in its footer", footer.date, record.date),
    ):
        if found != wanted:
            yield f"{name} is {found[:25]}, its record has {wanted[:25]}"


def _faults_of_rows(catalogue: Path, survey: SurveyVersion) -> Iterator[str]:
    """Where the rows are not those of the survey's galaxies, chunk by chunk."""
    n_rows = int(pq.read_metadata(catalogue).num_rows)
    n_missing = read_catalogue_provenance(catalogue).n_missing or 0
    if n_rows + n_missing != survey.n_galaxies:
        yield (
            f"{n_rows} rows and {n_missing} missing do not make {survey.n_galaxies} galaxies of "
            "the survey"
        )
    rows = _Rows(catalogue)
    for chunk in survey.chunks:
        galaxies = survey.read_chunk(chunk)
        galaxies = galaxies[galaxies["is_alive"]].set_index("id_str")[_POSITION]
        yield from _faults_of_chunk(chunk, rows.take(galaxies.index), galaxies)
    if (stranger := rows.next_id()) is not None:
        yield f"'{stranger}' is no galaxy of the survey, or is not in the order of its chunks"


def _faults_of_chunk(chunk: str, rows: pd.DataFrame, galaxies: pd.DataFrame) -> Iterator[str]:
    """Where some rows are not those of a chunk's galaxies, whose positions are given by id."""
    found, wanted = rows[_POSITION].to_numpy(), galaxies.loc[rows["id_str"]].to_numpy()
    is_there = ((found == wanted) | np.isnan(found) & np.isnan(wanted)).all(axis=1)
    for is_wrong, fault in (
        (rows["id_str"].duplicated().to_numpy(), "repeat another"),
        (~is_there, "have another position than the survey"),
    ):
        if is_wrong.any():
            first = rows["id_str"].to_numpy()[is_wrong][0]
            yield f"{is_wrong.sum()} rows of chunk {chunk[:12]} {fault}, as that of '{first}'"


class _Rows:
    """A catalogue's rows in order, as far as they are not taken; memory holds a row group."""

    def __init__(self, catalogue: Path) -> None:
        """Begin with the first."""
        self._batches = read_batches(catalogue, ["id_str", *_POSITION])
        self._waiting = table_schema(["id_str", *_POSITION]).empty_table().to_pandas()

    def take(self, ids: pd.Index) -> pd.DataFrame:
        """The rows before the first that has none of these ids."""
        taken = [self._waiting.iloc[:0]]
        while self.next_id() is not None:
            is_other = ~self._waiting["id_str"].isin(ids).to_numpy()
            n_taken = int(is_other.argmax()) if is_other.any() else len(is_other)
            taken.append(self._waiting.iloc[:n_taken])
            self._waiting = self._waiting.iloc[n_taken:]
            if n_taken < len(is_other):
                break
        rows: pd.DataFrame = pd.concat(taken)
        return rows

    def next_id(self) -> str | None:
        """The id of the next row; None at the end."""
        while self._waiting.empty:
            batch = next(self._batches, None)
            if batch is None:
                return None
            self._waiting = batch.to_pandas()
        return str(self._waiting["id_str"].iloc[0])
