"""Reading a manifest's table as text, some rows at a time, each with its number and its file."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from galaxyloop.errors import ManifestError
from galaxyloop.storage import local_path
from galaxyloop.surveys.positions import find_positions
from galaxyloop.table_files import Batch, IdDigits, TableColumn, read_batches, read_columns

N_COLUMNS_REASON = "another number of columns than the header"
_OPTIONAL = ("survey", "group_id")
_IDS = ("id_str", "group_id")
_BATCH_ROWS = 50_000
_KNOWN_IDS = {
    "iauname",
    "object_id",
    "dr8_id",
    "dr7objid",
    "dr8objid",
    "objid",
    "id",
    "zooniverse_id",
}
_READABLE = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_null,
)


@dataclass(frozen=True)
class TextBatch:
    """Some rows of a manifest as text, under the names that a manifest has for its columns."""

    cells: pd.DataFrame
    """The row's 0-based number is the index."""
    ragged: pd.DataFrame
    """``row, value`` of every csv row that has another number of cells than the header."""
    file: str
    """The file that they came from."""


@dataclass(frozen=True)
class ManifestTable:
    """A manifest's table, whose columns that mean something are read as text."""

    uri: str
    names: Mapping[str, str]
    """The manifest's name of each column to the table's own."""
    packed_images: str
    """Column of encoded images that stands for ``image_uri``; empty if there is one."""
    max_bytes: int
    """Bound on what is fetched or unzipped to a temporary file."""

    @classmethod
    def open(cls, uri: str, id_column: str, image_column: str, max_bytes: int) -> "ManifestTable":
        """Look at a table's columns.

        Args:
            uri: path, address or pattern.
            id_column: holds the ids; empty means ``id_str``.
            image_column: holds encoded images, used if there is no ``image_uri``.
            max_bytes: bound on what is fetched or unzipped to a temporary file.

        Raises:
            ManifestError: it is not a table, or lacks a column.
            StorageError: the network failed; it may work later.
        """
        columns = read_columns(uri, ManifestError, max_bytes)
        names, is_packed = _choose_columns(columns, uri, id_column or "id_str", image_column)
        return cls(uri, names, image_column if is_packed else "", max_bytes)

    def batches(self) -> Iterator[TextBatch]:
        """The rows, some at a time.

        Raises:
            ManifestError: a cell is neither text nor a number; at the end, if ids lost digits.
            StorageError: the network failed; it may work later.
        """
        digits = {name: IdDigits() for name in _IDS if name in self.names}
        wanted = list(dict.fromkeys(self.names.values()))
        for batch in read_batches(self.uri, wanted, _BATCH_ROWS, ManifestError, self.max_bytes):
            cells = {
                name: _as_text(batch.table.column(own), own, name in _IDS, batch.file)
                for name, own in self.names.items()
            }
            for name, found in digits.items():
                found.add(cells[name])
            if self.packed_images:
                cells["image_uri"] = _rows_of_images(batch, self.packed_images)
            ragged = [(line.row, line.text) for line in batch.malformed]
            yield TextBatch(
                cells=pa.table(cells).to_pandas().set_axis(pd.Index(batch.rows), axis=0),
                ragged=pd.DataFrame(ragged, columns=["row", "value"]),
                file=batch.file,
            )
        _check_digits(digits, self.names, self.uri)


def _choose_columns(
    columns: Sequence[TableColumn], uri: str, id_column: str, image_column: str
) -> tuple[dict[str, str], bool]:
    """The manifest's names to the table's own, and whether images are packed in the table."""
    kinds = {column.name: column.kind for column in columns}
    is_packed = "image_uri" not in kinds and holds_images(kinds.get(image_column))
    needed = [id_column] if is_packed else [id_column, "image_uri"]
    missing = [name for name in needed if name not in kinds]
    if missing:
        shown = ", ".join(list(kinds)[:20]) + (" ..." if len(kinds) > 20 else "")
        raise ManifestError(
            f"{uri} lacks the columns {', '.join(missing)}; it has: {shown}; a manifest needs "
            f"{', '.join(needed)}{_hints(kinds, id_column, image_column, missing)}"
        )
    names = {"id_str": id_column} | ({} if is_packed else {"image_uri": "image_uri"})
    names |= find_positions(columns, uri)
    return names | {name: name for name in _OPTIONAL if name in kinds}, is_packed


def _hints(
    kinds: Mapping[str, pa.DataType], id_column: str, image_column: str, missing: Sequence[str]
) -> str:
    """Which settings would make the table a manifest."""
    ids = [name for name in kinds if name.casefold() in _KNOWN_IDS]
    images = [name for name, kind in kinds.items() if holds_images(kind)]
    hints = ""
    if id_column in missing and ids:
        hints += f"; set id_column if one of {', '.join(ids)} names the images"
    if "image_uri" in missing and images:
        hints += f"; set image_column if {', '.join(images)} holds encoded images"
    elif "image_uri" in missing and image_column in kinds:
        hints += f"; {image_column} holds {kinds[image_column]}, no encoded images"
    return hints


def holds_images(kind: pa.DataType | None) -> bool:
    """Whether a column may hold files: bytes, or a struct with bytes."""
    if kind is None:
        return False
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and holds_images(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _rows_of_images(batch: Batch, image_column: str) -> pa.Array:
    """Where the images of a batch lie: file, column and row of the file."""
    path = local_path(batch.file)
    file = batch.file if path is None else os.path.abspath(path)
    if not file.endswith((".parquet", ".pq")):
        raise ManifestError(
            f"{batch.file} holds images in its column {image_column}; name it *.parquet, so that "
            "they can be found in it"
        )
    rows = pa.array(batch.file_rows).cast(pa.string())
    return pc.binary_join_element_wise(pa.scalar(f"{file}#{image_column}/"), rows, "")


def _as_text(column: pa.Array, name: str, is_id: bool, uri: str) -> pa.Array:
    """Text cells; whole numbers become text exactly, an id in floating point is refused."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if is_id and pa.types.is_floating(kind):
        raise ManifestError(
            f"{uri} holds {name} as {kind}, which rounds long ids; store it as text or as whole "
            "numbers"
        )
    if not any(is_kind(kind) for is_kind in _READABLE):
        raise ManifestError(f"{uri} holds {name} as {kind}; store it as text or as numbers")
    return pc.fill_null(column.cast(pa.string()), "")


def _check_digits(digits: Mapping[str, IdDigits], names: Mapping[str, str], uri: str) -> None:
    """Refuse ids that lost their last digits."""
    for name, found in digits.items():
        complaint = found.complaint()
        if complaint:
            raise ManifestError(f"{uri}: in column '{names[name]}' {complaint}")
