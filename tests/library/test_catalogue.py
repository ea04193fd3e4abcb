"""Predictions and catalogues: round trips, counts that add up, and refusals."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from galaxyloop.catalogue import (
    CatalogueProvenance,
    CatalogueSummary,
    catalogue_columns,
    prediction_columns,
    read_catalogue_provenance,
    read_catalogue_tree,
    repeats,
    write_catalogue,
    write_predictions,
)
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import CatalogueError
from galaxyloop.posterior import PosteriorConfig, summarise
from galaxyloop.predictions import ROW_GROUP_ROWS

TREE = DecisionTree(
    "toy",
    (
        Question("smooth-or-featured-toy", ("smooth", "featured")),
        Question("bar-toy", ("yes", "no"), ("smooth-or-featured-toy_featured",)),
    ),
)
PROVENANCE = CatalogueProvenance("toy-model", "3", "ab12", "toy", "0.1.0", "2026-01-02", "cd34")


@dataclass(frozen=True)
class Posterior:
    fraction: np.ndarray
    p05: np.ndarray
    p95: np.ndarray
    asked: np.ndarray


def write_shard(path: Path, ids: list[str], fraction: float = 0.25, digest: str = "d") -> Path:
    n = len(ids)
    means = np.tile([fraction, 1 - fraction], (n, 2)).astype(np.float32)
    asked = np.tile([1.0, 1 - fraction], (n, 1))
    index = pd.DataFrame(
        {"id_str": ids, "ra_deg": np.nan, "dec_deg": -1.25, "image_digest": digest, "survey": "s"}
    )
    posterior = Posterior(means, means * 0.5, np.minimum(means * 1.5, 1), asked)
    write_predictions(index, posterior, np.full((n, 2), 0.125), TREE, path)
    return path


def test_prediction_columns__name_each_answer_three_times_and_each_question_twice() -> None:
    columns = prediction_columns(TREE)
    assert columns[:5] == (
        *("id_str", "ra_deg", "dec_deg", "image_digest"),
        "smooth-or-featured-toy_smooth_fraction",
    )
    assert len(columns) == len(set(columns)) == 4 + 3 * 4 + 2 * 2 + 2
    assert columns[-4:-2] == ("bar-toy_asked", "bar-toy_information_nats")
    assert columns[-2:] == ("feature_distance", "flags")


def test_write_catalogue__gives_back_what_was_predicted(tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / "a", ["1", "02"]), write_shard(tmp_path / "b", ["3"], 0.75)]
    summary = write_catalogue(shards, TREE, PROVENANCE, tmp_path / "catalogue.parquet")
    table = pd.read_parquet(tmp_path / "catalogue.parquet")
    assert tuple(table.columns) == catalogue_columns(TREE)
    assert table["id_str"].tolist() == ["1", "02", "3"]
    assert table["ra_deg"].isna().all()
    assert table["dec_deg"].dtype == np.float64
    assert table["bar-toy_yes_fraction"].tolist() == [0.25, 0.25, 0.75]
    assert table["bar-toy_yes_fraction_p95"].tolist() == [0.375, 0.375, 1.0]
    assert table["bar-toy_asked"].tolist() == [0.75, 0.75, 0.25]
    assert (summary.n_read, summary.n_galaxies, summary.n_dropped) == (3, 3, 0)


def write_chunk(path: Path, rows: dict[str, tuple[str, bool]], ra_deg: float = 10.5) -> Path:
    """A survey's chunk: image digest and whether it is alive, by id."""
    pd.DataFrame(
        {
            "id_str": list(rows),
            "image_digest": [digest for digest, _ in rows.values()],
            "ra_deg": [ra_deg + i for i in range(len(rows))],
            "dec_deg": -1.0,
            "is_alive": [is_alive for _, is_alive in rows.values()],
        }
    ).to_parquet(path, index=False)
    return path


def test_write_catalogue__drops_galaxies_and_images_that_left_the_survey(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["kept", "gone", "changed", "absent"], digest="old")
    living = {"unseen": ("old", True), "changed": ("new", True), "kept": ("old", True)}
    chunk = write_chunk(tmp_path / "chunk", living | {"gone": ("old", False)})
    path = tmp_path / "catalogue.parquet"
    summary = write_catalogue([shard], TREE, PROVENANCE, path, [chunk])
    table = pd.read_parquet(path)
    assert table["id_str"].tolist() == ["kept"]
    assert table["ra_deg"].tolist() == [12.5]
    assert summary == CatalogueSummary(n_read=4, n_galaxies=1, n_dropped=3, n_missing=2)
    assert read_catalogue_provenance(path).n_missing == 2


def test_write_catalogue__counts_what_is_missing_on_top_of_chunks_that_failed(
    tmp_path: Path,
) -> None:
    shard = write_shard(tmp_path / "a", ["1"])
    chunk = write_chunk(tmp_path / "chunk", {"1": ("d", True), "2": ("d", True)})
    partial = replace(PROVENANCE, n_missing=100)
    summary = write_catalogue([shard], TREE, partial, tmp_path / "c.parquet", [chunk])
    assert summary.n_missing == 1
    assert read_catalogue_provenance(tmp_path / "c.parquet").n_missing == 101


def test_write_catalogue__takes_a_galaxy_from_the_chunk_where_it_lives(tmp_path: Path) -> None:
    shards = [
        write_shard(tmp_path / "a", ["1", "2"], 0.125, digest="old"),
        write_shard(tmp_path / "b", ["2"], 0.5, digest="new"),
    ]
    chunks = [
        write_chunk(tmp_path / "c1", {"1": ("old", True), "2": ("old", False)}),
        write_chunk(tmp_path / "c2", {"2": ("new", True)}),
    ]
    path = tmp_path / "catalogue.parquet"
    summary = write_catalogue(shards, TREE, PROVENANCE, path, chunks)
    table = pd.read_parquet(path)
    assert table["id_str"].tolist() == ["1", "2"]
    assert table["bar-toy_yes_fraction"].tolist() == [0.125, 0.5]
    assert (summary.n_dropped, summary.n_missing) == (1, 0)


@pytest.mark.parametrize("max_hashes", [5, 1000])
def test_write_catalogue__refuses_galaxies_predicted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_hashes: int
) -> None:
    monkeypatch.setattr(repeats, "MAX_HASHES", max_hashes)
    shards = [
        write_shard(tmp_path / "a", [f"a{i}" for i in range(40)]),
        write_shard(tmp_path / "b", [f"b{i}" for i in range(40)]),
        write_shard(tmp_path / "c", [f"a{i}" for i in range(40)]),
    ]
    with pytest.raises(CatalogueError, match=r"\d+ of \d+ galaxies compared are predicted twice"):
        write_catalogue(shards, TREE, PROVENANCE, tmp_path / "catalogue.parquet")
    assert not (tmp_path / "catalogue.parquet").exists()
    summary = write_catalogue(shards[:2], TREE, PROVENANCE, tmp_path / "catalogue.parquet")
    assert summary.n_galaxies == 80


def test_write_catalogue__refuses_another_number_of_chunks_than_files(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["1"])
    with pytest.raises(CatalogueError, match="got 1 files and 0 chunks"):
        write_catalogue([shard], TREE, PROVENANCE, tmp_path / "catalogue.parquet", [])


def test_write_catalogue__fills_row_groups_across_shards(tmp_path: Path) -> None:
    shards = [
        write_shard(tmp_path / str(i), [f"{i}-{row}" for row in range(30_000)]) for i in range(3)
    ]
    write_catalogue(shards, TREE, PROVENANCE, tmp_path / "catalogue.parquet")
    footer = pq.ParquetFile(tmp_path / "catalogue.parquet").metadata
    rows = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert rows == [ROW_GROUP_ROWS, 90_000 - ROW_GROUP_ROWS]
    column = footer.row_group(0).column(3)
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings
    assert not column.has_dictionary_page


def test_write_catalogue__needs_no_more_memory_for_more_shards(tmp_path: Path) -> None:
    values = np.random.default_rng(6).random((30_000, 4))  # noise, which does not compress
    shards, chunks = [], []
    for number in range(16):
        ids = [f"{number}-{row}" for row in range(30_000)]
        index = pd.DataFrame({"id_str": ids, "image_digest": "d", "ra_deg": 0.0, "dec_deg": 0.0})
        posterior = Posterior(values, values, values, values[:, :2])
        shards.append(tmp_path / str(number))
        write_predictions(index, posterior, values[:, :2], TREE, shards[-1])
        chunks.append(tmp_path / f"chunk-{number}")
        index.assign(is_alive=True).to_parquet(chunks[-1], index=False)
    pool = pa.default_memory_pool()
    peaks = []
    for n_shards in (3, 16):
        path = tmp_path / "catalogue.parquet"
        write_catalogue(shards[:n_shards], TREE, PROVENANCE, path, chunks[:n_shards])
        peaks.append(pool.max_memory())
    assert peaks[1] < 1.5 * peaks[0]


def test_write_predictions__takes_a_posterior_summary(tmp_path: Path) -> None:
    concentrations = 1 + 20 * torch.rand(3, 2, 4, generator=torch.Generator().manual_seed(4))
    summary = summarise(concentrations, TREE, PosteriorConfig(n_samples=3))
    index = pd.DataFrame({"id_str": ["1", "2"], "ra_deg": 0.0, "dec_deg": 0.0, "image_digest": "d"})
    write_predictions(index, summary, torch.zeros(2, 2), TREE, tmp_path / "p.parquet")
    table = pd.read_parquet(tmp_path / "p.parquet")
    expected = summary.p95[:, 3].numpy()
    np.testing.assert_array_equal(table["bar-toy_no_fraction_p95"].to_numpy(), expected)


def test_write_catalogue__writes_the_same_bytes_twice(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["1", "2"])
    for name in ("x", "y"):
        write_catalogue([shard], TREE, PROVENANCE, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_write_catalogue__of_nothing_is_an_empty_table(tmp_path: Path) -> None:
    summary = write_catalogue([], TREE, PROVENANCE, tmp_path / "catalogue.parquet")
    assert summary.n_galaxies == 0
    assert tuple(pd.read_parquet(tmp_path / "catalogue.parquet")) == catalogue_columns(TREE)


def test_write_catalogue__leaves_no_file_when_a_shard_does_not_fit(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["1"])
    other = DecisionTree("other", (Question("bulge-other", ("yes", "no")),))
    with pytest.raises(CatalogueError, match=r"tree 'other'; missing columns: \['bulge-other_yes"):
        write_catalogue([shard], other, PROVENANCE, tmp_path / "catalogue.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_read_catalogue_provenance__gives_back_the_footer(tmp_path: Path) -> None:
    write_catalogue([], TREE, PROVENANCE, tmp_path / "catalogue.parquet")
    assert read_catalogue_provenance(tmp_path / "catalogue.parquet") == PROVENANCE
    footer = pq.read_schema(tmp_path / "catalogue.parquet").metadata
    assert footer[b"galaxyloop.checkpoint_digest"] == b"ab12"
    assert read_catalogue_tree(tmp_path / "catalogue.parquet") == TREE


def test_read_catalogue_provenance__gives_back_what_an_ensemble_adds(tmp_path: Path) -> None:
    told = replace(
        PROVENANCE,
        members="toy-model/4 ef56",
        posterior="30 samples x 8 augmentations, float32",
        n_missing=7,
        previous="cc33",
    )
    write_catalogue([], TREE, told, tmp_path / "catalogue.parquet")
    assert read_catalogue_provenance(tmp_path / "catalogue.parquet") == told


def test_read_catalogue_provenance__reads_files_from_before_ensembles(tmp_path: Path) -> None:
    names = ("model_name", "model_version", "checkpoint_digest", "code_version", "date")
    footer = {f"galaxyloop.{name}": name for name in (*names, "survey_digest")}
    table = pa.table({"id_str": ["1"]}).replace_schema_metadata(
        footer | {"galaxyloop.campaign": "gz2"}
    )
    pq.write_table(table, tmp_path / "catalogue.parquet")
    read = read_catalogue_provenance(tmp_path / "catalogue.parquet")
    assert (read.model_version, read.members, read.n_missing) == ("model_version", "", None)
    assert read_catalogue_tree(tmp_path / "catalogue.parquet").name == "gz2"


def test_read_catalogue_provenance__refuses_a_file_without_it(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["1"])
    with pytest.raises(CatalogueError, match=r"no galaxyloop\.model_name, .* in its footer"):
        read_catalogue_provenance(shard)


def test_catalogue_provenance__refuses_a_gap() -> None:
    with pytest.raises(CatalogueError, match=r"got none for \['model_version'\]"):
        CatalogueProvenance("m", "", "ab12", "toy", "0.1.0", "2026-01-02", "cd34")


def test_write_predictions__refuses_values_that_are_not_finite(tmp_path: Path) -> None:
    means = np.full((2, 4), 0.5)
    means[1, 2] = np.nan
    index = pd.DataFrame({"id_str": ["1", "2"], "ra_deg": 0.0, "dec_deg": 0.0, "image_digest": "d"})
    posterior = Posterior(means, means, means, np.ones((2, 2)))
    with pytest.raises(CatalogueError, match=r"fraction must be finite, got nan in row 1, column"):
        write_predictions(index, posterior, np.zeros((2, 2)), TREE, tmp_path / "p.parquet")


def test_write_predictions__refuses_arrays_of_another_shape(tmp_path: Path) -> None:
    means = np.full((2, 4), 0.5)
    index = pd.DataFrame({"id_str": ["1", "2"], "ra_deg": 0.0, "dec_deg": 0.0, "image_digest": "d"})
    posterior = Posterior(means, means, means, np.ones((2, 2)))
    with pytest.raises(CatalogueError, match=r"information_nats must have the shape \(2, 2\)"):
        write_predictions(index, posterior, np.zeros((2, 4)), TREE, tmp_path / "p.parquet")
