"""Tables as files: whatever the format and the place, read batch by batch."""

from galaxyloop.table_files.batches import Batch, MalformedRow, TableColumn
from galaxyloop.table_files.id_digits import FLOAT_ID, IdDigits, check_id_digits
from galaxyloop.table_files.reading import read_batches, read_columns, read_header
from galaxyloop.table_files.usable_ids import CONTROL_CHARACTER, MISSING_IDS

__all__ = [
    "CONTROL_CHARACTER",
    "FLOAT_ID",
    "MISSING_IDS",
    "Batch",
    "IdDigits",
    "MalformedRow",
    "TableColumn",
    "check_id_digits",
    "read_batches",
    "read_columns",
    "read_header",
]
