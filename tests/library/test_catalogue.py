"""Predictions and catalogues: round trips, counts that add up, and refusals."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from galaxyloop import catalogue as catalogue_module
from galaxyloop.catalogue import (
    CatalogueProvenance,
    catalogue_columns,
    prediction_columns,
    read_catalogue_provenance,
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
    summary = write_catalogue(shards, TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
    table = pd.read_parquet(tmp_path / "catalogue.parquet")
    assert tuple(table.columns) == catalogue_columns(TREE)
    assert table["id_str"].tolist() == ["1", "02", "3"]
    assert table["ra_deg"].isna().all()
    assert table["dec_deg"].dtype == np.float64
    assert table["bar-toy_yes_fraction"].tolist() == [0.25, 0.25, 0.75]
    assert table["bar-toy_yes_fraction_p95"].tolist() == [0.375, 0.375, 1.0]
    assert table["bar-toy_asked"].tolist() == [0.75, 0.75, 0.25]
    assert (summary.n_read, summary.n_galaxies, summary.n_dropped) == (3, 3, 0)


def test_write_catalogue__drops_galaxies_and_images_that_left_the_survey(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["kept", "gone", "changed"], digest="old")
    alive = {"kept": "old", "changed": "new", "unseen": "old"}
    summary = write_catalogue([shard], TREE, alive, PROVENANCE, tmp_path / "catalogue.parquet")
    assert pd.read_parquet(tmp_path / "catalogue.parquet")["id_str"].tolist() == ["kept"]
    assert (summary.n_read, summary.n_galaxies) == (3, 1)
    assert (summary.n_dropped, summary.n_superseded, summary.n_missing) == (2, 0, 2)


@pytest.mark.parametrize("hashes_in_memory", [2, 1000])
def test_write_catalogue__keeps_the_last_of_repeated_galaxies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashes_in_memory: int
) -> None:
    monkeypatch.setattr(catalogue_module, "HASHES_IN_MEMORY", hashes_in_memory)
    shards = [
        write_shard(tmp_path / "a", ["1", "2", "3"], 0.125),
        write_shard(tmp_path / "b", ["4", "2"], 0.25),
        write_shard(tmp_path / "c", ["2", "3"], 0.5),
    ]
    summary = write_catalogue(shards, TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
    table = pd.read_parquet(tmp_path / "catalogue.parquet").set_index("id_str")
    assert table.index.tolist() == ["1", "4", "2", "3"]
    assert table["bar-toy_yes_fraction"].tolist() == [0.125, 0.25, 0.5, 0.5]
    assert (summary.n_superseded, summary.n_dropped) == (3, 0)
    assert summary.n_read == summary.n_galaxies + summary.n_superseded


def test_write_catalogue__keeps_both_galaxies_whose_hashes_collide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        catalogue_module, "_hashes", lambda ids: np.full(len(ids), 7, dtype=np.uint64)
    )
    shards = [write_shard(tmp_path / "a", ["1", "2"]), write_shard(tmp_path / "b", ["2", "3"])]
    write_catalogue(shards, TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
    assert pd.read_parquet(tmp_path / "catalogue.parquet")["id_str"].tolist() == ["1", "2", "3"]


def test_write_catalogue__fills_row_groups_across_shards(tmp_path: Path) -> None:
    shards = [
        write_shard(tmp_path / str(i), [f"{i}-{row}" for row in range(30_000)]) for i in range(3)
    ]
    write_catalogue(shards, TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
    footer = pq.ParquetFile(tmp_path / "catalogue.parquet").metadata
    rows = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert rows == [ROW_GROUP_ROWS, 90_000 - ROW_GROUP_ROWS]
    column = footer.row_group(0).column(3)
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings
    assert not column.has_dictionary_page


def test_write_catalogue__needs_no_more_memory_for_more_shards(tmp_path: Path) -> None:
    values = np.random.default_rng(6).random((30_000, 4))  # noise, which does not compress
    index = pd.DataFrame({"id_str": [str(row) for row in range(30_000)], "image_digest": "d"})
    shard = tmp_path / "shard"
    write_predictions(
        index.assign(ra_deg=0.0, dec_deg=0.0),
        Posterior(values, values, values, values[:, :2]),
        values[:, :2],
        TREE,
        shard,
    )
    pool = pa.default_memory_pool()
    peaks = []
    for n_shards in (3, 24):
        # All but the last of the copies are superseded, so every row is read and few are written.
        write_catalogue([shard] * n_shards, TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
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
        write_catalogue([shard], TREE, None, PROVENANCE, tmp_path / name)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_write_catalogue__takes_positions_from_the_survey_as_it_is_now(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["1", "2"])
    now = pd.DataFrame({"ra_deg": [11.5, 10.5], "dec_deg": [-1.0, np.nan]}, index=["2", "1"])
    write_catalogue([shard], TREE, None, PROVENANCE, tmp_path / "c.parquet", now)
    catalogue = pd.read_parquet(tmp_path / "c.parquet")
    assert catalogue["ra_deg"].tolist() == [10.5, 11.5]
    assert np.isnan(catalogue.loc[0, "dec_deg"])


def test_write_catalogue__of_nothing_is_an_empty_table(tmp_path: Path) -> None:
    summary = write_catalogue([], TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
    assert summary.n_galaxies == 0
    assert tuple(pd.read_parquet(tmp_path / "catalogue.parquet")) == catalogue_columns(TREE)


def test_write_catalogue__leaves_no_file_when_a_shard_does_not_fit(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a", ["1"])
    other = DecisionTree("other", (Question("bulge-other", ("yes", "no")),))
    with pytest.raises(CatalogueError, match=r"tree 'other'; missing columns: \['bulge-other_yes"):
        write_catalogue([shard], other, None, PROVENANCE, tmp_path / "catalogue.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_read_catalogue_provenance__gives_back_the_footer(tmp_path: Path) -> None:
    write_catalogue([], TREE, None, PROVENANCE, tmp_path / "catalogue.parquet")
    assert read_catalogue_provenance(tmp_path / "catalogue.parquet") == PROVENANCE
    footer = pq.read_schema(tmp_path / "catalogue.parquet").metadata
    assert footer[b"galaxyloop.checkpoint_digest"] == b"ab12"


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
