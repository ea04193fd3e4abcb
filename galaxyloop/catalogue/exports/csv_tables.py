"""A catalogue as csv, streamed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from galaxyloop.catalogue.exports.files import complete_file
from galaxyloop.catalogue.exports.table import ExportTable


def write_csv(table: ExportTable, path: Path) -> None:
    """Write a catalogue as csv in UTF-8, columns named as in the catalogue.

    Missing values are empty. Numbers have the digits that give back the same float32 or float64.
    Read ids as text (``dtype={"id_str": str}``): software else takes them for numbers.
    """
    names = [column.name for column in table.columns]
    schema = pa.schema([pa.field(column.name, column.type) for column in table.columns])
    with complete_file(path) as file, pa_csv.CSVWriter(file, schema) as writer:
        for batch in table.batches():
            values = [_without_nan(batch.column(name)) for name in names]
            writer.write_table(pa.table(values, schema=schema))


def _without_nan(values: pa.Array) -> pa.Array:
    """NaN as null, which csv leaves empty."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
