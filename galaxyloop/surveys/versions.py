"""Versions of a survey as they lie on disk."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxyloop.errors import ManifestError
from galaxyloop.surveys.manifest import REJECT_COLUMNS

FORMAT = 2
_BATCH_ROWS = 65_536
_BUFFER_BYTES = 1 << 20
_TEXT = pa.string()
_ROW_SCHEMA = pa.schema(
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
CHUNK_SCHEMA = pa.schema([*_ROW_SCHEMA, pa.field("is_alive", pa.bool_())])
GALAXY_SCHEMA = pa.schema([*_ROW_SCHEMA, pa.field("chunk", pa.int32())])
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
    n_read: int
    """Rows of the manifest: each is a galaxy or a reject."""
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
            if content.pop("format") != FORMAT:
                raise ManifestError(f"{path} is of another format; make the survey version again")
            content["chunks"] = tuple(content["chunks"])
            return cls(directory=Path(directory), **content)
        except ManifestError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestError(
                f"{directory} holds no survey version (no sound survey.json); give the directory "
                "of one, such as .galaxyloop/survey-version/DIGEST"
            ) from error

    @cached_property
    def galaxies(self) -> pd.DataFrame:
        """All galaxies of this version in order of id, with the index of their chunk."""
        return pd.read_parquet(self.directory / "galaxies.parquet")

    def batches(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Some columns of ``galaxies``, in its order, in batches that memory holds."""
        file = self.directory / "galaxies.parquet"
        with pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as opened:
            for batch in opened.iter_batches(_BATCH_ROWS, columns=list(columns)):
                yield batch.to_pandas()

    @property
    def rejects(self) -> pd.DataFrame:
        """Rows of the manifest that were not used."""
        return pd.read_parquet(self.directory / "rejects.parquet")

    @cached_property
    def alive(self) -> dict[str, str]:
        """The fingerprint of each galaxy's image in this version, by id."""
        return dict(zip(self.galaxies["id_str"], self.galaxies["image_digest"], strict=True))

    def alive_in(self, chunk: str) -> dict[str, str]:
        """As ``alive``, of the galaxies of one chunk."""
        rows = self.read_chunk(chunk)
        rows = rows[rows["is_alive"]]
        return dict(zip(rows["id_str"], rows["image_digest"], strict=True))

    def count_galaxies(self) -> dict[str, int]:
        """How many galaxies of this version each chunk holds, oldest chunk first."""
        counts = np.zeros(len(self.chunks), np.int64)
        for rows in self.batches(["chunk"]):
            counts += np.bincount(rows["chunk"], minlength=len(counts))
        return dict(zip(self.chunks, map(int, counts), strict=True))

    def chunk_file(self, digest: str) -> Path:
        """The table of one chunk."""
        return self.directory / "chunks" / f"{digest}.parquet"

    def read_chunk(self, digest: str) -> pd.DataFrame:
        """The rows of one chunk; those that have died since have ``is_alive`` False."""
        return pd.read_parquet(self.chunk_file(digest))
