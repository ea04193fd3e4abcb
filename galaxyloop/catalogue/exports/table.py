"""A catalogue as exports read it: described columns, safe names, rows in batches."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxyloop.catalogue.columns import (
    CatalogueColumn,
    describe_columns,
    describe_friendly_columns,
    export_names,
)
from galaxyloop.catalogue.provenance import (
    CatalogueProvenance,
    is_friendly_catalogue,
    read_catalogue_provenance,
    read_catalogue_tree,
)
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import read_batches

_STORED = {pa.float64(): ">f8", pa.float32(): ">f4", pa.int32(): ">i4"}


@dataclass(frozen=True)
class ExportTable:
    """A catalogue, or a friendly one, to be written in another format."""

    path: Path
    """The parquet file."""
    columns: tuple[CatalogueColumn, ...]
    """Its columns, by the names they have there."""
    provenance: CatalogueProvenance
    is_friendly: bool

    @classmethod
    def open(cls, path: Path) -> "ExportTable":
        """Read what a file says of itself.

        Raises:
            CatalogueError: it is no catalogue, or has a column that its tree does not explain.
        """
        tree, is_friendly = read_catalogue_tree(path), is_friendly_catalogue(path)
        described = describe_friendly_columns(tree) if is_friendly else describe_columns(tree)
        by_name = {column.name: column for column in described}
        names = pq.read_schema(path).names
        unknown = [name for name in names if name not in by_name]
        if unknown or "id_str" not in names:
            raise CatalogueError(
                f"{path} has columns that a catalogue of the tree '{tree.name}' has not: "
                f"{unknown[:5]}; give the catalogue.parquet or catalogue_friendly.parquet of a run"
            )
        columns = tuple(by_name[name] for name in names)
        return cls(path, columns, read_catalogue_provenance(path), is_friendly)

    @property
    def title(self) -> str:
        """One line that says what the table is."""
        kind = "friendly catalogue" if self.is_friendly else "catalogue"
        told = self.provenance
        return f"galaxyloop {kind} of {told.campaign} by {told.model_name} {told.model_version}"

    @cached_property
    def n_rows(self) -> int:
        """Galaxies in it."""
        return int(pq.read_metadata(self.path).num_rows)

    @cached_property
    def renamed(self) -> tuple[CatalogueColumn, ...]:
        """The columns under names that every format takes.

        Raises:
            CatalogueError: two columns would get one name.
        """
        names = export_names([column.name for column in self.columns])
        return tuple(
            dataclasses.replace(column, name=names[column.name]) for column in self.columns
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, in the order of the file."""
        return read_batches(self.path)

    def binary_type(self) -> np.dtype:
        """One row as FITS and VOTable store it: big-endian, text at its full width.

        Raises:
            CatalogueError: a text is not ASCII, which FITS does not hold.
        """
        widths = self._text_widths()
        return np.dtype(
            [
                (renamed.name, f"S{widths[column.name]}" if column.name in widths else _of(column))
                for column, renamed in zip(self.columns, self.renamed, strict=True)
            ]
        )

    def binary_rows(self, kind: np.dtype) -> Iterator[bytes]:
        """The rows as bytes, batch by batch; nulls are NaN."""
        for batch in self.batches():
            rows = np.zeros(batch.num_rows, dtype=kind)
            for name, values in zip(kind.names or (), batch.columns, strict=True):
                if pa.types.is_string(values.type):
                    rows[name] = [text.encode("ascii") for text in values.to_pylist()]
                else:
                    rows[name] = values.to_numpy(zero_copy_only=False)
            yield rows.tobytes()

    def _text_widths(self) -> dict[str, int]:
        """The longest text of each column of texts."""
        names = [column.name for column in self.columns if column.type == pa.string()]
        widths = dict.fromkeys(names, 1)
        for batch in read_batches(self.path, names):
            for name in names:
                texts = batch.column(name)
                check_ascii(texts, name)
                longest = pc.max(pc.binary_length(texts)).as_py()
                widths[name] = max(widths[name], longest or 1)
        return widths


def check_ascii(texts: "pa.Array | pa.ChunkedArray", column: str) -> None:
    """Refuse texts that FITS and VOTable's char cannot store.

    Raises:
        CatalogueError: one has letters beyond ASCII.
    """
    is_plain = pc.string_is_ascii(texts)
    if not pc.all(is_plain, min_count=0).as_py():
        first = texts.filter(pc.invert(is_plain))[0].as_py()
        raise CatalogueError(
            f"'{first}' in the column {column} has letters beyond ASCII, which FITS and "
            "VOTable's char cannot store; export csv or hats"
        )


def _of(column: CatalogueColumn) -> str:
    """How FITS and VOTable store numbers of a column."""
    return _STORED[column.type]
