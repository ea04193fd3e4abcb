"""Where a catalogue comes from: fields in the footer of its parquet file."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import CatalogueError

FOOTER_PREFIX = "galaxyloop."
"""Before each key of the provenance in the parquet footer."""
_OPTIONAL = {"members", "posterior", "n_missing", "previous"}
_TREE, _KIND, _FRIENDLY = "tree", "kind", "friendly"


@dataclass(frozen=True)
class CatalogueProvenance:
    """Where a catalogue comes from; stands in its footer as ``galaxyloop.<field>``."""

    model_name: str
    """Name of the registered model."""
    model_version: str
    """Its version in that registry."""
    checkpoint_digest: str
    """Digest of the weights and their config: the same in every registry."""
    campaign: str
    """The campaign, or campaigns joined by ``+``, whose questions are answered."""
    code_version: str
    """Version or commit of the code."""
    date: str
    """When it was written, ISO 8601."""
    survey_digest: str
    """Digest of the survey version that was predicted."""
    members: str = ""
    """Further models of the ensemble, ``name/version digest`` joined by ``; ``; may be empty."""
    posterior: str = ""
    """How the posterior was computed: samples, augmentations, precision."""
    n_missing: int | None = None
    """Galaxies of the survey without a prediction; None in files that do not say."""
    previous: str = ""
    """Digest of the survey version of the catalogue before; empty for a first one."""

    def __post_init__(self) -> None:
        """Refuse gaps: a catalogue that cannot be traced is of no use."""
        fields = dataclasses.asdict(self).items()
        empty = [name for name, value in fields if name not in _OPTIONAL and not value]
        if empty:
            raise CatalogueError(
                f"a catalogue's provenance needs a text for each field, got none for {empty}"
            )

    def as_texts(self) -> dict[str, str]:
        """The fields that say something, as text."""
        fields = dataclasses.asdict(self).items()
        return {name: str(value) for name, value in fields if value not in ("", None)}


def make_footer(
    provenance: CatalogueProvenance, tree: DecisionTree, is_friendly: bool = False
) -> dict[str, str]:
    """What a catalogue's footer holds: its provenance, its tree, and which kind of table it is."""
    told = provenance.as_texts() | {_TREE: tree.to_json()}
    if is_friendly:
        told[_KIND] = _FRIENDLY
    return {FOOTER_PREFIX + name: text for name, text in told.items()}


def read_catalogue_provenance(path: Path) -> CatalogueProvenance:
    """Where a catalogue comes from, by its footer.

    Fields that were added later are empty in files from before.

    Raises:
        CatalogueError: there is no such file, it is no parquet, or its footer does not say.
    """
    texts = _read_footer(path)
    names = [field.name for field in dataclasses.fields(CatalogueProvenance)]
    missing = [name for name in names if name not in _OPTIONAL and name not in texts]
    if missing:
        raise CatalogueError(
            f"{path} has no {', '.join(FOOTER_PREFIX + name for name in missing)} in its footer; "
            "read the file that write_catalogue wrote, not a copy without its metadata"
        )
    told = {name: texts[name] for name in names if name in texts and name != "n_missing"}
    n_missing = int(texts["n_missing"]) if "n_missing" in texts else None
    return CatalogueProvenance(**told, n_missing=n_missing)


def read_catalogue_tree(path: Path) -> DecisionTree:
    """The questions that a catalogue answers; of files without them, their campaign's.

    Raises:
        CatalogueError: there is no such file, it is no parquet, or its footer does not say.
        UnknownNameError: it names a campaign that there is not.
    """
    from galaxyloop.campaigns import campaign_tree

    texts = _read_footer(path)
    if _TREE in texts:
        return DecisionTree.from_json(texts[_TREE])
    return campaign_tree(read_catalogue_provenance(path).campaign.split("+"))


def is_friendly_catalogue(path: Path) -> bool:
    """Whether a file is a friendly catalogue: without intervals, hidden where few are asked."""
    return _read_footer(path).get(_KIND) == _FRIENDLY


def _read_footer(path: Path) -> dict[str, str]:
    """Our own entries of a parquet footer."""
    try:
        footer = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        found = "is no parquet file" if path.is_file() else "is no file"
        raise CatalogueError(
            f"{path} {found} that can be read; give the catalogue.parquet of a round"
        ) from error
    texts = {key.decode(): value.decode() for key, value in footer.items()}
    return {
        key.removeprefix(FOOTER_PREFIX): text
        for key, text in texts.items()
        if key.startswith(FOOTER_PREFIX)
    }
