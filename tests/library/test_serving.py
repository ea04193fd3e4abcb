"""A served model answers as the catalogue's job does, or refuses and names the rows."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import catalogue_columns
from galaxyloop.checkpoint import CheckpointRecords, load_checkpoint, save_checkpoint
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.errors import CheckpointError, RequestError
from galaxyloop.inference import predict_shard
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.serving import ServedModel, cutout_settings
from galaxyloop.shards import CutoutCollection
from galaxyloop.training import SupervisedRun, TrainingConfig, pretrain_supervised
from galaxyloop.training.data import describe_cutouts
from tests.library.shard_files import write_shard
from tests.library.test_inference import make_model
from tests.library.training_data import TREE, toy_survey

SETTINGS = CutoutConfig(image_size_px=16, centre_fraction=0.5, min_side_px=8)
SHORT = TrainingConfig(epochs=1, batch_size=16, n_threads=1, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint beside the shard that it was trained on."""
    directory = tmp_path_factory.mktemp("served")
    toy, votes, splits = toy_survey(48)
    shard = write_shard(directory / "shard", toy.images, toy.id_strs.tolist(), SETTINGS.to_dict())
    run = SupervisedRun(training=SHORT)
    pretrain_supervised(
        CutoutCollection([shard]), votes, splits, TREE, run, directory / "checkpoint"
    )
    return directory


@pytest.fixture(scope="module")
def served(trained: Path) -> ServedModel:
    return ServedModel.open(trained / "checkpoint")


def png(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())


def framed(cutout: np.ndarray) -> bytes:
    """An image whose central half is the cutout."""
    side = len(cutout)
    image = np.zeros((2 * side, 2 * side, 3), np.uint8)
    image[side // 2 : side // 2 + side, side // 2 : side // 2 + side] = cutout
    return png(image)


def test_checkpoint__keeps_how_its_cutouts_were_made(trained: Path) -> None:
    assert cutout_settings(trained / "checkpoint") == SETTINGS


def test_describe_cutouts__says_nothing_where_ways_were_mixed(tmp_path: Path) -> None:
    images = toy_survey(4)[0].images
    shards = [
        write_shard(tmp_path / name, images, config=CutoutConfig(centre_fraction=share).to_dict())
        for name, share in (("a", 0.5), ("b", 0.7))
    ]
    assert describe_cutouts(CutoutCollection(shards[:1]))["centre_fraction"] == 0.5
    assert describe_cutouts(CutoutCollection(shards)) == {}


def test_cutout_settings__of_an_old_checkpoint_are_the_defaults_in_its_size(
    tmp_path: Path,
) -> None:
    save_checkpoint(make_model(), tmp_path / "old", CheckpointRecords())
    assert cutout_settings(tmp_path / "old") == CutoutConfig(image_size_px=16)


def test_predict_images__gives_the_rows_of_the_catalogues_job(
    trained: Path, served: ServedModel
) -> None:
    toy = toy_survey(48)[0]
    shard = write_shard(trained / "again", toy.images, toy.id_strs.tolist())
    model = load_checkpoint(trained / "checkpoint")
    predict_shard(model, shard, PosteriorConfig(), InformationConfig(), trained / "predictions")
    columns = list(catalogue_columns(TREE))
    expected = pd.read_parquet(trained / "predictions")[columns]
    frame = shard.index[["id_str", "ra_deg", "dec_deg"]].assign(
        image=[framed(cutout) for cutout in toy.images]
    )
    parts = [served.predict_images(frame.iloc[rows]) for rows in (slice(0, 1), slice(1, 48))]
    found = pd.concat(parts, ignore_index=True)
    assert found["feature_distance"].between(0, 100).all()
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-5, atol=1e-5)
    arrays = served.predict_cutouts(toy.images)
    pd.testing.assert_frame_equal(
        arrays.iloc[:, 3:], expected.iloc[:, 3:], check_exact=False, rtol=1e-5, atol=1e-5
    )


def test_predict_images__names_the_rows_that_it_cannot_answer(served: ServedModel) -> None:
    good = framed(toy_survey(1)[0].images[0])
    images = [good, good[:-30], png(np.full((40, 40, 3), 7, np.uint8)), "image.png", good]
    with pytest.raises(RequestError) as caught:
        served.predict_images(pd.DataFrame({"image": images}))
    assert caught.value.rows == (1, 2, 3)
    for told in ("row 1: a truncated PNG", "row 2: blank", "row 3: no bytes", "leave them out"):
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"picture": [b""]}, r"needs the column 'image'.*got the columns \['picture'\]"),
        ({"image": [b""], "ra": [1.0]}, r"may have id_str, ra_deg, dec_deg; got .*'ra'"),
        ({"image": [b"GIF89a"]}, "row 0: neither JPEG nor PNG: b'GIF89a'"),
        ({"image": [b"SIMPLE  =                    T"]}, "row 0: neither JPEG nor PNG"),
        ({"image": [None]}, "row 0: no bytes"),
    ],
)
def test_predict_images__refuses(
    frame: dict[str, list[object]], message: str, served: ServedModel
) -> None:
    with pytest.raises(RequestError, match=message):
        served.predict_images(pd.DataFrame(frame))


def test_predict_images__does_not_unpack_more_pixels_than_allowed(trained: Path) -> None:
    served = ServedModel.open(trained / "checkpoint", max_image_px=1000)
    with pytest.raises(RequestError, match="row 0: more than max_image_px=1000 pixels: 32 x 32"):
        served.predict_images(pd.DataFrame({"image": [framed(toy_survey(1)[0].images[0])]}))


def test_predict_images__refuses_positions_that_are_no_numbers(served: ServedModel) -> None:
    good = framed(toy_survey(1)[0].images[0])
    with pytest.raises(RequestError, match="ra_deg must be numbers"):
        served.predict_images(pd.DataFrame({"image": [good], "ra_deg": ["10h"]}))


def test_predict_images__of_no_rows_has_the_columns(served: ServedModel) -> None:
    assert list(served.predict_images(pd.DataFrame({"image": []})).columns) == list(served.columns)


def test_served_model__refuses_another_checkpoint(trained: Path) -> None:
    with pytest.raises(CheckpointError, match=f"digest {'0' * 64}, but weights and config have"):
        ServedModel.open(trained / "checkpoint", expected_digest="0" * 64)
