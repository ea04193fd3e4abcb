"""What a finetuning starts from is an artefact, so that replaced weights are seen."""

from pathlib import Path

import pytest
import safetensors.torch

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import PretrainedWeightsError
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.random_streams import seeded
from tasks.finetune import resolve_encoder

SMALL = CutoutConfig(image_size_px=32)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path / "store"))


def test_resolve_encoder__makes_a_weights_file_a_checkpoint_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    run = FinetuneRun(encoder="resnet18", weights=str(path), layer_decay=0.5)
    digests = []
    for seed in (1, 2, 1):
        with seeded(seed):
            safetensors.torch.save_file(build_encoder("resnet18").network.state_dict(), path)
        (start,), told = resolve_encoder(start="", run=run, cutouts=SMALL)
        digests.append(start.digest)
        assert told == FinetuneRun(layer_decay=0.5)
    assert digests[0] == digests[2] != digests[1]


def test_resolve_encoder__leaves_other_starts_alone() -> None:
    run = FinetuneRun(encoder="resnet_mini")
    assert resolve_encoder(start="", run=run, cutouts=SMALL) == ([], run)


def test_resolve_encoder__refuses_a_file_that_is_not_there() -> None:
    run = FinetuneRun(encoder="resnet18", weights="/nowhere/model.safetensors")
    with pytest.raises(PretrainedWeightsError, match="cannot be read as safetensors"):
        resolve_encoder(start="", run=run, cutouts=SMALL)
