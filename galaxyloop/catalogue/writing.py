"""The catalogue that the chunks' predictions make: parquet, streamed chunk by chunk."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.catalogue.provenance import CatalogueProvenance, make_footer
from galaxyloop.catalogue.repeats import RepeatedIds
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import (
    answer_columns,
    count_predictions,
    read_batches,
    table_schema,
    write_row_groups,
)

_POSITION = ("ra_deg", "dec_deg")


@dataclass(frozen=True)
class CatalogueSummary:
    """What came in and went out: ``n_read = n_galaxies + n_dropped``."""

    n_read: int
    """Rows in all prediction files."""
    n_galaxies: int
    """Rows of the catalogue."""
    n_dropped: int
    """Rows of galaxies that left the survey, or whose image has changed since."""
    n_missing: int
    """Galaxies of the given chunks without a prediction (0 when no chunks are given)."""


def catalogue_columns(tree: DecisionTree) -> tuple[str, ...]:
    """The catalogue's columns in order."""
    answers = [name for column in tree.columns for name in answer_columns(column)]
    asked = [f"{question}_asked" for question in tree.question_names]
    return ("id_str", *_POSITION, *answers, *asked, "feature_distance", "flags")


def write_catalogue(
    prediction_files: Sequence[Path],
    tree: DecisionTree,
    provenance: CatalogueProvenance,
    path: Path,
    chunks: Sequence[Path] | None = None,
) -> CatalogueSummary:
    """Join the chunks' predictions to one catalogue, in the order of the files.

    Which galaxies are still in the survey is resolved chunk by chunk, so memory does not grow with
    the survey.

    Args:
        prediction_files: what ``write_predictions`` wrote, one file a chunk.
        tree: whose answers the catalogue holds.
        provenance: goes into the footer; to its ``n_missing`` (chunks that were not predicted at
            all) the galaxies missing in the given chunks are added.
        path: the parquet file; appears by renaming when it is complete.
        chunks: the survey's table of each prediction file's chunk. Rows of galaxies that are not
            ``is_alive``, or whose image was another when it was predicted, are dropped; positions
            are the chunk's, as a shard keeps those of the day it was cut out. None keeps all rows.

    Returns:
        The counts, which add up.

    Raises:
        CatalogueError: a file does not have exactly the prediction columns of the tree, there are
            more or fewer chunks than files, or galaxies are predicted twice.
    """
    pairs = _pair(prediction_files, chunks)
    n_read = sum(count_predictions(file, tree) for file in prediction_files)
    n_missing = _count_missing(pairs)
    if chunks is not None:
        total = (provenance.n_missing or 0) + n_missing
        provenance = dataclasses.replace(provenance, n_missing=total)
    schema = table_schema(catalogue_columns(tree)).with_metadata(make_footer(provenance, tree))
    n_galaxies = write_row_groups(_kept_rows(pairs, schema), schema, path)
    return CatalogueSummary(n_read, n_galaxies, n_read - n_galaxies, n_missing)


def _pair(files: Sequence[Path], chunks: Sequence[Path] | None) -> list[tuple[Path, Path | None]]:
    """Each file of predictions with its chunk."""
    if chunks is None:
        return [(file, None) for file in files]
    if len(chunks) != len(files):
        raise CatalogueError(
            f"each file of predictions needs its chunk, got {len(files)} files and {len(chunks)} "
            "chunks; leave out the chunks that have no predictions"
        )
    return list(zip(files, chunks, strict=True))


class _Chunk:
    """The living galaxies of a chunk, or no restriction."""

    def __init__(self, path: Path | None) -> None:
        """Read the chunk, if there is one."""
        self.rows: pd.DataFrame | None = None
        if path is not None:
            names = ["id_str", "image_digest", *_POSITION, "is_alive"]
            rows = pq.read_table(path, columns=names).to_pandas()
            self.rows = rows[rows["is_alive"]].reset_index(drop=True)
            self._index = pd.Index(self.rows["id_str"], dtype=object)
            self._digests = self.rows["image_digest"].to_numpy(dtype=object)
            if self._index.has_duplicates:
                raise CatalogueError(f"{path} lists a galaxy twice; make the survey version again")

    def places(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Where in the chunk each predicted galaxy stands; -1 if it is to be dropped."""
        if self.rows is None:
            return np.zeros(batch.num_rows, dtype=np.int64)
        ids = np.array(batch.column("id_str").to_pylist(), dtype=object)
        places = np.asarray(self._index.get_indexer(ids), dtype=np.int64)
        digests = np.array(batch.column("image_digest").to_pylist(), dtype=object)
        is_same = np.zeros(len(places), dtype=bool)
        found = places >= 0
        is_same[found] = self._digests[places[found]] == digests[found]
        return np.where(is_same, places, -1)


def _count_missing(pairs: Sequence[tuple[Path, Path | None]]) -> int:
    """Living galaxies without a prediction; on the way galaxies that come twice are refused."""
    repeated, n_missing = RepeatedIds(), 0
    for file, path in pairs:
        chunk, n_kept = _Chunk(path), 0
        for batch in read_batches(file, ["id_str", "image_digest"]):
            kept = chunk.places(batch) >= 0
            repeated.add(np.array(batch.column("id_str").to_pylist(), dtype=object)[kept])
            n_kept += int(kept.sum())
        n_missing += 0 if chunk.rows is None else len(chunk.rows) - n_kept
    repeated.check()
    return n_missing


def _kept_rows(pairs: Sequence[tuple[Path, Path | None]], schema: pa.Schema) -> Iterator[pa.Table]:
    """The catalogue's rows, batch by batch."""
    columns = [*schema.names, "image_digest"]
    for file, path in pairs:
        chunk = _Chunk(path)
        for batch in read_batches(file, columns):
            places = chunk.places(batch)
            kept = pa.table(batch.filter(pa.array(places >= 0))).select(schema.names)
            if chunk.rows is not None:
                kept = _placed(kept, chunk.rows.iloc[places[places >= 0]])
            yield kept.cast(schema)


def _placed(table: pa.Table, positions: pd.DataFrame) -> pa.Table:
    """The rows at the given positions."""
    for name in _POSITION:
        values = pa.array(positions[name].to_numpy(), pa.float64())
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), values)
    return table
