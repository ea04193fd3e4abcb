"""Tables of representations: a row a galaxy, its vector in a column of fixed length."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from galaxyloop.config import require
from galaxyloop.errors import RepresentationError

FOOTER_PREFIX = "galaxyloop."
"""Before each key that says where a file is from, in the parquet footer."""
VECTOR = "representation"
"""The column of vectors."""
_BYTES_AT_ONCE = 64 << 20
_COLUMN_TYPES = {
    "id_str": pa.string(),
    "ra_deg": pa.float64(),
    "dec_deg": pa.float64(),
    "group_id": pa.string(),
    "image_digest": pa.string(),
    "anomaly_score": pa.float32(),
    "anomaly_percentile": pa.float32(),
}
SHARD_COLUMNS = ("id_str", "ra_deg", "dec_deg", "group_id", "image_digest")
"""Columns of a shard's representations, before the vectors."""
SURVEY_COLUMNS = (
    "id_str",
    "ra_deg",
    "dec_deg",
    "group_id",
    "anomaly_score",
    "anomaly_percentile",
)
"""Columns of a survey's representations, before the vectors."""

RepresentationJudge = Callable[[pd.DataFrame, int], pd.DataFrame]
"""Takes rows with their vectors, and the vectors' length; returns ``row, column, value, reason``
of every fault."""


@dataclass(frozen=True)
class Representations:
    """The representations of a survey or a shard in memory: 4 bytes a galaxy and feature."""

    galaxies: pd.DataFrame
    """``SURVEY_COLUMNS`` or ``SHARD_COLUMNS``, a row a galaxy."""
    vectors: Float32[np.ndarray, "galaxy feature"]
    """In the same order."""
    footer: dict[str, str]
    """Which checkpoint, survey and code made them."""


def table_schema(columns: Sequence[str], n_features: int) -> pa.Schema:
    """The types of some columns, with the vectors last."""
    vector = pa.list_(pa.field("element", pa.float32(), nullable=False), n_features)
    fields = [pa.field(name, _COLUMN_TYPES[name]) for name in columns]
    return pa.schema([*fields, pa.field(VECTOR, vector)])


def make_rows(
    galaxies: pd.DataFrame, vectors: Float32[np.ndarray, "galaxy feature"], schema: pa.Schema
) -> pa.Table:
    """Galaxies and their vectors as rows of a table.

    Raises:
        RepresentationError: a vector has values that are not finite; names the galaxy.
    """
    is_bad = ~np.isfinite(vectors).all(axis=1)
    if is_bad.any():
        first = galaxies["id_str"].iloc[int(np.flatnonzero(is_bad)[0])]
        raise RepresentationError(
            f"{int(is_bad.sum())} of {len(vectors)} representations are not finite, the first of "
            f"galaxy '{first}'; look at the checkpoint's log for a training that diverged, and "
            "keep precision at 'float32'"
        )
    flat = pa.array(np.ascontiguousarray(vectors).ravel())
    lists = pa.FixedSizeListArray.from_arrays(flat, type=schema.field(VECTOR).type)
    names = [name for name in schema.names if name != VECTOR]
    columns = [pa.array(galaxies[name], schema.field(name).type) for name in names]
    return pa.table([*columns, lists], schema=schema)


def write_rows(
    tables: Iterable[pa.Table], schema: pa.Schema, footer: Mapping[str, str], path: Path
) -> int:
    """Write rows as they come to a file that appears when it is complete; return how many.

    Row groups hold about 64 MB of vectors; bytes of the numbers are stored apart, which makes
    the file about 6 % smaller.
    """
    n_rows, size = 0, _row_group_rows(schema)
    schema = schema.with_metadata({FOOTER_PREFIX + key: text for key, text in footer.items()})
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    partial = path.with_name(f".{path.name}.partial")
    with pq.ParquetWriter(
        partial,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        use_byte_stream_split=[*floats, f"{VECTOR}.list.element"],
    ) as writer:
        waiting: list[pa.Table] = []
        for table in tables:
            waiting.append(table.replace_schema_metadata(schema.metadata))
            n_rows += len(table)
            if sum(map(len, waiting)) >= size:
                writer.write_table(pa.concat_tables(waiting), row_group_size=size)
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=size)
    os.replace(partial, path)
    return n_rows


def read_representations(path: Path) -> Representations:
    """Read what ``embed_survey`` wrote, or one shard's representations, whole.

    Raises:
        RepresentationError: it is no such file, or holds values that are not finite.
    """
    schema = read_schema(path)
    with pq.ParquetFile(path) as file:
        n_galaxies = int(file.metadata.num_rows)
    vectors = np.empty((n_galaxies, schema.field(VECTOR).type.list_size), np.float32)
    start = 0
    for _, part in read_parts(path, ()):
        vectors[start : start + len(part)] = part
        start += len(part)
    return Representations(read_galaxies(path), vectors, read_footer(path))


def read_galaxies(path: Path) -> pd.DataFrame:
    """Read everything but the vectors.

    Raises:
        RepresentationError: it is no file of representations.
    """
    names = [name for name in _COLUMN_TYPES if name in read_schema(path).names]
    return pd.read_parquet(path, columns=names)


def most_anomalous(galaxies: pd.DataFrame, n: int) -> pd.DataFrame:
    """The galaxies with the highest scores, the most anomalous first; of a group only that one.

    Args:
        galaxies: what ``Representations.galaxies`` of a survey holds.
        n: how many; fewer come if there are no more.

    Raises:
        RepresentationError: there are no scores.
        ConfigError: ``n`` is below 1.
    """
    require(n >= 1, f"n must be >= 1, got {n}")
    if "anomaly_score" not in galaxies:
        raise RepresentationError(
            "there are no anomaly scores among the columns "
            f"{list(galaxies.columns)}; give the representations.parquet of embed_survey, "
            "not that of one shard"
        )
    ordered = galaxies.sort_values(["anomaly_score", "id_str"], ascending=[False, True])
    return ordered.drop_duplicates("group_id").head(n).reset_index(drop=True)


def read_parts(
    path: Path, columns: Sequence[str]
) -> Iterator[tuple[pd.DataFrame, Float32[np.ndarray, "galaxy feature"]]]:
    """Some columns and the vectors of a file, at most 64 MB of vectors at once.

    Raises:
        RepresentationError: a vector is missing or has values that are not finite.
    """
    schema = read_schema(path)
    n_features = schema.field(VECTOR).type.list_size
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(_row_group_rows(schema), columns=[*columns, VECTOR]):
            lists = batch.column(VECTOR)
            vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, n_features)
            if lists.null_count or not np.isfinite(vectors).all():
                raise RepresentationError(
                    f"{path} has representations that are missing or not finite; write it again "
                    "with embed_survey"
                )
            yield batch.select(list(columns)).to_pandas(), vectors


def read_schema(path: Path) -> pa.Schema:
    """The columns of a file of representations.

    Raises:
        RepresentationError: there is no such file, or it holds no representations.
    """
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        found = "is no parquet file" if path.is_file() else "is no file"
        raise RepresentationError(
            f"{path} {found} that can be read; give the representations.parquet of embed_survey"
        ) from error
    wanted = {name: _COLUMN_TYPES[name] for name in ("id_str", "ra_deg", "dec_deg", "group_id")}
    found_types = dict(zip(schema.names, schema.types, strict=True))
    missing = [name for name, kind in wanted.items() if found_types.get(name) != kind]
    vector = found_types.get(VECTOR, pa.null())
    if missing or not _is_vector(vector):
        raise RepresentationError(
            f"{path} must hold representations: columns {', '.join(wanted)}, and '{VECTOR}' of "
            f"float32 lists of one length; missing or of another type: {missing}, and "
            f"'{VECTOR}' is {vector}; give the representations.parquet of embed_survey"
        )
    return schema


def holds_representations(path: Path) -> bool:
    """Whether a file is a table of representations."""
    try:
        read_schema(path)
    except RepresentationError:
        return False
    return True


def read_footer(path: Path) -> dict[str, str]:
    """What a file's footer says of its making."""
    prefix = FOOTER_PREFIX.encode()
    return {
        key.removeprefix(prefix).decode(): value.decode()
        for key, value in (read_schema(path).metadata or {}).items()
        if key.startswith(prefix)
    }


def _is_vector(kind: pa.DataType) -> bool:
    """Whether a type is of float32 lists of one length, of at least one number."""
    is_list = pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type)
    return bool(is_list and kind.list_size >= 1)


def _row_group_rows(schema: pa.Schema) -> int:
    """How many rows hold about 64 MB of vectors."""
    n_bytes = 4 * int(schema.field(VECTOR).type.list_size)
    return min(max(_BYTES_AT_ONCE // n_bytes, 1024), 65_536)


def check_representations(path: Path, judge: RepresentationJudge) -> int:
    """Refuse a survey's representations that their judge finds fault with.

    They are read as they were written, a part at a time; a fault between rows of two parts is not
    seen.

    Args:
        path: what ``join_representations`` wrote.
        judge: such as ``schemas.representations.judge_representations``.

    Returns:
        The rows that were judged.

    Raises:
        RepresentationError: there is a fault; names the first row, column and reason.
    """
    first_row = 0
    for rows, vectors in read_parts(path, SURVEY_COLUMNS):
        faults = judge(rows.assign(**{VECTOR: list(vectors)}), vectors.shape[1])
        if len(faults):
            fault = faults.iloc[0]
            row = "" if pd.isna(fault["row"]) else f" in row {first_row + int(fault['row'])}"
            raise RepresentationError(
                f"{path} breaks its rules{row}, column '{fault['column']}': got {fault['value']}, "
                f"{fault['reason']} ({len(faults)} such faults at least); look at the inputs of "
                "this step, then make the table again"
            )
        first_row += len(rows)
    return first_row
