"""Errors keep their message and their numbers on the way from one process to another."""

import pickle

import pytest

from galaxyloop.errors import (
    ConfigError,
    GalaxyloopError,
    NoTrainingDataError,
    StorageError,
    TrainingDivergedError,
    UnknownNameError,
)

ERRORS = [
    ConfigError("a setting"),
    UnknownNameError("encoder", "resnat18", ["resnet18"]),
    NoTrainingDataError("no galaxy", {"cutouts": 3}),
    StorageError("cannot be read"),
    TrainingDivergedError("train_loss", float("nan"), 7, 0.1, ["a", "b"]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_galaxyloop_error__survives_pickling(error: GalaxyloopError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__
