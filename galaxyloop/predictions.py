"""One shard's predictions: a parquet table of vote posteriors, and how such tables are written."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import CatalogueError

ROW_GROUP_ROWS = 65_536
"""Rows in each row group; readers fetch whole row groups."""
PRECISION_KEY = "galaxyloop.precision"
"""In a file's footer: the arithmetic that the encoders of its predictions ran in."""
_ANSWER_FIELDS = {"fraction": "fraction", "p05": "fraction_p05", "p95": "fraction_p95"}


@runtime_checkable
class VotePosterior(Protocol):
    """What a prediction holds; ``posterior.PosteriorSummary`` is one."""

    @property
    def fraction(self) -> npt.ArrayLike:
        """Mean vote fraction, from 0 to 1, [galaxy answer]."""

    @property
    def p05(self) -> npt.ArrayLike:
        """5 % point of the vote fraction, [galaxy answer]."""

    @property
    def p95(self) -> npt.ArrayLike:
        """95 % point of the vote fraction, [galaxy answer]."""

    @property
    def asked(self) -> npt.ArrayLike:
        """Probability that a volunteer is asked, from 0 to 1, [galaxy question]."""


@dataclass(frozen=True)
class ImageQuality:
    """How far each galaxy's posterior may be trusted, judging by its image."""

    feature_distance: npt.ArrayLike
    """Distance from the training galaxies; above 1 is out of their distribution; NaN where the
    model has no reference, [galaxy]."""
    flags: npt.ArrayLike
    """Bits of ``flags.FLAGS``, [galaxy]."""


def prediction_columns(tree: DecisionTree) -> tuple[str, ...]:
    """The columns of a shard's predictions in order."""
    answers = [name for column in tree.columns for name in answer_columns(column)]
    questions = [
        f"{question}_{quantity}"
        for question in tree.question_names
        for quantity in ("asked", "information_nats")
    ]
    fixed = ("id_str", "ra_deg", "dec_deg", "image_digest")
    return (*fixed, *answers, *questions, "feature_distance", "flags")


def write_predictions(
    index: pd.DataFrame,
    posterior: VotePosterior,
    information_nats: npt.ArrayLike,
    tree: DecisionTree,
    path: Path,
    quality: ImageQuality | None = None,
) -> None:
    """Write one shard's predictions; arguments and errors as for ``prediction_table``.

    Args:
        index: see there.
        posterior: see there.
        information_nats: see there.
        tree: see there.
        path: the parquet file; appears by renaming when it is complete.
        quality: see there.
    """
    table = prediction_table(index, posterior, information_nats, tree, quality)
    write_row_groups(iter([table]), table.schema, path)


def prediction_table(
    index: pd.DataFrame,
    posterior: VotePosterior,
    information_nats: npt.ArrayLike,
    tree: DecisionTree,
    quality: ImageQuality | None = None,
) -> pa.Table:
    """Predictions of some galaxies as they are written.

    Args:
        index: id_str, image_digest, and ra_deg, dec_deg (NaN where unknown), a row a galaxy.
        posterior: the summary of each galaxy's posterior, in the index's order.
        information_nats: what one more set of votes would tell, [galaxy question].
        tree: whose answers and questions these are.
        quality: of the images; without it no distance is known and no flag is set.

    Raises:
        CatalogueError: an array has another shape than (galaxies, answers or questions), or
            holds a value that is not finite.
    """
    columns: dict[str, object] = {
        "id_str": index["id_str"].to_numpy(dtype=object),
        "ra_deg": index["ra_deg"].to_numpy(dtype=np.float64),
        "dec_deg": index["dec_deg"].to_numpy(dtype=np.float64),
        "image_digest": index["image_digest"].to_numpy(dtype=object),
    }
    by_answer = (len(index), len(tree.columns))
    for field, ending in _ANSWER_FIELDS.items():
        values = _checked(field, getattr(posterior, field), by_answer)
        columns |= {f"{column}_{ending}": values[:, i] for i, column in enumerate(tree.columns)}
    by_question = (len(index), len(tree.questions))
    for ending, given in {"asked": posterior.asked, "information_nats": information_nats}.items():
        values = _checked(ending, given, by_question)
        columns |= {f"{name}_{ending}": values[:, i] for i, name in enumerate(tree.question_names)}
    return pa.table(
        columns | _quality_columns(quality, len(index)),
        schema=table_schema(prediction_columns(tree)),
    )


def answer_columns(column: str) -> list[str]:
    """The three columns of one answer: mean, 5 % and 95 % point."""
    return [f"{column}_{ending}" for ending in _ANSWER_FIELDS.values()]


def table_schema(columns: Sequence[str]) -> pa.Schema:
    """Ids are strings, coordinates float64, flags bits, everything else float32."""
    types = {"id_str": pa.string(), "image_digest": pa.string(), "flags": pa.int32()}
    types.update(ra_deg=pa.float64(), dec_deg=pa.float64())
    return pa.schema([pa.field(name, types.get(name, pa.float32())) for name in columns])


def count_predictions(path: Path, tree: DecisionTree) -> int:
    """Rows of a file of predictions.

    Raises:
        CatalogueError: it does not have exactly the prediction columns of the tree.
    """
    with pq.ParquetFile(path) as file:
        found, n_rows = file.schema_arrow, int(file.metadata.num_rows)
    expected = table_schema(prediction_columns(tree))
    if found.names != expected.names or found.types != expected.types:
        missing = [name for name in expected.names if name not in found.names]
        unknown = [name for name in found.names if name not in expected.names]
        raise CatalogueError(
            f"{path} must hold the predictions of the tree '{tree.name}'; missing columns: "
            f"{missing[:5]}, unknown columns: {unknown[:5]} (or another order or type); "
            "predict again with a checkpoint of this tree"
        )
    return n_rows


def read_precision(path: Path) -> str:
    """The arithmetic in which a file's encoders ran: float32 or bfloat16; empty if unknown."""
    footer = pq.read_schema(path).metadata or {}
    return str(footer.get(PRECISION_KEY.encode(), b"").decode())


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Some columns (None: all) of a file of predictions, at most a row group at once.

    The file is closed behind, and not buffered ahead: an open reader keeps all it has read.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(ROW_GROUP_ROWS, columns=columns and list(columns))


def write_row_groups(tables: Iterator[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Write tables in full row groups to a file that appears when complete; return the rows.

    However the rows are cut into tables, the row groups are the same.
    """
    partial = path.with_name(f".{path.name}.partial")
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    try:
        with pq.ParquetWriter(partial, schema, use_byte_stream_split=floats, **options) as writer:
            n_rows = _write_full_groups(writer, tables)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return n_rows


def _write_full_groups(writer: pq.ParquetWriter, tables: Iterator[pa.Table]) -> int:
    """Hold rows back until they fill a row group; the last one may be smaller."""
    schema = writer.schema
    waiting, n_rows = schema.empty_table(), 0
    for table in tables:
        waiting = pa.concat_tables([waiting, table.replace_schema_metadata(schema.metadata)])
        n_full = len(waiting) - len(waiting) % ROW_GROUP_ROWS
        if n_full:
            writer.write_table(waiting.slice(0, n_full), row_group_size=ROW_GROUP_ROWS)
            waiting = waiting.slice(n_full).combine_chunks()
        n_rows += len(table)
    if len(waiting):
        writer.write_table(waiting, row_group_size=ROW_GROUP_ROWS)
    return n_rows


def _quality_columns(quality: ImageQuality | None, n_galaxies: int) -> dict[str, object]:
    """Distance and flags, checked."""
    if quality is None:
        distance, flags = np.full(n_galaxies, np.nan, np.float32), np.zeros(n_galaxies, np.int32)
        return {"feature_distance": distance, "flags": flags}
    distance = np.asarray(quality.feature_distance, dtype=np.float32)
    flags = np.asarray(quality.flags, dtype=np.int32)
    for name, array in (("feature_distance", distance), ("flags", flags)):
        if array.shape != (n_galaxies,):
            raise CatalogueError(f"{name} must have the shape {(n_galaxies,)}, got {array.shape}")
    worst = np.nanmax(distance, initial=0.0)
    if np.isinf(worst) or np.nanmin(distance, initial=0.0) < 0:
        raise CatalogueError("feature_distance must be >= 0 and finite, or NaN where not known")
    return {"feature_distance": distance, "flags": flags}


def _checked(name: str, values: npt.ArrayLike, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The values as float32, after a look at their shape and finiteness."""
    array = np.asarray(values, dtype=np.float32)
    if array.shape != shape:
        raise CatalogueError(f"{name} must have the shape {shape}, got {array.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise CatalogueError(
            f"{name} must be finite, got {array[row, column]} in row {row}, column {column} "
            f"({len(bad)} such values); look at the checkpoint's log for a training that diverged"
        )
    return array
