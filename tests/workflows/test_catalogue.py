"""Catalogues that are kept up to date: what is computed, what is said, what is left alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from galaxyloop.catalogue import read_catalogue_provenance
from galaxyloop.errors import GalaxyloopError, MissingChunksError, TooManyRejectsError
from galaxyloop.surveys import IngestConfig
from tests.workflows.survey_night import Night, counting_encoder, open_night

pytestmark = pytest.mark.slow


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """Sixty galaxies in three chunks, catalogued."""
    with open_night(tmp_path) as night:
        night.register(1)
        night.add(range(60))
        with counting_encoder() as batches:
            told = night.build()
        assert sum(batches) == 60
        assert "60 of 60 galaxies" in told
        yield night


def test_build_catalogue__does_nothing_twice(night: Night) -> None:
    before, standing = night.stamps(), night.record()
    with counting_encoder() as batches:
        told = night.build()
    assert not batches
    assert night.stamps() == before
    assert "nothing to do" in told
    assert f"the catalogue of {standing['date']} stands" in told
    assert "toy version 1" in told


def test_build_catalogue__makes_a_file_again_that_is_not_as_it_was_published(night: Night) -> None:
    path = night.root / "catalogue" / "catalogue.parquet"
    rows = night.read()
    path.write_bytes(path.read_bytes()[:-100])
    with counting_encoder() as batches:
        told = night.build()
    assert not batches
    assert "60 of 60 galaxies" in told
    pd.testing.assert_frame_equal(night.read(), rows)


def test_build_catalogue__after_a_first_run_failed_makes_no_chunk_twice(tmp_path: Path) -> None:
    with open_night(tmp_path) as night:
        night.register(1)
        night.add(range(60))
        image = tmp_path / "images" / "g00005.png"
        content = image.read_bytes()
        image.write_bytes(b"<html>")
        ingest = IngestConfig(chunk_size=20, n_readers=1, max_image_reject_rate=0.0)
        with pytest.raises(TooManyRejectsError):
            night.build(ingest=ingest)
        shards = night.kept("cutout-shard")
        assert len(shards) == 3
        image.write_bytes(content)
        night.add(range(60, 70))
        told = night.build(ingest=ingest)
        assert len(night.kept("cutout-shard") - shards) == 1
        assert "70 of 70 galaxies" in told
        # No catalogue was finished before.
        assert "70 galaxies added, 0 changed, 0 removed" in told
        changes = pd.read_parquet(tmp_path / "catalogue" / "changes.parquet")
        assert len(changes) == 70
        assert set(changes["change"]) == {"added"}
        assert len(list((tmp_path / "catalogue").glob("survey-*"))) == 1


@pytest.mark.parametrize("with_positions", [True, False])
def test_build_catalogue__of_a_survey_grown_by_a_hundredth_predicts_only_what_is_new(
    tmp_path: Path, with_positions: bool
) -> None:
    with open_night(tmp_path) as night:
        night.register(1)
        ingest = IngestConfig(chunk_size=100, n_readers=1)
        night.add(range(200), with_positions)
        night.build(ingest=ingest)
        first = night.read().set_index("id_str")
        shards = night.kept("cutout-shard")
        # Numbers spread over the sky, and over the names.
        night.add(range(200, 202), with_positions)
        with counting_encoder() as batches:
            told = night.build(ingest=ingest)
        assert sum(batches) == 2 <= 0.02 * 202
        assert len(night.kept("cutout-shard") - shards) == 1
        grown = night.read().set_index("id_str")
        changes = pd.read_parquet(night.root / "catalogue" / "changes.parquet")
        assert "2 galaxies added, 0 changed, 0 removed" in told
        assert changes.to_numpy().tolist() == [[f"g{n:05}", "added"] for n in range(200, 202)]
        assert set(grown.index) == set(first.index) | set(changes["id_str"])
        pd.testing.assert_frame_equal(grown.loc[first.index], first)
        drift = pd.read_csv(night.root / "catalogue" / "drift.csv")
        assert set(drift["against"]) == {"last catalogue"}
        assert set(drift["n_new"]) == {202}
        assert not drift["is_flagged"].any()
        assert "DRIFT" not in told
        (run,) = logged_drift()
        assert run.data.metrics["flagged"] == 0
        assert len(run.data.metrics) == len(drift) + 1
        assert run.data.tags["galaxyloop.model"] == "toy/1"


def logged_drift() -> list[Run]:
    """Runs of catalogues that were compared with something."""
    client = MlflowClient()
    experiments = [one.experiment_id for one in client.search_experiments()]
    return list(client.search_runs(experiments, "tags.`galaxyloop.purpose` = 'catalogue'"))


def test_build_catalogue__lists_what_was_lost_and_what_has_another_image(night: Night) -> None:
    del night.positions["g00003"]
    shutil.copyfile(night.root / "images" / "g00004.png", night.root / "images" / "g00007.png")
    night.write_manifest()
    with counting_encoder() as batches:
        night.build()
    changes = pd.read_parquet(night.root / "catalogue" / "changes.parquet")
    assert changes.to_numpy().tolist() == [["g00003", "removed"], ["g00007", "changed"]]
    assert sum(batches) == 1
    table = night.read().set_index("id_str")
    assert len(table) == 59
    assert "g00003" not in table.index
    columns = [name for name in table if "toy" in name]
    first, second = (table.loc[name, columns].to_numpy(float) for name in ("g00004", "g00007"))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_build_catalogue__by_a_new_model_predicts_all_and_cuts_out_nothing(night: Night) -> None:
    first, shards = night.read(), night.kept("cutout-shard")
    digest = night.register(2)
    with counting_encoder() as batches:
        told = night.build()
    assert sum(batches) == 60
    assert night.kept("cutout-shard") == shards
    assert "toy version 2" in told
    provenance = read_catalogue_provenance(night.root / "catalogue" / "catalogue.parquet")
    assert provenance.checkpoint_digest == digest
    assert not first["smooth-toy_smooth_fraction"].equals(
        night.read()["smooth-toy_smooth_fraction"]
    )


def test_build_catalogue__of_two_models_is_their_mixture(night: Night) -> None:
    night.register(2, "other")
    with counting_encoder() as batches:
        night.build("both", further_models=["other@champion"])
        night.build("second", model="other@champion")
    assert sum(batches) == 60 * 3
    name = "smooth-toy_smooth_fraction"
    first, second, both = (night.read(folder)[name] for folder in ("catalogue", "second", "both"))
    np.testing.assert_allclose(both, (first + second) / 2, atol=2e-6)
    provenance = read_catalogue_provenance(night.root / "both" / "catalogue.parquet")
    assert provenance.members.startswith("other/1 ")
    with pytest.raises(GalaxyloopError, match="'toy/1' has the same weights as another"):
        night.build("twice", further_models=["toy/1"])


def spoil_a_shard(night: Night) -> tuple[Path, int]:
    """Take the pixels of one chunk away; where they were, and of how many galaxies."""
    path = sorted((night.root / "store" / "cutout-shard").glob("*/cutouts.npy"))[1]
    path.rename(path.with_suffix(".gone"))
    return path, len(pd.read_parquet(path.with_name("index.parquet")))


def test_build_catalogue__after_one_chunk_failed_runs_that_chunk_alone(night: Night) -> None:
    night.register(2)
    standing = night.stamps()
    path, n_lost = spoil_a_shard(night)
    with counting_encoder() as batches, pytest.raises(MissingChunksError) as caught:
        night.build()
    # The others were predicted and are kept; what stood at the output still does.
    assert sum(batches) == 60 - n_lost
    assert night.stamps() == standing
    assert f"1 of 3 chunks failed: chunk {caught.value.chunks[0][:12]} (20 galaxies), predict" in (
        str(caught.value)
    )
    assert "lacks cutouts.npy" in str(caught.value)
    path.with_suffix(".gone").rename(path)
    with counting_encoder() as batches:
        told = night.build()
    assert sum(batches) == n_lost
    assert "60 of 60 galaxies" in told


def test_build_catalogue__with_gaps_says_what_is_missing_and_is_never_whole(night: Night) -> None:
    night.register(2)
    path, n_lost = spoil_a_shard(night)
    lost = set(pd.read_parquet(path.with_name("index.parquet"))["id_str"])
    told = night.build(allow_missing=True)
    assert f"{60 - n_lost} of 60 galaxies" in told
    assert f"MISSING    {n_lost} galaxies of 1 chunks" in told
    folder = night.root / "catalogue"
    assert set(night.read()["id_str"]).isdisjoint(lost)
    assert read_catalogue_provenance(folder / "catalogue.parquet").n_missing == n_lost
    missing = pd.read_parquet(folder / "missing.parquet")
    assert set(missing["id_str"]) == lost
    assert (missing["step"] == "prediction").all()
    assert f"{n_lost} galaxies" in (folder / "card.md").read_text()
    # It is not taken for what was wanted; once mended, only the gap is filled.
    path.with_suffix(".gone").rename(path)
    with counting_encoder() as batches:
        told = night.build(allow_missing=True)
    assert sum(batches) == n_lost
    assert "60 of 60 galaxies" in told
    assert not (folder / "missing.parquet").exists()
    assert read_catalogue_provenance(folder / "catalogue.parquet").n_missing == 0
