"""What a cluster tries again, and what it must not hide behind a cached result."""

import importlib
import pkgutil
import typing
from collections.abc import Iterator

import pandas as pd
import pytest
from flytekit.core.context_manager import FlyteEntities
from flytekit.core.python_function_task import PythonFunctionTask

import tasks
from schemas.artefacts import Artefact
from tasks.resources import RETRIES

NEVER_HIDDEN = ("tasks.registry.", "tasks.report.", "tasks.catalogue.", "tasks.verify.")


@pytest.fixture(scope="module")
def all_tasks() -> dict[str, PythonFunctionTask]:
    for module in pkgutil.walk_packages(tasks.__path__, "tasks."):
        importlib.import_module(module.name)
    return {
        entity.name: entity
        for entity in FlyteEntities.entities
        if isinstance(entity, PythonFunctionTask) and entity.name.startswith("tasks.")
    }


def parts_of(kind: object) -> Iterator[object]:
    """A type and all types inside it."""
    yield typing.get_origin(kind) or kind
    for part in typing.get_args(kind):
        yield from parts_of(part)


def is_stored(kind: object) -> bool:
    """Whether values of a type lie in storage: artefacts and tables, also inside lists."""
    classes = (part for part in parts_of(kind) if isinstance(part, type))
    return any(issubclass(one, Artefact | pd.DataFrame) for one in classes)


def test_tasks__that_take_or_give_what_lies_in_storage_are_tried_again(
    all_tasks: dict[str, PythonFunctionTask],
) -> None:
    interfaces = {name: entity.python_interface for name, entity in all_tasks.items()}
    touching = {
        name
        for name, interface in interfaces.items()
        if any(map(is_stored, (*interface.inputs.values(), *interface.outputs.values())))
    }
    assert len(touching) > 40
    assert {name for name in touching if all_tasks[name].metadata.retries != RETRIES} == set()


@pytest.mark.parametrize("place", NEVER_HIDDEN)
def test_tasks__registration_resolution_and_reports_are_never_cached(
    place: str, all_tasks: dict[str, PythonFunctionTask]
) -> None:
    found = {name: entity for name, entity in all_tasks.items() if name.startswith(place)}
    assert len(found) > 1
    assert {name for name, entity in found.items() if entity.metadata.cache} == set()
