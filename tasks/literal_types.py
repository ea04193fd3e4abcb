"""How Flyte describes a config, found out once.

flytekit 1.16 describes a dataclass anew, with every dataclass inside it, for each input that is
one: with our nested configs most of the time that a pod needs to start, and half a minute for all
workflows together. A class does not change, so its description is kept.
"""

import dataclasses
from typing import Any

from flytekit.core.type_engine import DataclassTransformer
from flytekit.models.types import LiteralType

_describe = DataclassTransformer.get_literal_type
_described: dict[type, LiteralType] = {}


def install() -> None:
    """Let flytekit keep descriptions, once, before the first task is declared."""
    DataclassTransformer.get_literal_type = describe


def describe(transformer: DataclassTransformer, kind: Any) -> LiteralType:  # noqa: ANN401
    """What flytekit's own method says of a type, which is asked once a class.

    Args:
        transformer: flytekit's, of dataclasses.
        kind: a dataclass; one with annotations is not kept.
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return _describe(transformer, kind)
    if kind not in _described:
        _described[kind] = _describe(transformer, kind)
    return _described[kind]
