"""Real galaxy images, where GALAXYLOOP_REAL_DATA names their folder."""

import os
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import IngestConfig, SurveyVersion, read_manifest, version_survey

REAL_DATA = Path(os.environ.get("GALAXYLOOP_REAL_DATA", "/nowhere"))
FOLDERS = {
    "gz2_s82_counts/images": 267,
    "gz2_hart_fractions/images": 684,
    "unlabelled/gz2_asset_images": 67,
    "unlabelled/sdss_s82_cutouts": 1135,
}

pytestmark = pytest.mark.skipif(
    not REAL_DATA.is_dir(), reason="GALAXYLOOP_REAL_DATA names no folder of real images"
)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> SurveyVersion:
    """All images as one survey, with one that is not there."""
    folder = tmp_path_factory.mktemp("real")
    files = [path for name in FOLDERS for path in sorted((REAL_DATA / name).iterdir())]
    rows = pd.DataFrame(
        {
            "id_str": [f"{path.parent.parent.name}-{path.stem}" for path in files] + ["nobody"],
            "image_uri": [str(path) for path in files] + ["nobody.jpg"],
        }
    )
    rows.to_csv(folder / "manifest.csv", index=False)
    config = IngestConfig(survey="real", chunk_size=600)
    manifest = read_manifest(str(folder / "manifest.csv"), config)
    return version_survey(manifest.galaxies, config, None, folder / "v1", manifest.rejects)


def test_cut_out_chunk__every_real_image_is_cut_out_or_rejected(
    survey: SurveyVersion, tmp_path: Path
) -> None:
    started = time.perf_counter()
    for digest in survey.chunks:
        summary = cut_out_chunk(survey.read_chunk(digest), CutoutConfig(), tmp_path / digest)
        assert summary.n_read == summary.n_galaxies + summary.n_rejected
    seconds = time.perf_counter() - started
    shards = [CutoutShard.open(tmp_path / digest, verify=True) for digest in survey.chunks]
    rejects = pd.concat([shard.rejects for shard in shards])
    cutouts = CutoutCollection(shards, survey.alive)
    n_images = sum(FOLDERS.values())
    print(f"{n_images} images in {seconds:.2f} s: {n_images / seconds:.0f} a second")  # noqa: T201
    assert rejects["id_str"].tolist() == ["nobody"]
    assert len(cutouts) == n_images
    assert survey.n_galaxies == n_images + 1
    assert cutouts.read(np.arange(len(cutouts))).std(axis=(1, 2, 3)).min() > 0


def test_cut_out_chunk__real_cutouts_are_area_averages_of_the_files(
    survey: SurveyVersion, tmp_path: Path
) -> None:
    rows = survey.read_chunk(survey.chunks[0])[:20]
    cut_out_chunk(rows, CutoutConfig(), tmp_path / "shard")
    shard = CutoutShard.open(tmp_path / "shard")
    for image, uri in zip(shard.images, shard.index["image_uri"], strict=True):
        whole = cv2.imread(uri)[:, :, ::-1]
        side = min(whole.shape[:2])
        top, left = (whole.shape[0] - side) // 2, (whole.shape[1] - side) // 2
        edges = np.arange(65) * side / 64
        overlap = np.minimum(edges[1:, None], np.arange(1, side + 1)) - np.maximum(
            edges[:-1, None], np.arange(side)
        )
        weights = np.clip(overlap, 0, None) * 64 / side
        square = whole[top : top + side, left : left + side].astype(np.float64)
        expected = np.einsum("iy,jx,yxb->ijb", weights, weights, square, optimize=True)
        np.testing.assert_allclose(image, expected, atol=0.51)


def test_version_survey__a_real_survey_grows_by_what_is_new(
    survey: SurveyVersion, tmp_path: Path
) -> None:
    columns = ["id_str", "image_uri", "ra_deg", "dec_deg", "survey", "group_id"]
    smaller = survey.galaxies[columns][:-30]
    config = IngestConfig(survey="real", chunk_size=600)
    first = version_survey(smaller, config, None, tmp_path / "v1")
    grown = version_survey(survey.galaxies[columns], config, first, tmp_path / "v2")
    assert (grown.n_added, grown.n_changed, grown.n_removed) == (30, 0, 0)
    assert grown.chunks[:-1] == first.chunks
    assert len(grown.read_chunk(grown.chunks[-1])) == 30
