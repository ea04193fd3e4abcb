"""The catalogue that the shards' predictions make: parquet, streamed, traceable."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import (
    answer_columns,
    count_predictions,
    prediction_columns,
    read_batches,
    table_schema,
    write_predictions,
    write_row_groups,
)

__all__ = [
    "CatalogueProvenance",
    "CatalogueSummary",
    "catalogue_columns",
    "prediction_columns",
    "read_catalogue_provenance",
    "write_catalogue",
    "write_predictions",
]

HASHES_IN_MEMORY = 20_000_000
"""Ids compared at once when looking for repeated galaxies: 8 bytes each."""
FOOTER_PREFIX = "galaxyloop."
"""Before each key of the provenance in the parquet footer."""


@dataclass(frozen=True)
class CatalogueProvenance:
    """Where a catalogue comes from; stands in its footer as ``galaxyloop.<field>``."""

    model_name: str
    """Name of the registered model."""
    model_version: str
    """Its version in that registry."""
    checkpoint_digest: str
    """Digest of the weights and their config: the same in every registry."""
    campaign: str
    """The campaign, or campaigns joined by ``+``, whose questions are answered."""
    code_version: str
    """Version or commit of the code."""
    date: str
    """When it was written, ISO 8601."""
    survey_digest: str
    """Digest of the survey version that was predicted."""

    def __post_init__(self) -> None:
        """Refuse gaps: a catalogue that cannot be traced is of no use."""
        empty = [name for name, value in dataclasses.asdict(self).items() if not value]
        if empty:
            raise CatalogueError(
                f"a catalogue's provenance needs a text for each field, got none for {empty}"
            )


@dataclass(frozen=True)
class CatalogueSummary:
    """What came in and went out: ``n_read = n_galaxies + n_dropped + n_superseded``."""

    n_read: int
    """Rows in all prediction files."""
    n_galaxies: int
    """Rows of the catalogue."""
    n_dropped: int
    """Rows of galaxies that left the survey, or whose image has changed since."""
    n_superseded: int
    """Rows of galaxies that a later row predicts again."""
    n_missing: int
    """Galaxies of the survey without a prediction (0 when no survey is given)."""


def catalogue_columns(tree: DecisionTree) -> tuple[str, ...]:
    """The catalogue's columns in order."""
    answers = [name for column in tree.columns for name in answer_columns(column)]
    asked = [f"{question}_asked" for question in tree.question_names]
    return ("id_str", "ra_deg", "dec_deg", *answers, *asked)


def write_catalogue(
    prediction_files: Sequence[Path],
    tree: DecisionTree,
    alive: Mapping[str, str] | None,
    provenance: CatalogueProvenance,
    path: Path,
    positions: pd.DataFrame | None = None,
) -> CatalogueSummary:
    """Join the shards' predictions to one catalogue, in the order of the files.

    Rows are streamed, so memory does not grow with the survey beyond what ``alive`` itself takes.

    Args:
        prediction_files: what ``write_predictions`` wrote; later files win over earlier ones.
        tree: whose answers the catalogue holds.
        alive: image digest of each galaxy (by id_str) that is in the survey now; a row of
            another galaxy, or of another image, is dropped. None keeps every row.
        provenance: goes into the footer.
        path: the parquet file; appears by renaming when it is complete.
        positions: ``ra_deg`` and ``dec_deg`` by ``id_str`` as the survey has them now; a shard
            keeps those of the day it was cut out. None takes the shard's.

    Returns:
        The counts, which add up.

    Raises:
        CatalogueError: a file does not have exactly the prediction columns of the tree.
    """
    n_read = sum(count_predictions(file, tree) for file in prediction_files)
    superseded = _superseded_rows(prediction_files, alive, n_read)
    schema = table_schema(catalogue_columns(tree)).with_metadata(
        {FOOTER_PREFIX + name: value for name, value in dataclasses.asdict(provenance).items()}
    )
    rows = _kept_rows(prediction_files, alive, superseded, schema)
    placed = rows if positions is None else (_placed(table, positions) for table in rows)
    n_galaxies = write_row_groups(placed, schema, path)
    n_superseded = sum(len(lost) for lost in superseded)
    n_dropped = n_read - n_galaxies - n_superseded
    n_missing = 0 if alive is None else len(alive) - n_galaxies
    return CatalogueSummary(n_read, n_galaxies, n_dropped, n_superseded, n_missing)


def read_catalogue_provenance(path: Path) -> CatalogueProvenance:
    """Where a catalogue comes from, by its footer.

    Raises:
        CatalogueError: there is no such file, it is no parquet, or its footer does not say.
    """
    try:
        footer = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        found = "is no parquet file" if path.is_file() else "is no file"
        raise CatalogueError(
            f"{path} {found} that can be read; give the catalogue.parquet of a round"
        ) from error
    texts = {key.decode(): value.decode() for key, value in footer.items()}
    names = [field.name for field in dataclasses.fields(CatalogueProvenance)]
    missing = [name for name in names if FOOTER_PREFIX + name not in texts]
    if missing:
        raise CatalogueError(
            f"{path} has no {', '.join(FOOTER_PREFIX + name for name in missing)} in its footer; "
            "read the file that write_catalogue wrote, not a copy without its metadata"
        )
    return CatalogueProvenance(**{name: texts[FOOTER_PREFIX + name] for name in names})


def _alive_rows(batch: pa.RecordBatch, alive: Mapping[str, str] | None) -> npt.NDArray[np.bool_]:
    """Which rows are of galaxies in the survey, as their image is now."""
    if alive is None:
        return np.ones(batch.num_rows, dtype=bool)
    pairs = zip(
        batch.column("id_str").to_pylist(), batch.column("image_digest").to_pylist(), strict=True
    )
    return np.array([alive.get(id_str) == digest for id_str, digest in pairs], dtype=bool)


def _alive_ids(
    files: Sequence[Path], alive: Mapping[str, str] | None
) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.object_]]]:
    """File number, row numbers and ids of the rows that are alive, batch by batch."""
    for number, file in enumerate(files):
        start = 0
        for batch in read_batches(file, ["id_str", "image_digest"]):
            rows = np.flatnonzero(_alive_rows(batch, alive))
            ids = np.array(batch.column("id_str").to_pylist(), dtype=object)
            yield number, start + rows, ids[rows]
            start += batch.num_rows


def _superseded_rows(
    files: Sequence[Path], alive: Mapping[str, str] | None, n_rows: int
) -> list[npt.NDArray[np.int64]]:
    """For each file the rows whose galaxy comes again later.

    Hashes find the candidates, range by range so that memory is bounded; ids decide, so that
    two galaxies whose hashes collide both stay.
    """
    repeated = _repeated_hashes(files, alive, n_rows)
    superseded: list[list[int]] = [[] for _ in files]
    latest: dict[str, tuple[int, int]] = {}
    if len(repeated):
        for number, rows, ids in _alive_ids(files, alive):
            is_candidate = np.isin(_hashes(ids), repeated)
            for row, id_str in zip(rows[is_candidate], ids[is_candidate], strict=True):
                if id_str in latest:
                    earlier_file, earlier_row = latest[id_str]
                    superseded[earlier_file].append(earlier_row)
                latest[id_str] = (number, int(row))
    return [np.array(rows, dtype=np.int64) for rows in superseded]


def _repeated_hashes(
    files: Sequence[Path], alive: Mapping[str, str] | None, n_rows: int
) -> npt.NDArray[np.uint64]:
    """The hashes that more than one row has."""
    n_ranges = max(1, math.ceil(n_rows / HASHES_IN_MEMORY))
    repeated = []
    for part in range(n_ranges):
        hashes = [np.empty(0, dtype=np.uint64)]
        for _, _, ids in _alive_ids(files, alive):
            batch_hashes = _hashes(ids)
            hashes.append(batch_hashes[batch_hashes % n_ranges == part])
        values, counts = np.unique(np.concatenate(hashes), return_counts=True)
        repeated.append(values[counts > 1])
    return np.concatenate(repeated)


def _hashes(ids: npt.NDArray[np.object_]) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each id, the same in every run."""
    return np.asarray(pd.util.hash_array(ids, categorize=False), dtype=np.uint64)


def _kept_rows(
    files: Sequence[Path],
    alive: Mapping[str, str] | None,
    superseded: Sequence[npt.NDArray[np.int64]],
    schema: pa.Schema,
) -> Iterator[pa.Table]:
    """The catalogue's rows, batch by batch."""
    columns = list(dict.fromkeys([*schema.names, "image_digest"]))
    for file, lost in zip(files, superseded, strict=True):
        start = 0
        for batch in read_batches(file, columns):
            rows = np.arange(start, start + batch.num_rows)
            keep = _alive_rows(batch, alive) & ~np.isin(rows, lost)
            start += batch.num_rows
            kept = pa.table(batch.filter(pa.array(keep))).select(schema.names)
            yield kept.cast(schema)


def _placed(table: pa.Table, positions: pd.DataFrame) -> pa.Table:
    """The rows at the positions the survey has now."""
    now = positions.reindex(table.column("id_str").to_pylist())
    for name in ("ra_deg", "dec_deg"):
        values = pa.array(now[name].to_numpy(), pa.float64())
        table = table.set_column(
            table.schema.get_field_index(name), table.schema.field(name), values
        )
    return table
