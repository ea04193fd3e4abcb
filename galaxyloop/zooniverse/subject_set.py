"""A folder that Zooniverse's command line uploads as it is: pictures and a manifest."""

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from galaxyloop.errors import SubjectSetError
from galaxyloop.storage import whole_directory
from galaxyloop.zooniverse.config import SubjectSetConfig
from galaxyloop.zooniverse.instructions import write_instructions
from galaxyloop.zooniverse.pictures import MAX_BYTES, Picture, encode_jpeg

MANIFEST = "manifest.csv"
FILE_COLUMN = "file"
ID_COLUMN = "#id_str"
UNKNOWN = "-999"
"""Stands for a number that is not known: a subject's metadata has no NaN."""
_JPEG_START = b"\xff\xd8\xff"
_BLANK = {"", "nan", "none", "null", "<na>"}


@dataclass(frozen=True)
class SubjectSetSummary:
    """What is in a subject set."""

    n_subjects: int
    n_originals: int
    n_cutouts: int
    why_cutouts: dict[str, int]
    """Why originals are not shown, to how many these are."""
    n_bytes: int


def write_subject_set(
    subjects: pd.DataFrame,
    pictures: Iterable[Picture],
    config: SubjectSetConfig,
    model: str,
    directory: Path,
) -> SubjectSetSummary:
    """Write a JPEG a galaxy, manifest.csv and README.md.

    Keys that begin with ``#`` are hidden from volunteers everywhere, those with ``!`` while they
    classify. Names of files tell nobody which galaxy it is. No cell is blank or NaN, which the
    upload would not survive.

    Args:
        subjects: ``rank``, ``id_str``, ``ra_deg``, ``dec_deg``, ``information_nats``,
            ``most_informative_question``, ``n_votes`` (so far), ``votes_wanted``; a row a galaxy.
        pictures: one a galaxy, in the same order.
        config: quality of the JPEGs, name of the set.
        model: the model that chose them, as ``name/version``.
        directory: appears complete or not at all.

    Raises:
        SubjectSetError: there is no galaxy, or Zooniverse would refuse the set.
        StorageError: the directory exists already.
    """
    if subjects.empty:
        raise SubjectSetError(
            "a subject set needs at least one galaxy, got none; raise the budget, widen the sky "
            "regions, or ask for more votes before galaxies retire"
        )
    rows, origins, whys = [], Counter[str](), Counter[str]()
    with whole_directory(directory) as draft:
        for subject, picture in zip(subjects.to_dict("records"), pictures, strict=True):
            row = _manifest_row({str(name): value for name, value in subject.items()}, model)
            row |= {"#image": picture.origin}
            (draft / row[FILE_COLUMN]).write_bytes(encode_jpeg(picture.image, config.jpeg_quality))
            rows.append(row)
            origins[picture.origin] += 1
            whys.update([picture.why] if picture.why else [])
        with (draft / MANIFEST).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        n_bytes = check_subject_set(draft)
        found = (len(rows), origins["original"], origins["cutout"], dict(whys.most_common()))
        summary = SubjectSetSummary(*found, n_bytes)
        told = write_instructions(
            summary.n_subjects, n_bytes, config, _say_images(summary), rows[0]
        )
        (draft / "README.md").write_text(told, encoding="utf-8")
    return summary


def check_subject_set(directory: Path) -> int:
    """Refuse a folder that the upload would refuse, or take and spoil.

    Returns:
        Bytes of all pictures.

    Raises:
        SubjectSetError: there is no manifest or no row, a cell is blank, a picture is missing,
            empty, too large, no JPEG or there twice, or two rows are of one galaxy.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise SubjectSetError(f"{directory} holds no {MANIFEST}; write the subject set again")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise SubjectSetError(f"{path} has no rows; a subject set needs at least one galaxy")
    for number, row in enumerate(rows, start=2):
        for name, value in row.items():
            if name is None or value is None or value.strip().casefold() in _BLANK:
                raise SubjectSetError(
                    f"{path}, line {number}: '{name}' is {value!r}; give every cell a value, "
                    f"{UNKNOWN} where a number is not known"
                )
    for name in (FILE_COLUMN, ID_COLUMN):
        value, n = Counter(row[name] for row in rows).most_common(1)[0]
        if n > 1:
            raise SubjectSetError(f"{path} has {n} rows with {name} '{value}'; keep one of them")
    return sum(_check_picture(directory / row[FILE_COLUMN]) for row in rows)


def _check_picture(path: Path) -> int:
    """The size of a picture that Zooniverse takes."""
    if not path.is_file():
        raise SubjectSetError(f"{path} is in the manifest, but not there; write the set again")
    content = path.read_bytes()
    if not content.startswith(_JPEG_START) or len(content) >= MAX_BYTES:
        raise SubjectSetError(
            f"{path} must be a JPEG of fewer than {MAX_BYTES} bytes, got {len(content)} bytes that "
            f"begin with {content[:4]!r}; lower image_size_px or jpeg_quality, and write it again"
        )
    return len(content)


def _manifest_row(subject: Mapping[str, object], model: str) -> dict[str, str]:
    """One galaxy as its subject's metadata."""
    id_str = str(subject["id_str"])
    name = hashlib.sha256(id_str.encode()).hexdigest()[:12]
    return {
        FILE_COLUMN: f"{subject['rank']:06}-{name}.jpg",
        ID_COLUMN: id_str,
        "!ra": _number(subject["ra_deg"]),
        "!dec": _number(subject["dec_deg"]),
        "#galaxyloop_model": model,
        "#rank": str(subject["rank"]),
        "#information_nats": _number(subject["information_nats"], 6),
        "#most_informative_question": str(subject["most_informative_question"]),
        "#votes_before": str(subject["n_votes"]),
        "#retirement_limit": str(subject["votes_wanted"]),
    }


def _number(value: object, digits: int = 10) -> str:
    """A number without needless digits; ``UNKNOWN`` if it is none."""
    is_known = isinstance(value, float | int) and math.isfinite(value)
    return f"{value:.{digits}g}" if is_known else UNKNOWN


def _say_images(summary: SubjectSetSummary) -> str:
    """Which images the pictures are of."""
    if not summary.n_cutouts:
        return "All pictures are of the survey's original images."
    if not summary.why_cutouts:
        return "All pictures are the model's cutouts, enlarged."
    whys = "; ".join(f"{n} x {why}" for why, n in summary.why_cutouts.items())
    return (
        f"{summary.n_originals} pictures are of the survey's original images, {summary.n_cutouts} "
        f"are the model's cutouts, enlarged, because of the original: {whys}. `#image` in the "
        "manifest says which is which."
    )
