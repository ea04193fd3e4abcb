"""Tables as files: whatever the format and the place, read batch by batch."""

from galaxyloop.table_files.batches import Batch, MalformedRow, TableColumn
from galaxyloop.table_files.id_digits import FLOAT_ID, IdDigits, check_id_digits
from galaxyloop.table_files.reading import read_batches, read_columns, read_header

__all__ = [
    "FLOAT_ID",
    "Batch",
    "IdDigits",
    "MalformedRow",
    "TableColumn",
    "check_id_digits",
    "read_batches",
    "read_columns",
    "read_header",
]
