"""Encoders come by name, give features, and unknown or unreachable ones are refused."""

import pytest
import torch

from galaxyloop.encoders import ENCODERS, build_encoder
from galaxyloop.errors import PretrainedWeightsError, UnknownNameError


def test_build_encoder__a_mistake_in_building_is_no_failed_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("kernel size must be odd")

    monkeypatch.setattr("timm.create_model", broken)
    with pytest.raises(RuntimeError, match="^kernel size must be odd$"):
        build_encoder("resnet10t")
    with pytest.raises(PretrainedWeightsError, match="cannot be fetched: kernel size"):
        build_encoder("resnet10t", pretrained=True)


@pytest.mark.parametrize("name", [*ENCODERS, "resnet10t", "mobilenetv3_small_050"])
def test_build_encoder__gives_one_feature_vector_a_galaxy(name: str) -> None:
    encoder = build_encoder(name).eval()
    features = encoder(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, encoder.n_features)


def test_resnet_mini__has_about_a_million_weights_and_sixteen_positions() -> None:
    encoder = build_encoder("resnet_mini")
    n_weights = sum(parameter.numel() for parameter in encoder.parameters())
    assert 1.2e6 < n_weights < 1.3e6
    last = encoder.network.forward_features(torch.zeros(1, 3, 64, 64))
    assert last.shape == (1, 256, 4, 4)


def test_build_encoder__unknown_name_shows_close_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"no encoder 'resnet_mny'.*resnet_mini"):
        build_encoder("resnet_mny")


def test_build_encoder__own_encoders_have_no_published_weights() -> None:
    with pytest.raises(PretrainedWeightsError, match="'resnet_mini' has no published weights"):
        build_encoder("resnet_mini", pretrained=True)


def test_build_encoder__offline_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PretrainedWeightsError, match=r"hf-hub:nobody/nothing.*go online once"):
        build_encoder("hf-hub:nobody/nothing")
