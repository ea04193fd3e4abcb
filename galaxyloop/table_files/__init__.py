"""Tables as files: whatever the format and the place, read batch by batch."""

from galaxyloop.table_files.batches import Batch, MalformedRow, read_batches, read_header

__all__ = ["Batch", "MalformedRow", "read_batches", "read_header"]
