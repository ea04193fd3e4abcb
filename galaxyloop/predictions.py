"""One shard's predictions: a parquet table of vote posteriors, and how such tables are written."""

import os
from collections.abc import Iterator, Sequence
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


def prediction_columns(tree: DecisionTree) -> tuple[str, ...]:
    """The columns of a shard's predictions in order."""
    answers = [name for column in tree.columns for name in answer_columns(column)]
    questions = [
        f"{question}_{quantity}"
        for question in tree.question_names
        for quantity in ("asked", "information_nats")
    ]
    return ("id_str", "ra_deg", "dec_deg", "image_digest", *answers, *questions)


def write_predictions(
    index: pd.DataFrame,
    posterior: VotePosterior,
    information_nats: npt.ArrayLike,
    tree: DecisionTree,
    path: Path,
) -> None:
    """Write one shard's predictions.

    Args:
        index: id_str, image_digest, and ra_deg, dec_deg (NaN where unknown), a row a galaxy.
        posterior: the summary of each galaxy's posterior, in the index's order.
        information_nats: what one more set of votes would tell, [galaxy question].
        tree: whose answers and questions these are.
        path: the parquet file; appears by renaming when it is complete.

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
    schema = table_schema(prediction_columns(tree))
    write_row_groups(iter([pa.table(columns, schema=schema)]), schema, path)


def answer_columns(column: str) -> list[str]:
    """The three columns of one answer: mean, 5 % and 95 % point."""
    return [f"{column}_{ending}" for ending in _ANSWER_FIELDS.values()]


def table_schema(columns: Sequence[str]) -> pa.Schema:
    """Ids are strings, coordinates float64, everything else float32."""
    types = {"id_str": pa.string(), "image_digest": pa.string()}
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


def read_batches(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Some columns (None: all) of a file of predictions, at most a row group at once.

    The file is closed behind, and not buffered ahead: an open reader keeps all it has read.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(ROW_GROUP_ROWS, columns=columns and list(columns))


def write_row_groups(tables: Iterator[pa.Table], schema: pa.Schema, path: Path) -> int:
    """Write tables in full row groups to a file that appears when complete; return the rows."""
    partial = path.with_name(f".{path.name}.partial")
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    n_rows = 0
    with pq.ParquetWriter(
        partial,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        use_byte_stream_split=floats,
    ) as writer:
        waiting = schema.empty_table()
        for table in tables:
            waiting = pa.concat_tables([waiting, table.replace_schema_metadata(schema.metadata)])
            n_full = len(waiting) - len(waiting) % ROW_GROUP_ROWS
            if n_full:
                writer.write_table(waiting.slice(0, n_full), row_group_size=ROW_GROUP_ROWS)
                waiting = waiting.slice(n_full).combine_chunks()
            n_rows += len(table)
        if len(waiting):
            writer.write_table(waiting, row_group_size=ROW_GROUP_ROWS)
    os.replace(partial, path)
    return n_rows


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
