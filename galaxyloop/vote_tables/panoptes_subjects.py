"""The survey's id of each Panoptes subject, from the project's subjects export."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import read_batches, read_header
from galaxyloop.vote_tables.cells import read_ids

_BATCH_ROWS = 16_384
_HIDING = "#!/%"
"""Marks before a key that hide it from volunteers or index it; they are no part of the name."""
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
"""A surrogate without its partner, which JSON can escape but no text file can hold."""


@dataclass
class SubjectIds:
    """What the export says of the subjects asked for."""

    ids: dict[str, str] = field(default_factory=dict)
    """subject_id to the galaxy's id."""
    problems: dict[str, str] = field(default_factory=dict)
    """subject_id to why it has no id; a subject that is in neither is not in the export."""


def find_subject_ids(uri: str, key: str, wanted: Collection[str]) -> SubjectIds:
    """The ids that the subjects' metadata hold under a key.

    A subject may stand in several rows (one a workflow and subject set); the first that holds an
    id counts.

    Args:
        uri: path or address of the export: columns subject_id and metadata (a JSON object).
        key: with or without the mark (``#``, ``!``, ``//``, ``%``) that it was uploaded with.
        wanted: the subjects that are needed.

    Raises:
        VoteTableError: it is no such export, or is damaged.
        StorageError: the network or the storage failed; it may work later.
    """
    header = read_header(uri)
    missing = [name for name in ("subject_id", "metadata") if name not in header]
    if missing:
        raise VoteTableError(
            f"subjects: {uri} has no column {' and no column '.join(missing)} (it has "
            f"{', '.join(header[:6])}); give the subjects export of the project"
        )
    found = SubjectIds()
    for batch in read_batches(uri, ["subject_id", "metadata"], _BATCH_ROWS):
        subjects = read_ids(batch.table.column("subject_id"), "subject_id", uri)
        for subject, metadata in zip(subjects, batch.table.column("metadata"), strict=True):
            if subject in wanted and subject not in found.ids:
                id_str, problem = _read_key(str(metadata.as_py() or ""), key)
                if id_str:
                    found.ids[subject] = id_str
                else:
                    found.problems.setdefault(subject, problem)
    return found


def _read_key(metadata: str, key: str) -> tuple[str, str]:
    """The id under the key of a JSON text, or why there is none."""
    try:
        values = json.loads(metadata)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return "", "the subject's metadata is no JSON object; export the subjects again"
    return find_key(values, key)


def find_key(values: Mapping[str, object], key: str) -> tuple[str, str]:
    """The id that a subject's metadata hold under a key, or why there is none.

    Args:
        values: the metadata.
        key: with or without its mark; as it is written it goes before the same with another mark.
    """
    bare = key.lstrip(_HIDING)
    ids = {name: _as_id(value) for name, value in values.items() if name.lstrip(_HIDING) == bare}
    usable = {id_str for id_str in ids.values() if id_str}
    if len(usable) > 1 and not ids.get(key):
        return "", f"the subject has several ids under '{bare}'; name one key with its mark"
    if not usable:
        return "", f"the subject's metadata holds no id under '{key}'; choose another subject_key"
    id_str = ids.get(key) or usable.pop()
    if _HALF_CHARACTER.search(id_str):
        return "", f"the id under '{bare}' has half a character (\\ud800 to \\udfff); mend the id"
    return id_str, ""


def _as_id(value: object) -> str:
    """A JSON value as an id: text, or a whole number with all its digits."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    # A float keeps its point, by which later checks know that digits may be lost.
    return value if isinstance(value, str) else repr(value)
