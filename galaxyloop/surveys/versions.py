"""Versions of a survey as they lie on disk."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from galaxyloop.errors import ManifestError
from galaxyloop.surveys.manifest import REJECT_COLUMNS

FORMAT = 1
_TEXT = pa.string()
CHUNK_SCHEMA = pa.schema(
    {
        "id_str": _TEXT,
        "image_uri": _TEXT,
        "ra_deg": pa.float64(),
        "dec_deg": pa.float64(),
        "survey": _TEXT,
        "group_id": _TEXT,
        "image_digest": _TEXT,
        "healpix_29": pa.int64(),
    }
)
GALAXY_SCHEMA = pa.schema([*CHUNK_SCHEMA, pa.field("chunk", pa.int32())])
REJECT_SCHEMA = pa.schema([(name, _TEXT) for name in REJECT_COLUMNS]).set(
    0, pa.field("row", pa.int64())
)


@dataclass(frozen=True)
class SurveyVersion:
    """One state of a survey; ``chunks`` name the files in ``chunks/``."""

    directory: Path
    name: str
    digest: str
    """Over the galaxies (id, image, group, position) and the list of chunks."""
    chunks: tuple[str, ...]
    """Digests of the chunks, oldest first: of two rows of one galaxy the later counts."""
    n_galaxies: int
    n_rejected: int
    n_added: int
    n_changed: int
    n_removed: int
    previous: str | None
    """Digest of the version this one grew from."""

    @classmethod
    def open(cls, directory: str | Path) -> "SurveyVersion":
        """Open what ``version_survey`` wrote.

        Raises:
            ManifestError: there is no survey version, or one of another format.
        """
        path = Path(directory) / "survey.json"
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise ManifestError(f"{directory} holds no survey version (survey.json)") from error
        if content.pop("format") != FORMAT:
            raise ManifestError(f"{path} is of another format; make the survey version again")
        return cls(directory=Path(directory), **{**content, "chunks": tuple(content["chunks"])})

    @cached_property
    def galaxies(self) -> pd.DataFrame:
        """All galaxies of this version in order of id, with the index of their chunk."""
        return pd.read_parquet(self.directory / "galaxies.parquet")

    @property
    def rejects(self) -> pd.DataFrame:
        """Rows of the manifest that were not used."""
        return pd.read_parquet(self.directory / "rejects.parquet")

    @cached_property
    def alive(self) -> dict[str, str]:
        """The fingerprint of each galaxy's image in this version, by id."""
        return dict(zip(self.galaxies["id_str"], self.galaxies["image_digest"], strict=True))

    def read_chunk(self, digest: str) -> pd.DataFrame:
        """The rows of one chunk, those that have died since included."""
        return pd.read_parquet(self.directory / "chunks" / f"{digest}.parquet")


def write_table(frame: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Write the schema's columns; equal rows give equal bytes."""
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    pa.parquet.write_table(table.replace_schema_metadata(None), path, compression="zstd")
