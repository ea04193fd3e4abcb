"""What a catalogue was made of, what that was made of in turn, and so on down to the votes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyloop.errors import CatalogueError

if TYPE_CHECKING:
    from galaxyloop.surveys import SurveyVersion

_HIDDEN = {"tree", "kind"}
"""Entries of a footer that say nothing of its making."""


@dataclass(frozen=True)
class Origin:
    """One thing, and what it was made of."""

    what: str
    """Its kind: ``catalogue``, ``model``, ``training``, ``votes`` and so on."""
    name: str
    """What it is called, or its digest."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is known of it."""
    made_of: tuple["Origin", ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "what": self.what,
            "name": self.name,
            "facts": dict(self.facts),
            "made_of": [one.to_dict() for one in self.made_of],
        }


def describe_origin(origin: Origin) -> str:
    """The whole tree as text, a line a thing and a line a fact."""
    return "\n".join(_lines(origin, "", ""))


def _lines(origin: Origin, before: str, below: str) -> Iterator[str]:
    """The lines of a thing and of all below it."""
    yield f"{before}{origin.what} {origin.name}"
    bar = "│ " if origin.made_of else "  "
    for name, fact in origin.facts.items():
        yield f"{below}{bar}  {name}: {fact}"
    for one in origin.made_of:
        is_last = one is origin.made_of[-1]
        fork, further = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        yield from _lines(one, below + fork, below + further)


def read_provenance(path: Path) -> dict[str, str]:
    """What the footer of a catalogue, of labels or of representations says of its making.

    Raises:
        CatalogueError: it is none of them.
    """
    return _read_kind(path)[1]


def _read_kind(path: Path) -> tuple[str, dict[str, str]]:
    """Which of the three a file is, and what its footer says."""
    from galaxyloop.catalogue import read_catalogue_provenance
    from galaxyloop.finetuning.footer import read_label_provenance
    from galaxyloop.representations.table import holds_representations, read_footer

    told = read_label_provenance(path)
    if told is not None:
        return "labels", told
    if holds_representations(path):
        return "representations", read_footer(path)
    return "catalogue", read_catalogue_provenance(path).as_texts()


def trace_survey(digest: str, place: Path | None, id_str: str = "") -> Origin:
    """A survey version, with the image of one galaxy if one is asked for.

    Args:
        digest: of the version.
        place: its directory; None if it is not at hand, and only its digest is told.
        id_str: the galaxy.

    Raises:
        CatalogueError: the version does not hold that galaxy.
        ManifestError: the directory holds no survey version.
    """
    from galaxyloop.surveys import SurveyVersion

    if place is None:
        return Origin("survey", digest, {"version": "not at hand, so only its digest is known"})
    version = SurveyVersion.open(place)
    facts = {
        "name": version.name,
        "galaxies": f"{version.n_galaxies} of {version.n_read} rows of the manifest",
        "chunks": str(len(version.chunks)),
        "grown from": version.previous or "nothing",
    }
    image = (_trace_image(version, id_str),) if id_str else ()
    return Origin("survey", version.digest, facts, image)


def _trace_image(version: "SurveyVersion", id_str: str) -> Origin:
    """The image of a galaxy, and the chunk it is in."""
    for rows in version.batches(["id_str", "image_uri", "image_digest", "group_id", "chunk"]):
        found = rows[rows["id_str"] == id_str]
        if len(found):
            row = found.iloc[0]
            facts = {
                "galaxy": id_str,
                "fingerprint": str(row["image_digest"]),
                "group": str(row["group_id"]),
                "chunk": version.chunks[int(row["chunk"])],
            }
            return Origin("image", str(row["image_uri"]), facts)
    raise CatalogueError(
        f"the survey version {version.digest[:12]} holds no galaxy '{id_str}'; give an id_str as "
        "it stands in the catalogue"
    )


def trace_file(path: Path, name: str, id_str: str, made_of: tuple[Origin, ...]) -> Origin:
    """A catalogue, labels or representations, or a row of them.

    Args:
        path: the file.
        name: what to call it.
        id_str: of the row; empty for the whole.
        made_of: the survey version and the models.

    Raises:
        CatalogueError: the file does not say where it is from, or has no such row.
    """
    kind, told = _read_kind(path)
    facts = {key: text for key, text in told.items() if key not in _HIDDEN}
    whole = Origin(kind, name, facts, made_of)
    if not id_str:
        return whole
    import pyarrow.parquet as pq

    if not pq.read_table(path, columns=["id_str"], filters=[("id_str", "==", id_str)]).num_rows:
        raise CatalogueError(f"{name} has no row '{id_str}'; give an id_str of its own")
    return Origin("row", id_str, {}, (whole,))
