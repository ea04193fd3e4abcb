"""Representations depend on pixels alone, and come back from their files as they were."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from galaxyloop.encoders import Encoder, build_encoder
from galaxyloop.errors import CheckpointError, ConfigError, RepresentationError
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.representations.config import AnomalyConfig, RepresentationConfig
from galaxyloop.representations.encoding import represent, write_representations
from galaxyloop.representations.joining import (
    RepresentationProvenance,
    join_representations,
    stamp_representations,
)
from galaxyloop.representations.table import read_representations
from galaxyloop.shards import CutoutShard, CutoutWriter
from tests.library.representation_tables import (
    random_galaxies,
    random_vectors,
    write_shard_file,
)

CONFIG = RepresentationConfig(n_threads=1)
PROVENANCE = RepresentationProvenance("toy", "1", "abc", "survey", "0.1.0", "2026-01-02")


def make_model(image_size_px: int = 16) -> GalaxyEncoder:
    with seeded(0):
        encoder = build_encoder("resnet_mini")
    return GalaxyEncoder(encoder, image_size_px, Normalisation())


def random_images(n_galaxies: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n_galaxies, 16, 16, 3), dtype=np.uint8)


def make_shard(directory: Path, n_galaxies: int) -> CutoutShard:
    directory.mkdir()
    index = random_galaxies(n_galaxies).assign(survey="toy", image_uri="")
    with CutoutWriter(directory, 16, {}) as writer:
        for row, image in zip(index.itertuples(), random_images(n_galaxies), strict=True):
            writer.append(row.id_str, row.image_digest, row.group_id, image)
    rejects = pd.DataFrame(
        columns=["row", "id_str", "image_digest", "column", "value", "reason"], dtype=str
    ).astype({"row": int})
    writer.finish(index, rejects)
    return CutoutShard.open(directory)


def test_represent__is_the_features_of_the_encoder() -> None:
    model, images = make_model().eval(), random_images(5)
    with torch.no_grad():
        expected = model.features(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(represent(model, images, CONFIG), expected, atol=1e-6)


def test_represent__depends_on_the_galaxys_pixels_alone() -> None:
    # In training mode batch statistics would mix the galaxies of a batch.
    model, images = make_model().train(), random_images(23)
    alone = np.concatenate([represent(model, image[None], CONFIG) for image in images])
    order = np.random.default_rng(1).permutation(23)
    for batch_size in (1, 7, 23):
        config = replace(CONFIG, batch_size=batch_size)
        together = represent(model, images[order], config)
        np.testing.assert_allclose(together, alone[order], atol=1e-5)
    assert model.training


def test_represent__in_bfloat16_is_near_float32() -> None:
    model, images = make_model(), random_images(6)
    exact = represent(model, images, CONFIG)
    rounded = represent(model, images, replace(CONFIG, precision="bfloat16"))
    assert rounded.dtype == np.float32
    assert not np.array_equal(rounded, exact)
    np.testing.assert_allclose(rounded, exact, atol=0.03 * exact.max())


def test_represent__of_no_galaxies_is_empty() -> None:
    assert represent(make_model(), random_images(0), CONFIG).shape == (0, 256)


def test_write_representations__come_back_with_their_ids(tmp_path: Path) -> None:
    model, shard = make_model(), make_shard(tmp_path / "shard", 9)
    path = tmp_path / "representations.parquet"
    assert write_representations(model, shard, CONFIG, path, "abc") == 9
    back = read_representations(path)
    np.testing.assert_array_equal(back.vectors, represent(model, shard.images, CONFIG))
    pd.testing.assert_frame_equal(back.galaxies, random_galaxies(9), check_dtype=False)
    assert back.footer["checkpoint_digest"] == "abc"
    assert back.footer["encoder"] == "resnet_mini"
    assert back.footer["shard_digest"] == shard.digest


def test_write_representations__are_lists_of_one_length_in_plain_parquet(tmp_path: Path) -> None:
    path = write_shard_file(tmp_path / "a.parquet", random_galaxies(4), random_vectors(4))
    kind = pq.read_schema(path).field("representation").type
    assert pa.types.is_fixed_size_list(kind)
    assert (kind.list_size, kind.value_type) == (12, pa.float32())
    column = pq.read_metadata(path).row_group(0).column(5)
    assert column.path_in_schema == "representation.list.element"
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings


def test_write_representations__refuses_cutouts_of_another_size(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "shard", 2)
    with pytest.raises(CheckpointError, match=r"cutouts of 32 px, these have 16 px"):
        write_representations(make_model(32), shard, CONFIG, tmp_path / "a", "abc")


class Diverged(torch.nn.Module):
    """A network whose weights are no numbers any more."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(torch.nan))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) * self.weight


def test_write_representations__refuses_what_is_not_finite(tmp_path: Path) -> None:
    model = GalaxyEncoder(Encoder("diverged", Diverged(), 3), 16, Normalisation())
    shard = make_shard(tmp_path / "shard", 2)
    with pytest.raises(RepresentationError, match="2 of 2 representations .* galaxy 'J00000'"):
        write_representations(model, shard, CONFIG, tmp_path / "a.parquet", "abc")
    assert not (tmp_path / "a.parquet").exists()


def join(tmp_path: Path, files: list[Path], survey: pd.DataFrame) -> pd.DataFrame:
    config = AnomalyConfig(n_neighbours=3)
    path = tmp_path / "joined.parquet"
    n_galaxies = join_representations(files, survey, config, path)
    joined = read_representations(path)
    assert n_galaxies == len(joined.galaxies)
    return joined.galaxies.assign(vector=list(joined.vectors))


def test_join_representations__keeps_who_is_in_the_survey_now(tmp_path: Path) -> None:
    galaxies, vectors = random_galaxies(30), random_vectors(30)
    old = galaxies.assign(image_digest="an older image")
    files = [
        write_shard_file(tmp_path / "a.parquet", old[:10], -vectors[:10]),
        write_shard_file(tmp_path / "b.parquet", galaxies[5:20], -vectors[5:20]),
        write_shard_file(tmp_path / "c.parquet", galaxies[10:], vectors[10:]),
    ]
    survey = galaxies[:25].assign(group_id="moved", ra_deg=1.5)
    survey["group_id"] += survey["id_str"]
    joined = join(tmp_path, files, survey).sort_values("id_str", ignore_index=True)
    # The images of galaxies 0 to 4 have changed since; those from 25 have left the survey.
    assert joined["id_str"].tolist() == galaxies["id_str"][5:25].tolist()
    expected = np.concatenate([-vectors[5:10], vectors[10:25]])
    np.testing.assert_array_equal(np.stack(joined["vector"].tolist()), expected)
    assert (joined["ra_deg"] == 1.5).all()
    assert joined["group_id"].str.startswith("moved").all()


def test_join_representations__is_the_same_however_cut_into_shards(tmp_path: Path) -> None:
    galaxies, vectors = random_galaxies(40), random_vectors(40)
    whole = [write_shard_file(tmp_path / "whole.parquet", galaxies, vectors)]
    parts = [
        write_shard_file(tmp_path / f"{i}.parquet", galaxies[i : i + 7], vectors[i : i + 7])
        for i in range(0, 40, 7)
    ]
    one, other = (join(tmp_path, files, galaxies) for files in (whole, parts))
    np.testing.assert_allclose(one["anomaly_score"], other["anomaly_score"], atol=1e-6)
    rest = ["id_str", "ra_deg", "dec_deg", "group_id", "anomaly_percentile"]
    pd.testing.assert_frame_equal(one[rest], other[rest])
    footer = read_representations(tmp_path / "joined.parquet").footer
    assert footer["checkpoint_digest"] == "abc"
    assert '"n_reference": 40' in footer["anomalies"]


def test_join_representations__refuses_files_of_two_checkpoints(tmp_path: Path) -> None:
    galaxies, vectors = random_galaxies(20), random_vectors(20)
    files = [
        write_shard_file(tmp_path / "a.parquet", galaxies[:10], vectors[:10]),
        write_shard_file(tmp_path / "b.parquet", galaxies[10:], vectors[10:], "def"),
    ]
    with pytest.raises(RepresentationError, match=r"of one checkpoint, got \['abc', 'def'\]"):
        join(tmp_path, files, galaxies)


def test_join_representations__writes_the_same_bytes_again(tmp_path: Path) -> None:
    galaxies = random_galaxies(20)
    files = [write_shard_file(tmp_path / "a.parquet", galaxies, random_vectors(20))]
    join(tmp_path, files, galaxies)
    first = (tmp_path / "joined.parquet").read_bytes()
    join(tmp_path, files, galaxies)
    assert (tmp_path / "joined.parquet").read_bytes() == first


def test_stamp_representations__adds_to_the_footer_and_changes_nothing_else(tmp_path: Path) -> None:
    galaxies = random_galaxies(20)
    files = [write_shard_file(tmp_path / "a.parquet", galaxies, random_vectors(20))]
    join(tmp_path, files, galaxies)
    plain, stamped = tmp_path / "joined.parquet", tmp_path / "stamped.parquet"
    assert stamp_representations(plain, PROVENANCE, stamped) == 20
    before, after = read_representations(plain), read_representations(stamped)
    pd.testing.assert_frame_equal(after.galaxies, before.galaxies)
    np.testing.assert_array_equal(after.vectors, before.vectors)
    assert after.footer == before.footer | asdict(PROVENANCE)
    assert pq.read_schema(stamped).equals(pq.read_schema(plain))
    other = replace(PROVENANCE, checkpoint_digest="def")
    with pytest.raises(RepresentationError, match="checkpoint abc, but the model is def"):
        stamp_representations(plain, other, tmp_path / "other.parquet")
    assert not (tmp_path / "other.parquet").exists()


def test_representation_provenance__refuses_gaps() -> None:
    with pytest.raises(RepresentationError, match=r"none for \['survey_digest'\]"):
        replace(PROVENANCE, survey_digest="")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"n_threads": 0}, "n_threads must be >= 1 or None, got 0"),
        ({"precision": "float16"}, "precision must be 'float32' or 'bfloat16', got 'float16'"),
    ],
)
def test_representation_config__refuses(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RepresentationConfig.from_dict(change)


def test_read_representations__refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(RepresentationError, match=r"none\.parquet is no file"):
        read_representations(tmp_path / "none.parquet")
    (tmp_path / "a.csv").write_text("id_str\n1\n")
    with pytest.raises(RepresentationError, match=r"a\.csv is no parquet file"):
        read_representations(tmp_path / "a.csv")
    galaxies = random_galaxies(3)
    galaxies.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(RepresentationError, match="'representation' is null"):
        read_representations(tmp_path / "b.parquet")
    lists = galaxies.assign(representation=[[1.0], [1.0, 2.0], []])
    lists.to_parquet(tmp_path / "c.parquet")
    with pytest.raises(RepresentationError, match="'representation' is list<"):
        read_representations(tmp_path / "c.parquet")


def test_read_representations__refuses_numbers_that_are_not_finite(tmp_path: Path) -> None:
    path = write_shard_file(tmp_path / "a.parquet", random_galaxies(3), random_vectors(3))
    table = pq.read_table(path)
    vectors = np.full(36, np.nan, np.float32)
    broken = pa.FixedSizeListArray.from_arrays(pa.array(vectors), 12)
    pq.write_table(table.set_column(5, "representation", broken), path)
    with pytest.raises(RepresentationError, match="missing or not finite"):
        read_representations(path)
