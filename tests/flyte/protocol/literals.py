"""Literals: what nodes hand to one another, and what a person hands in."""

import hashlib
import importlib
from collections.abc import Mapping
from typing import Any

from flyteidl.core.literals_pb2 import (
    BindingData,
    Literal,
    LiteralCollection,
    LiteralMap,
    Scalar,
    Void,
)
from flyteidl.core.tasks_pb2 import TaskTemplate
from flytekit import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal as FlytekitLiteral

Literals = dict[str, Literal]
NOTHING = Literal(scalar=Scalar(none_type=Void()))
"""What a mapped task's list has in the place of an item that failed."""


def find_entity(name: str) -> Any:  # noqa: ANN401 - flytekit is untyped
    """The workflow or task behind a registered name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def literals_of(name: str, values: Mapping[str, object]) -> Literals:
    """Inputs of a workflow or task as literals; those that are literals already stay."""
    context = FlyteContextManager.current_context()
    entity = find_entity(name)
    kinds, types = entity.python_interface.inputs, entity.interface.inputs
    made = {}
    for key, value in values.items():
        if not isinstance(value, Literal):
            literal = TypeEngine.to_literal(context, value, kinds[key], types[key].type)
            value = literal.to_flyte_idl()
        made[key] = value
    return made


def value_of(literal: Literal, kind: type) -> Any:  # noqa: ANN401 - of any type
    """A literal as a Python value."""
    context = FlyteContextManager.current_context()
    return TypeEngine.to_python_value(context, FlytekitLiteral.from_flyte_idl(literal), kind)


def listed(*literals: Literal) -> Literal:
    """A list of literals as one."""
    return Literal(collection=LiteralCollection(literals=literals))


def resolve(data: BindingData, done: Mapping[str, Literals]) -> Literal:
    """What a node's input is bound to.

    Args:
        data: the binding.
        done: outputs of the nodes before; those of the start under an empty name.
    """
    kind = data.WhichOneof("value")
    if kind == "scalar":
        return Literal(scalar=data.scalar)
    if kind == "collection":
        return listed(*(resolve(item, done) for item in data.collection.bindings))
    if kind == "map":
        items = {key: resolve(item, done) for key, item in data.map.bindings.items()}
        return Literal(map=LiteralMap(literals=items))
    assert kind == "promise", f"no cluster resolves a binding of kind {kind}"
    found = done[data.promise.node_id][data.promise.var]
    for step in data.promise.attr_path:
        is_place = step.WhichOneof("value") == "int_value"
        found = (
            found.collection.literals[step.int_value]
            if is_place
            else found.map.literals[step.string_value]
        )
    return found


def cache_key(task: TaskTemplate, inputs: Literals) -> str:
    """What a cluster's cache is asked for: name, version, interface and inputs by their hashes."""
    ignored = set(task.metadata.cache_ignore_input_vars)
    keyed = LiteralMap(
        literals={name: _hashed(value) for name, value in inputs.items() if name not in ignored}
    )
    parts = (
        task.id.name.encode(),
        task.metadata.discovery_version.encode(),
        task.interface.SerializeToString(deterministic=True),
        keyed.SerializeToString(deterministic=True),
    )
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(digests).hexdigest()


def _hashed(literal: Literal) -> Literal:
    """The literal without a value where it has a hash."""
    if literal.hash:
        return Literal(hash=literal.hash)
    kind = literal.WhichOneof("value")
    if kind == "collection":
        return listed(*map(_hashed, literal.collection.literals))
    if kind == "map":
        items = {key: _hashed(item) for key, item in literal.map.literals.items()}
        return Literal(map=LiteralMap(literals=items))
    return literal
