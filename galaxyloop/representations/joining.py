"""The representations of a survey from those of its shards, with an anomaly score for each."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from galaxyloop.errors import RepresentationError
from galaxyloop.representations.anomalies import (
    Reference,
    choose_reference,
    rank_percentiles,
)
from galaxyloop.representations.config import AnomalyConfig
from galaxyloop.representations.table import (
    SHARD_COLUMNS,
    SURVEY_COLUMNS,
    VECTOR,
    make_rows,
    read_footer,
    read_parts,
    read_schema,
    table_schema,
    write_rows,
)


@dataclass(frozen=True)
class RepresentationProvenance:
    """Where a survey's representations come from; stands in their footer."""

    model_name: str
    """Name of the registered model whose encoder was used."""
    model_version: str
    """Its version in that registry."""
    checkpoint_digest: str
    """Digest of the weights and their config: the same in every registry."""
    survey_digest: str
    """Digest of the survey version."""
    code_version: str
    """Version or commit of the code."""
    date: str
    """When it was written, ISO 8601."""

    def __post_init__(self) -> None:
        """Refuse gaps: vectors that cannot be traced cannot be compared with others."""
        empty = [name for name, value in dataclasses.asdict(self).items() if not value]
        if empty:
            raise RepresentationError(
                f"the provenance of representations needs a text for each field, got none for "
                f"{empty}"
            )


def join_representations(
    files: Sequence[Path],
    survey: pd.DataFrame,
    anomalies: AnomalyConfig,
    path: Path,
) -> int:
    """Join the shards' representations and score every galaxy, in the order of the files.

    Vectors are streamed: memory holds those of the reference, and of each galaxy its id, group
    and score.

    Args:
        files: what ``write_representations`` wrote; later files win over earlier ones.
        survey: ``id_str``, ``image_digest``, ``group_id``, ``ra_deg`` and ``dec_deg`` of the
            galaxies as they are now; rows of other galaxies or images are left out.
        anomalies: how they are scored.
        path: the parquet file; appears by renaming when it is complete. Its bytes depend on the
            other arguments alone; ``stamp_representations`` adds where it comes from.

    Returns:
        Number of galaxies.

    Raises:
        RepresentationError: the files are of several checkpoints, there are too few galaxies, or
            all representations are equal.
    """
    footer, n_features = _common_footer(files)
    galaxies = _current_rows(files, survey)
    reference, n_reference = _read_reference(files, galaxies, anomalies)
    scores = [
        reference.score(rows["group_id"].to_numpy(), vectors)
        for rows, vectors in _rows_and_vectors(files, galaxies)
    ]
    galaxies["anomaly_score"] = np.concatenate(scores)
    galaxies["anomaly_percentile"] = rank_percentiles(galaxies["anomaly_score"].to_numpy())
    footer["anomalies"] = json.dumps(anomalies.to_dict() | {"n_reference": n_reference})
    schema = table_schema(SURVEY_COLUMNS, n_features)
    tables = (make_rows(*part, schema) for part in _rows_and_vectors(files, galaxies))
    return write_rows(tables, schema, footer, path)


def stamp_representations(source: Path, provenance: RepresentationProvenance, path: Path) -> int:
    """Write a survey's representations again with where they come from in the footer.

    Args:
        source: what ``join_representations`` wrote.
        provenance: goes into the footer.
        path: the parquet file; appears by renaming when it is complete.

    Returns:
        Number of galaxies.

    Raises:
        RepresentationError: they are of another checkpoint than the provenance says.
    """
    footer, n_features = read_footer(source), read_schema(source).field(VECTOR).type.list_size
    found = footer.get("checkpoint_digest", "none")
    if found != provenance.checkpoint_digest:
        raise RepresentationError(
            f"{source} has representations by the checkpoint {found}, but the model is "
            f"{provenance.checkpoint_digest}; represent the survey again with that model"
        )
    schema = table_schema(SURVEY_COLUMNS, n_features)
    tables = (make_rows(*part, schema) for part in read_parts(source, SURVEY_COLUMNS))
    return write_rows(tables, schema, footer | dataclasses.asdict(provenance), path)


def _common_footer(files: Sequence[Path]) -> tuple[dict[str, str], int]:
    """Checkpoint, encoder and settings that the files share, and the length of their vectors."""
    digests = sorted({read_footer(file).get("checkpoint_digest", "none") for file in files})
    if len(digests) != 1:
        raise RepresentationError(
            f"all {len(files)} files must be of one checkpoint, got {digests}: representations by "
            "different encoders cannot be compared; represent the shards again with one checkpoint"
        )
    footer = read_footer(files[0])
    n_features = read_schema(files[0]).field(VECTOR).type.list_size
    return {name: footer[name] for name in ("checkpoint_digest", "encoder", "settings")}, n_features


def _current_rows(files: Sequence[Path], survey: pd.DataFrame) -> pd.DataFrame:
    """The rows that count, with their file and place in it, as the survey has them now."""
    parts = []
    for number, file in enumerate(files):
        rows = pd.read_parquet(file, columns=["id_str", "image_digest"])
        parts.append(rows.assign(file=number, place=np.arange(len(rows))))
    rows = pd.concat(parts, ignore_index=True)
    now = survey[list(SHARD_COLUMNS)]
    rows = rows.merge(now, on=["id_str", "image_digest"], how="inner")
    rows = rows.drop_duplicates("id_str", keep="last")
    return rows.sort_values(["file", "place"]).reset_index(drop=True)


def _rows_and_vectors(
    files: Sequence[Path], galaxies: pd.DataFrame
) -> Iterator[tuple[pd.DataFrame, Float32[np.ndarray, "galaxy feature"]]]:
    """Some of the galaxies at a time, with their vectors."""
    for number, file in enumerate(files):
        of_file = galaxies[galaxies["file"] == number]
        places, start = of_file["place"].to_numpy(), 0
        for _, vectors in read_parts(file, ()):
            first, last = np.searchsorted(places, (start, start + len(vectors)))
            yield of_file.iloc[first:last], vectors[places[first:last] - start]
            start += len(vectors)


def _read_reference(
    files: Sequence[Path], galaxies: pd.DataFrame, config: AnomalyConfig
) -> tuple[Reference, int]:
    """The galaxies that neighbours are looked for among, and how many they are."""
    chosen = galaxies.iloc[choose_reference(galaxies, config)]
    vectors = np.concatenate([part for _, part in _rows_and_vectors(files, chosen)])
    return Reference.of(chosen, vectors, config), len(chosen)
