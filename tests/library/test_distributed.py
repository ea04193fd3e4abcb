"""Two processes that share each batch learn what one learns from all of it, and one writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from galaxyloop.config import ConfigError
from galaxyloop.errors import CheckpointError
from galaxyloop.objectives import ByolConfig, ByolObjective
from galaxyloop.processes import joined, once, part_of_mean, share_of, summed
from galaxyloop.training.running import share_normalisation
from galaxyloop.training.state import STATE, load_state
from tests.library.distributed_runs import (
    LABELLED_SHARE,
    RUNS,
    SMALL,
    TRAINING,
    normalised,
    partly_labelled,
)
from tests.library.objective_makers import image_model

PROJECT = Path(__file__).resolve().parents[2]
CUT = ("whole", "resumed")


def launch(script: str, folder: Path, *runs: str) -> subprocess.CompletedProcess[str]:
    """Two processes started by torch's launcher, on CPUs."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *launcher, f"tests/library/{script}", str(folder), *runs],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    done = launch("distributed_runs.py", folder)
    assert done.returncode == 0, done.stderr[-5000:]
    (folder / "said").write_text(done.stderr)
    return folder


def log_of(directory: Path) -> pd.DataFrame:
    path = directory / "log.parquet"
    log = pd.read_parquet(path) if path.exists() else pd.read_csv(directory / "log.csv")
    return log.drop(columns="seconds")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_training__two_processes_have_the_loss_curve_of_one(
    name: str, together: Path, tmp_path: Path
) -> None:
    RUNS[name](tmp_path / name)
    alone, shared = log_of(tmp_path / name), log_of(together / name)
    assert alone["train_loss"].nunique() == len(alone) == TRAINING["epochs"]
    pd.testing.assert_frame_equal(shared, alone, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_training__only_the_first_process_writes_and_shows_how_far_it_is(together: Path) -> None:
    told = [json.loads((together / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert [one["n_saved"] for one in told] == [4, 0]
    ends = (together / "said").read_text().count("Epoch 2/2: 100%")
    # Of four runs that show their epochs; a bar may be drawn again within a run.
    assert 4 <= ends < 8
    environment = json.loads((together / "votes" / "environment.json").read_text())
    assert environment["n_processes"] == 2


@pytest.mark.slow
def test_training__several_processes_go_on_bit_by_bit(together: Path) -> None:
    whole, resumed = (load_file(together / name / "weights.safetensors") for name in CUT)
    assert whole.keys() == resumed.keys()
    for name, weight in whole.items():
        np.testing.assert_array_equal(resumed[name], weight, err_msg=name)
    pd.testing.assert_frame_equal(*(log_of(together / name) for name in CUT), check_exact=True)


@pytest.mark.slow
def test_load_state__refuses_another_number_of_processes(together: Path) -> None:
    state = torch.load(together / "kept" / STATE, weights_only=True)
    with pytest.raises(CheckpointError, match="saved by 2 processes, now there are 1"):
        load_state(together / "kept", state["fingerprint"])


@pytest.mark.slow
def test_mixing__every_step_of_all_processes_has_the_share_of_labelled_galaxies(
    together: Path,
) -> None:
    galaxies, _ = partly_labelled()
    batch_size = TRAINING["batch_size"]
    n_steps = galaxies.n_batches(batch_size) * TRAINING["epochs"]
    is_labelled = galaxies.labels.any(axis=1)
    told = [json.loads((together / f"{rank}.json").read_text()) for rank in (0, 1)]
    shares = [one["mixed_rows"][-n_steps:] for one in told]
    for epoch in range(TRAINING["epochs"]):
        steps = galaxies.epoch_rows(0, epoch, batch_size)
        for step, first, second in zip(steps, *(own[: len(steps)] for own in shares), strict=True):
            assert sorted([*first, *second]) == sorted(step)
            assert abs(len(first) - len(second)) <= 1
            n_labelled = is_labelled[np.array([*first, *second]) % len(galaxies)].sum()
            assert n_labelled == round(LABELLED_SHARE * batch_size)
        shares = [own[len(steps) :] for own in shares]


@pytest.mark.slow
def test_training__an_error_of_one_process_ends_all_and_is_told(tmp_path: Path) -> None:
    done = launch("distributed_failing.py", tmp_path)
    assert done.returncode != 0
    assert "LostDiskError: the disk of the second process is gone" in done.stderr
    assert not (tmp_path / "votes").exists()


def test_joined__refuses_what_a_launcher_left_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with (
        pytest.raises(ConfigError, match="WORLD_SIZE is 2 but LOCAL_RANK, .* is not set"),
        joined(),
    ):
        pass


def test_processes__one_by_itself_leaves_values_as_they_are() -> None:
    mean, rows = torch.tensor(0.3), np.arange(5)
    assert part_of_mean(mean, 3) is mean
    assert summed(mean) is mean
    assert share_of(rows).tolist() == rows.tolist()
    assert once(lambda: 7) == 7


def test_share_normalisation__weights_their_names_and_what_is_computed_stay() -> None:
    objective = ByolObjective(image_model(), ByolConfig(**SMALL)).eval()
    images = torch.rand(3, 3, 16, 16)
    weights = {name: one.clone() for name, one in objective.state_dict().items()}
    parameters = [id(one) for one in objective.parameters()]
    expected = objective.projector(objective.model.features(images))
    share_normalisation(objective, torch.device("cpu"))
    assert not any(isinstance(one, nn.SyncBatchNorm) for one in objective.modules())
    share_normalisation(objective, torch.device("cuda"))
    layers = [type(one) for one in objective.modules() if isinstance(one, _BatchNorm)]
    assert layers
    assert all(issubclass(one, nn.SyncBatchNorm) for one in layers)
    assert [id(one) for one in objective.parameters()] == parameters
    torch.testing.assert_close(objective.state_dict(), weights, rtol=0, atol=0)
    torch.testing.assert_close(objective.projector(objective.model.features(images)), expected)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two accelerators")
def test_training__two_accelerators_normalise_by_the_galaxies_of_both(tmp_path: Path) -> None:
    done = launch("distributed_runs.py", tmp_path, "normalised")
    assert done.returncode == 0, done.stderr[-5000:]
    normalised(tmp_path / "alone")
    alone, shared = log_of(tmp_path / "alone"), log_of(tmp_path / "normalised")
    pd.testing.assert_frame_equal(shared, alone, rtol=1e-3, atol=1e-5)
