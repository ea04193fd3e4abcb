"""The place of a selection: a folder or address that holds all of it or, as told, none."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from galaxyloop.errors import ConfigError
from galaxyloop.local_files import local_path
from galaxyloop.publishing.addresses import join, list_names, remove
from galaxyloop.storage import publish_file, whole_directory
from galaxyloop.table_files.places import list_files
from galaxyloop.table_files.refusals import telling

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


def check_apart(output: str, asked_before: Sequence[str]) -> None:
    """Refuse an earlier batch that lies in the output: it would be replaced, and forgotten.

    Args:
        output: folder or address of the selection.
        asked_before: paths or addresses of earlier batches; patterns too.

    Raises:
        ConfigError: one lies there, or a pattern matches nothing.
        StorageError: the storage failed; it may work later.
    """
    for uri in asked_before:
        with telling(uri, ConfigError):
            files = list_files(uri)
        if any(_lies_in(file, output) for file in files):
            raise ConfigError(
                f"asked_before '{uri}' lies in output '{output}', which is replaced whole, so that "
                "the earlier batch would be forgotten; give each batch an output folder of its own"
            )


def _lies_in(file: str, folder: str) -> bool:
    """Whether a file is below a folder: by resolved paths on this machine, else by address."""
    path, place = local_path(file), local_path(folder)
    if path is not None and place is not None:
        return Path(path).resolve().is_relative_to(Path(place).resolve())
    return file.startswith(join(folder, ""))


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
