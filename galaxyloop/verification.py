"""A published catalogue held against its survey and its record."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from galaxyloop.catalogue import read_catalogue_provenance
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import read_batches
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.surveys import SurveyVersion

_SHOWN = 5


def find_faults(catalogue: Path, record: CatalogueRecord, survey: SurveyVersion) -> list[str]:
    """What is wrong with a catalogue, in words; nothing if it describes its survey.

    Memory holds the ids of one chunk of the survey and of one row group of the catalogue.

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
            "shards that are named from the store, and catalogue.json beside the catalogue, and "
            "build it again"
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
    """Where the rows are not those of the survey's galaxies."""
    n_rows = int(pq.read_metadata(catalogue).num_rows)
    n_missing = read_catalogue_provenance(catalogue).n_missing or 0
    if n_rows + n_missing != survey.n_galaxies:
        yield (
            f"{n_rows} rows and {n_missing} missing do not make {survey.n_galaxies} galaxies of "
            "the survey"
        )
    chunks, living = iter(survey.chunks), set[str]()
    for id_str in _ids(catalogue):
        while id_str not in living:
            chunk = next(chunks, None)
            if chunk is None:
                yield f"'{id_str}' is no galaxy of the survey, or is not in the order of its chunks"
                return
            rows = survey.read_chunk(chunk)
            living = set(rows.loc[rows["is_alive"], "id_str"])


def _ids(catalogue: Path) -> Iterator[str]:
    """The ids of the rows, in order."""
    for batch in read_batches(catalogue, ["id_str"]):
        yield from batch.column("id_str").to_pylist()
