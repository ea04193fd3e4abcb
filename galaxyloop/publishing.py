"""A catalogue in its place: what stands there, what replaces it, and in which order.

The record is removed first and written when the catalogue and its products are there; the survey
version follows. A run that is cut short in between leaves a catalogue that nobody takes for
finished, and the next one begins from the old survey version, so its list of changes is whole.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import fsspec

from galaxyloop.config import StrictConfig
from galaxyloop.errors import ConfigError, StorageError
from galaxyloop.storage import NETWORK_ERRORS, local_path, publish_file, whole_directory

RECORD = "catalogue.json"
"""Beside the catalogue: what it was made from."""
CATALOGUE = "catalogue.parquet"
SURVEY = "survey"
"""Folder beside the catalogue with the survey version that it describes."""
SURVEY_SUMMARY = "survey.json"
"""Written last into a survey version: without it there is none."""


@dataclass(frozen=True)
class CatalogueRecord(StrictConfig):
    """What a published catalogue was made from; equal records mean equal catalogues."""

    survey_digest: str
    """Of the survey version."""
    checkpoint_digests: list[str]
    """Of the models' weights, in their order."""
    settings: str
    """Settings and code versions that rows and products depend on, as JSON."""
    models: list[str] = field(default_factory=list)
    """Names and versions of the models."""
    date: str = ""
    """When it was made."""
    n_galaxies: int = 0
    """Rows of the catalogue."""
    n_missing: int = 0
    """Galaxies that should have a row and have none, because their chunk failed."""
    files: list[str] = field(default_factory=list)
    """Files and folders that belong to it."""

    def key(self) -> tuple[object, ...]:
        """What decides whether another catalogue would be the same."""
        return self.survey_digest, self.checkpoint_digests, self.settings


def read_record(output: str) -> CatalogueRecord | None:
    """The record of the catalogue at a place; None if no finished one is there.

    Raises:
        StorageError: the place cannot be read now.
    """
    text = _read_text(_join(output, RECORD))
    if text is None:
        return None
    try:
        return CatalogueRecord.from_json(text)
    except ConfigError:
        return None  # another version of the code wrote it: the catalogue is made again


def find_standing(output: str, wanted: CatalogueRecord) -> CatalogueRecord | None:
    """The record of a whole catalogue that is already what is wanted, with all its files there."""
    found = read_record(output)
    if found is None or found.key() != wanted.key() or found.n_missing:
        return None
    is_beside = _published_survey(output) == found.survey_digest
    is_there = is_beside and all(_exists(_join(output, name)) for name in found.files)
    return found if is_there else None


def _published_survey(output: str) -> str | None:
    """Digest of the survey version beside a catalogue; None if there is none that can be read."""
    text = _read_text(_join(output, f"{SURVEY}/{SURVEY_SUMMARY}"))
    try:
        return None if text is None else str(json.loads(text)["digest"])
    except (ValueError, KeyError, TypeError):
        return None


def find_survey(output: str) -> str:
    """The address of the survey version that was published with a catalogue; empty without one."""
    place = _join(output, SURVEY)
    return place if _exists(_join(place, SURVEY_SUMMARY)) else ""


def publish_products(directory: Path, survey: Path, output: str, record: CatalogueRecord) -> str:
    """Put a catalogue, what belongs to it and its survey version where they were asked for.

    Args:
        directory: holds ``catalogue.parquet`` and the products.
        survey: directory of the survey version.
        output: folder or address.
        record: what it was made from; its ``files`` are found here.

    Returns:
        The place of the catalogue.

    Raises:
        StorageError: it cannot be written there.
    """
    former = read_record(output)
    _remove(_join(output, RECORD))
    names = sorted(path.name for path in directory.iterdir())
    for name in names:
        publish_tree(directory / name, _join(output, name))
    for name in [] if former is None else former.files:
        if name not in names:
            _remove(_join(output, name))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / RECORD
        complete = dataclasses.replace(record, files=names)
        path.write_text(json.dumps(complete.to_dict(), indent=1) + "\n")
        publish_file(path, _join(output, RECORD))
    publish_tree(survey, _join(output, SURVEY), last=SURVEY_SUMMARY)
    return _join(local_path(output) or output, CATALOGUE)


def publish_tree(source: Path, uri: str, last: str = "") -> str:
    """Copy a file, or a folder with all below it, to a path or address.

    A local folder is replaced as a whole. In an object store files are replaced one by one,
    ``last`` at the end, and what does not belong there any more is then removed.

    Raises:
        StorageError: it cannot be written there.
    """
    if source.is_file():
        return publish_file(source, uri)
    if not source.is_dir():
        raise StorageError(f"{source} is gone, so {uri} is left as it is; run again")
    target = local_path(uri)
    if target is not None:
        with whole_directory(Path(target), replace=True) as draft:
            shutil.copytree(source, draft, dirs_exist_ok=True)
        return target
    names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: (name == last, name)):
        publish_file(source / name, _join(uri, name))
    _remove_others(uri, names)
    return uri


def _remove_others(uri: str, names: Sequence[str]) -> None:
    """Remove what lies below an address and is not among these names."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    try:
        kept = {f"{path.rstrip('/')}/{name}" for name in names}
        stale = [found for found in filesystem.find(path) if found not in kept]
        if stale:
            filesystem.rm(stale)
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot tidy {uri}: {error}; run again") from error


def _join(place: str, name: str) -> str:
    """An address below a folder."""
    return f"{place.rstrip('/')}/{name}"


def _exists(uri: str) -> bool:
    """Whether a file or folder is there."""
    filesystem, path = fsspec.core.url_to_fs(local_path(uri) or uri)
    try:
        filesystem.invalidate_cache()
        return bool(filesystem.exists(path))
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot look at {uri}: {error}; run again") from error


def _remove(uri: str) -> None:
    """Remove a file or folder if it is there."""
    filesystem, path = fsspec.core.url_to_fs(local_path(uri) or uri)
    try:
        filesystem.rm(path, recursive=True)
    except FileNotFoundError:
        return
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot remove {uri}: {error}; choose another output") from error


def _read_text(uri: str) -> str | None:
    """A small file's text; None if it is not there."""
    filesystem, path = fsspec.core.url_to_fs(local_path(uri) or uri)
    try:
        filesystem.invalidate_cache()
        return str(filesystem.cat_file(path).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot read {uri}: {error}; run again") from error


def fetch(uri: str, target: Path) -> Path:
    """Copy a published file or folder to this machine.

    Raises:
        StorageError: it is not there, or cannot be read now.
    """
    filesystem, path = fsspec.core.url_to_fs(local_path(uri) or uri)
    try:
        is_folder = filesystem.isdir(path)
        filesystem.get(f"{path.rstrip('/')}/" if is_folder else path, str(target), recursive=True)
    except NETWORK_ERRORS as error:
        raise StorageError(f"cannot read {uri}: {error}; give the output of a catalogue") from error
    return target
