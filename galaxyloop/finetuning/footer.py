"""How a table of predicted labels says where it comes from."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_PREFIX = "galaxyloop."
_KIND = {"kind": "labels"}


def write_labels(table: pd.DataFrame, provenance: Mapping[str, str], path: Path) -> None:
    """Write predicted labels as parquet, with their provenance in the footer."""
    whole = pa.Table.from_pandas(table, preserve_index=False)
    footer = {f"{_PREFIX}{name}": value for name, value in {**_KIND, **provenance}.items()}
    pq.write_table(whole.replace_schema_metadata({**(whole.schema.metadata or {}), **footer}), path)


def read_label_provenance(path: Path) -> dict[str, str] | None:
    """What the footer of a table of predicted labels says; None of any other file."""
    try:
        footer = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    told = {
        key.decode().removeprefix(_PREFIX): value.decode()
        for key, value in footer.items()
        if key.startswith(_PREFIX.encode())
    }
    return told if told.items() >= _KIND.items() else None
