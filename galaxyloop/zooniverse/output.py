"""The place of a selection: a folder or address that holds all of it or, as told, none."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxyloop.errors import ConfigError
from galaxyloop.local_files import local_path
from galaxyloop.publishing.addresses import join, list_names, remove
from galaxyloop.storage import publish_file, whole_directory

RECORD = "selection.json"
"""Says what was chosen how; at an address it is written last, so that it stands for the whole."""


def check_place(output: str) -> None:
    """Refuse a place that holds something other than a selection: it would be replaced.

    Raises:
        ConfigError: it does.
        StorageError: the storage failed; it may work later.
    """
    names = list_names(output)
    if names and RECORD not in names:
        raise ConfigError(
            f"output '{output}' holds {', '.join(sorted(names)[:4])} and no {RECORD}; a selection "
            "replaces what is in its folder, so give it a folder of its own"
        )


@contextmanager
def whole_selection(output: str) -> Iterator[Path]:
    """A folder to write a selection in; at the end it takes its place.

    On this machine it appears complete or not at all. At an address the record of an earlier
    selection goes first and the new one comes last.

    Raises:
        StorageError: it cannot be written there.
    """
    place = local_path(output)
    if place is not None:
        with whole_directory(Path(place), replace=True) as draft:
            yield draft
        return
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch)
        yield draft
        names = [path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file()]
        for name in (RECORD, *(name for name in list_names(output) if name != RECORD)):
            remove(join(output, name))
        for name in sorted(names, key=lambda name: (name == RECORD, name)):
            publish_file(draft / name, join(output, name))
