"""Shards that somebody removed, or a disk damaged: what is said, and that doing it helps."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.catalogue import read_catalogue_provenance
from galaxyloop.errors import CatalogueError, MissingChunksError
from galaxyloop.surveys import IngestConfig
from tests.workflows.survey_night import Night, counting_encoder, open_night
from workflows.catalogue import verify_catalogue

pytestmark = pytest.mark.slow


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """Thirty galaxies in two chunks, catalogued."""
    with open_night(tmp_path) as night:
        night.register(1)
        night.add(range(30))
        night.build()
        yield night


def first_shard(night: Night) -> Path:
    return min((night.root / "store" / "cutout-shard").iterdir())


def change_a_byte(shard: Path) -> None:
    """Change the last pixel."""
    path = shard / "cutouts.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def remove_what_is_named(told: str) -> None:
    """Do what an error says."""
    (place,) = set(re.findall(r"(/\S+)/cutouts.npy has SHA-256 .*? remove its folder", told))
    shutil.rmtree(place)


def test_build_catalogue__cuts_out_again_what_was_removed(night: Night) -> None:
    first, shards, shard = night.read(), night.kept("cutout-shard"), first_shard(night)
    shutil.rmtree(shard)
    with counting_encoder() as batches:
        night.build("again")
    # The same pixels: nothing is predicted again.
    assert not batches
    assert night.kept("cutout-shard") == shards
    pd.testing.assert_frame_equal(night.read("again"), first)
    for kind in ("cutout-shard", "prediction"):
        shutil.rmtree(night.root / "store" / kind)
    with counting_encoder() as batches:
        night.build("all again")
    assert sum(batches) == 30
    pd.testing.assert_frame_equal(night.read("all again"), first)


def test_build_catalogue__predicts_nothing_from_a_damaged_shard(night: Night) -> None:
    night.register(2)
    night.build("sound")
    for path in (night.root / "store" / "prediction").iterdir():
        shutil.rmtree(path)
    shard = first_shard(night)
    n_damaged = len(pd.read_parquet(shard / "index.parquet"))
    change_a_byte(shard)
    with pytest.raises(MissingChunksError) as caught:
        night.build("damaged")
    assert shard.name in str(caught.value)
    assert len(night.kept("prediction")) == 1
    remove_what_is_named(str(caught.value))
    with counting_encoder() as batches:
        night.build("damaged")
    assert sum(batches) == n_damaged
    pd.testing.assert_frame_equal(night.read("damaged"), night.read("sound"))


def test_verify_catalogue__of_a_damaged_shard_tells_what_helps(night: Night) -> None:
    def verify() -> str:
        told: str = verify_catalogue(
            output=str(night.root / "catalogue"),
            kickoff=datetime(2026, 11, 22, 2, 15, tzinfo=UTC),
            ingest=IngestConfig(chunk_size=20, n_readers=1),
        )
        return told

    change_a_byte(first_shard(night))
    with pytest.raises(CatalogueError, match="has 1 faults") as caught:
        verify()
    remove_what_is_named(str(caught.value))
    assert "2 shards, every byte as it was written" in verify()


def test_build_catalogue__tells_the_precision_that_was_taken(night: Night) -> None:
    told = read_catalogue_provenance(night.root / "catalogue" / "catalogue.parquet").posterior
    assert re.fullmatch(r"3 samples x 1 views, precision (float32|bfloat16)", told)
