"""Whatever is trained for, a run cut short and resumed gives the bits of an uninterrupted one."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from galaxyloop.objectives import OBJECTIVES, ByolConfig, HybridConfig
from galaxyloop.training import (
    ByolRun,
    HybridRun,
    SupervisedRun,
    TrainingConfig,
    pretrain_byol,
    pretrain_hybrid,
    pretrain_supervised,
)
from galaxyloop.training.state import STATE
from tests.library.training_data import TREE, toy_survey

SHORT = TrainingConfig(
    epochs=2,
    batch_size=16,
    save_every_steps=2,
    n_threads=1,
    seed=5,
    precision="float32",
    device="cpu",
    warmup_steps=1,
)
N_GALAXIES = 64
SMALL = {"hidden_size": 24, "projection_size": 12}


class CutShortError(Exception):
    """The machine is taken away."""


def supervised(directory: Path, **hooks: object) -> Path:
    cutouts, votes, splits = toy_survey(N_GALAXIES)
    run = SupervisedRun(training=SHORT)
    return pretrain_supervised(cutouts, votes, splits, TREE, run, directory, **hooks)


def byol(directory: Path, **hooks: object) -> Path:
    cutouts, _, splits = toy_survey(N_GALAXIES)
    run = ByolRun(training=SHORT, objective=ByolConfig(**SMALL))
    return pretrain_byol(cutouts, splits, run, directory, **hooks)


def hybrid(directory: Path, **hooks: object) -> Path:
    cutouts, votes, splits = toy_survey(N_GALAXIES)
    objective = HybridConfig(**SMALL, labelled_share=0.25, final_votes_weight=0.5)
    run = HybridRun(training=SHORT, objective=objective)
    # Validation galaxies are every fourth; of the others a third has votes.
    votes = votes[[i % 4 == 0 or i % 3 == 0 for i in range(N_GALAXIES)]]
    return pretrain_hybrid(cutouts, votes, splits, TREE, run, directory, **hooks)


PRETRAIN: dict[str, Callable[..., Path]] = {
    "votes": supervised,
    "byol": byol,
    "hybrid": hybrid,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Uninterrupted runs with their last states."""
    folders = {}
    for name, pretrain in PRETRAIN.items():
        folders[name] = tmp_path_factory.mktemp(name)
        pretrain(folders[name] / "checkpoint", state_directory=folders[name] / "states")
    return folders


def assert_same(one: object, other: object, path: str = "state") -> None:
    """Every tensor of a nested state, bit by bit, but for the time that it took."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one.keys() - {"seconds"}:
            assert_same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{path}[{i}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


def test_pretraining__every_objective_is_resumed_here() -> None:
    assert set(OBJECTIVES) <= set(PRETRAIN)


@pytest.mark.parametrize("name", PRETRAIN)
@pytest.mark.parametrize("n_saves", [1, 3])
def test_pretraining__cut_short_and_resumed_equals_uninterrupted(
    whole: dict[str, Path], tmp_path: Path, name: str, n_saves: int
) -> None:
    saved: list[tuple[int, int]] = []

    def cut(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        saved.append((state["epoch"], state["n_batches"]))
        if len(saved) == n_saves:
            raise CutShortError

    states = tmp_path / "states"
    with pytest.raises(CutShortError):
        PRETRAIN[name](tmp_path / "cut", state_directory=states, on_saved=cut)
    assert not (tmp_path / "cut").exists()
    # In the middle of the first epoch, or of the second: the second save is between them.
    epoch, n_batches = saved[-1]
    assert (epoch, n_batches > 0) == (n_saves // 2, True)
    torch.rand(7)  # What the process's own generator has done does not matter.
    resumed = PRETRAIN[name](tmp_path / "resumed", state_directory=states)
    weights = "weights.safetensors"
    expected = whole[name] / "checkpoint"
    assert (resumed / weights).read_bytes() == (expected / weights).read_bytes()
    logs = [pd.read_parquet(path / "log.parquet") for path in (resumed, expected)]
    pd.testing.assert_frame_equal(*(log.drop(columns="seconds") for log in logs))
    ends = [
        torch.load(path / STATE, weights_only=True) for path in (states, whole[name] / "states")
    ]
    assert_same(*ends)
