"""A catalogue in its place: what stands there, what replaces it, and in which order.

``catalogue.json`` is the one pointer; each time it is replaced whole:

1. The survey version lies beside it, in a folder of its own that never changes, and the next
   version grows from it. The catalogue before stands as it did.
2. The catalogue is unfinished: its files are replaced, and those of before and now are listed.
3. It is finished, and what is left of the catalogue before is removed.

So a run that is cut short leaves the catalogue before, or one that nobody takes for finished. The
next run makes it anew, and its list of changes is against the last one that was finished.
"""

import dataclasses
import hashlib
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from galaxyloop.config import StrictConfig
from galaxyloop.errors import CatalogueError, ConfigError, StorageError
from galaxyloop.publishing.addresses import (
    join,
    list_names,
    measure,
    publish_tree,
    read_text,
    remove,
)
from galaxyloop.storage import local_path, publish_file

POINTER = "catalogue.json"
"""Beside the catalogue: what lies there."""
CATALOGUE = "catalogue.parquet"
SURVEY_SUMMARY = "survey.json"
"""Written last into a survey version and removed first: without it there is none."""
_SURVEY_FOLDER = re.compile(r"survey-[0-9a-f]{12}")


@dataclass(frozen=True)
class CatalogueRecord(StrictConfig):
    """What a catalogue was made from; equal records mean equal catalogues."""

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
    missing_chunks: list[str] = field(default_factory=list)
    """Digests of those chunks."""

    def key(self) -> tuple[object, ...]:
        """What decides whether another catalogue would be the same."""
        return self.survey_digest, self.checkpoint_digests, self.settings


@dataclass(frozen=True)
class PublishedFile(StrictConfig):
    """A file or folder that belongs to a catalogue, and what tells cheaply if it is another."""

    name: str
    n_bytes: int
    """Its size; of a folder, that of all files below it."""
    end_digest: str
    """SHA-256 of a file's last 64 KiB, where Parquet has its footer; empty for a folder."""


@dataclass(frozen=True)
class Publication(StrictConfig):
    """What ``catalogue.json`` says of its place."""

    is_finished: bool = False
    """Whether the files are those of ``catalogue``; else they are being replaced, or none is."""
    catalogue: CatalogueRecord | None = None
    """The last one that was finished: the next list of changes is against its survey version."""
    survey: str = ""
    """Digest of the survey version that the next one grows from: the catalogue's, or a later one
    of a run that has not finished, or of compaction."""
    files: list[PublishedFile] = field(default_factory=list)
    """What belongs to the catalogue; while unfinished, to the ones before and now together."""


def read_publication(output: str) -> Publication:
    """What lies at a place; nothing if another version of the code wrote it.

    Raises:
        StorageError: the place cannot be read now.
    """
    text = read_text(join(output, POINTER))
    try:
        return Publication() if text is None else Publication.from_json(text)
    except ConfigError:
        return Publication()


def read_record(output: str) -> CatalogueRecord:
    """The record of the catalogue at a place.

    Raises:
        CatalogueError: there is none, or it is not finished.
        StorageError: the place cannot be read now.
    """
    found = read_publication(output)
    if not found.is_finished or found.catalogue is None:
        raise CatalogueError(
            f"{output} holds no finished catalogue (by its {POINTER}); build it first"
        )
    return found.catalogue


def find_standing(output: str, wanted: CatalogueRecord) -> CatalogueRecord | None:
    """The record of a whole catalogue that is already what is wanted.

    Its files must be there, with the sizes and ends they were published with. What a run left that
    was cut short at its very end is removed.
    """
    found = read_publication(output)
    record = found.catalogue
    if not found.is_finished or record is None or record.key() != wanted.key() or record.n_missing:
        return None
    is_whole = all(_describe(output, file.name) == file for file in found.files)
    if not is_whole or not _find_survey(output, record.survey_digest):
        return None
    _tidy(output, found)
    return record


def find_missing_chunks(survey: str) -> list[str]:
    """Digests of the chunks of a survey version that the catalogue beside it lacks.

    Args:
        survey: address of the version; none is missing if no finished catalogue describes it.

    Raises:
        StorageError: the place cannot be read now.
    """
    output = survey.rstrip("/").rpartition("/")[0] or "."
    record = read_publication(output).catalogue
    if record is None or survey_place(output, record.survey_digest) != survey.rstrip("/"):
        return []
    return record.missing_chunks


def find_last_catalogue(survey: str) -> str:
    """The address of the finished catalogue of a survey version beside it; empty without one.

    Raises:
        StorageError: the place cannot be read now.
    """
    output = survey.rstrip("/").rpartition("/")[0] or "."
    found = read_publication(output)
    record = found.catalogue
    if not found.is_finished or record is None:
        return ""
    is_its_own = survey_place(output, record.survey_digest) == survey.rstrip("/")
    return join(output, CATALOGUE) if is_its_own else ""


def survey_place(output: str, digest: str) -> str:
    """The address of a survey version beside a catalogue."""
    return join(output, f"survey-{digest[:12]}")


def find_surveys(output: str) -> tuple[str, str]:
    """Addresses of the survey versions beside a catalogue; empty where there is none.

    Returns:
        The one to grow from, and that of the last finished catalogue.
    """
    found = read_publication(output)
    last = _find_survey(output, found.catalogue.survey_digest if found.catalogue else "")
    return _find_survey(output, found.survey) or last, last


def keep_survey(survey: Path, digest: str, output: str, base: str = "") -> Publication:
    """Put a survey version beside a catalogue, so that the next one grows from it.

    A version that is there already stays as it is, with the images' addresses of that day.

    Args:
        survey: its directory.
        digest: its digest.
        output: folder or address of the catalogue.
        base: address of the version that must be the one to grow from until now, if any must.

    Raises:
        StorageError: it cannot be written there, or another version has taken the base's place.
    """
    if not _find_survey(output, digest):
        publish_tree(survey, survey_place(output, digest), last=SURVEY_SUMMARY)
    if base and find_surveys(output)[0] != base:
        raise StorageError(
            f"{base} is no longer the survey version that the next one grows from: another run has "
            "written there since it was read; run again while nothing else does"
        )
    found = read_publication(output)
    if found.survey != digest:
        found = dataclasses.replace(found, survey=digest)
        _write_publication(output, found)
    return found


def publish_products(directory: Path, survey: Path, output: str, record: CatalogueRecord) -> str:
    """Put a catalogue, what belongs to it and its survey version where they were asked for.

    Args:
        directory: holds ``catalogue.parquet`` and the products.
        survey: directory of the survey version.
        output: folder or address.
        record: what it was made from.

    Returns:
        The place of the catalogue.

    Raises:
        StorageError: it cannot be written there.
    """
    before = keep_survey(survey, record.survey_digest, output)
    files = [_describe(str(directory), name) for name in sorted(list_names(str(directory)))]
    names = {file.name for file in files}
    stale = [file for file in before.files if file.name not in names]
    _write_publication(
        output, dataclasses.replace(before, is_finished=False, files=[*files, *stale])
    )
    for name in sorted(names):
        publish_tree(directory / name, join(output, name))
    for file in stale:
        remove(join(output, file.name))
    done = Publication(True, record, record.survey_digest, files)
    _write_publication(output, done)
    _tidy(output, done)
    return join(local_path(output) or output, CATALOGUE)


def _find_survey(output: str, digest: str) -> str:
    """The address of a whole survey version; empty if it is not there."""
    place = survey_place(output, digest)
    text = read_text(join(place, SURVEY_SUMMARY)) if digest else None
    try:
        return place if text is not None and json.loads(text)["digest"] == digest else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _write_publication(output: str, publication: Publication) -> None:
    """Replace ``catalogue.json``."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / POINTER
        path.write_text(json.dumps(publication.to_dict(), indent=1) + "\n")
        publish_file(path, join(output, POINTER))


def _tidy(output: str, now: Publication) -> None:
    """Remove survey versions that nothing is compared with or grows from, and half a pointer."""
    kept = {now.survey, now.catalogue.survey_digest if now.catalogue else ""}
    places = {survey_place(output, digest) for digest in kept}
    for name in list_names(output):
        place = join(output, name)
        if _SURVEY_FOLDER.fullmatch(name) and place not in places:
            remove(join(place, SURVEY_SUMMARY))
            remove(place)
        elif name == f"{POINTER}.partial":
            remove(place)


def _describe(folder: str, name: str) -> PublishedFile:
    """A file or folder as it is now."""
    n_bytes, end = measure(join(folder, name))
    return PublishedFile(name, n_bytes, "" if end is None else hashlib.sha256(end).hexdigest())
