"""Flyte is told of a config what it always was, but works it out once."""

import pytest
from flytekit.core.type_engine import DataclassTransformer, TypeEngine

from galaxyloop.catalogue import ProductsConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.vote_tables.settings import VoteSource
from tasks import literal_types

CONFIGS = [CutoutConfig, ProductsConfig, VoteSource]


@pytest.mark.parametrize("config", CONFIGS)
def test_describe__says_what_flytekit_says(config: type) -> None:
    told = TypeEngine.to_literal_type(config)
    expected = literal_types._describe(DataclassTransformer(), config)
    assert told.to_flyte_idl() == expected.to_flyte_idl()


def test_describe__asks_flytekit_once_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(literal_types, "_described", {})
    original = literal_types._describe
    monkeypatch.setattr(
        literal_types, "_describe", lambda self, kind: asked.append(kind) or original(self, kind)
    )
    for _ in range(2):
        TypeEngine.to_literal_type(CutoutConfig)
    assert len(asked) == len(set(asked)) > 1
    assert CutoutConfig in asked
