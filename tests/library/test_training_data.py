"""What training reads and in which order, its schedule, and what its settings refuse."""

import numpy as np
import pytest
import torch

from galaxyloop.config import ConfigError
from galaxyloop.devices import choose_device, repeatable
from galaxyloop.errors import VoteTableError
from galaxyloop.training import SupervisedRun, TrainingConfig
from galaxyloop.training.config import PRECISIONS
from galaxyloop.training.data import EpochBatches, select_split
from galaxyloop.training.environment import choose_precision
from galaxyloop.training.schedule import learning_rate_at
from tests.library.training_data import TREE, toy_survey


def test_select_split__leaves_out_galaxies_without_votes() -> None:
    cutouts, votes, splits = toy_survey(40)
    votes.loc[votes["id_str"] == "toy1", list(TREE.columns)] = 0
    votes = votes[votes["id_str"] != "toy2"].sample(frac=1, random_state=0)
    selected = select_split(cutouts, votes, splits, TREE, "train")
    assert len(selected) == 28
    assert not {"toy1", "toy2"} & set(cutouts.id_strs[selected.positions])
    wanted = votes.set_index("id_str").loc[cutouts.id_strs[selected.positions]]
    np.testing.assert_array_equal(selected.labels, wanted[list(TREE.columns)].to_numpy())


def test_select_split__refuses_votes_of_another_tree() -> None:
    cutouts, votes, splits = toy_survey(8)
    with pytest.raises(VoteTableError, match=r"lack 1 of the tree's 5 .*colour-toy_blue"):
        select_split(cutouts, votes.drop(columns="colour-toy_blue"), splits, TREE, "train")


def test_epoch_batches__go_through_every_galaxy_once_in_steps_of_equal_size() -> None:
    cutouts, votes, splits = toy_survey(100)
    galaxies = select_split(cutouts, votes, splits, TREE, "train")
    rows = galaxies.epoch_rows(seed=1, epoch=2, batch_size=32)
    batches = list(EpochBatches(galaxies, rows))
    assert [len(batch.galaxies) for batch in batches] == [25, 25, 25]
    seen = np.concatenate([batch.galaxies for batch in batches])
    np.testing.assert_array_equal(seen, galaxies.numbers[np.concatenate(rows)])
    np.testing.assert_array_equal(np.sort(seen), np.sort(galaxies.numbers))
    rest = list(EpochBatches(galaxies, rows[2:]))
    np.testing.assert_array_equal(rest[0].galaxies, batches[2].galaxies)
    assert torch.equal(rest[0].images, batches[2].images)


def test_learning_rate_at__warms_up_linearly_and_ends_at_zero() -> None:
    config = TrainingConfig(epochs=10, learning_rate=1e-2, warmup_steps=4)
    rates = [learning_rate_at(step, 10, config) for step in range(101)]
    np.testing.assert_allclose(rates[:4], [0.0025, 0.005, 0.0075, 0.01])
    assert rates[52] == pytest.approx(0.005)
    assert rates[100] == 0
    assert all(np.diff(rates[4:]) < 0)


def test_choose_precision__obeys_the_config() -> None:
    cpu = torch.device("cpu")
    for precision in PRECISIONS[1:]:
        assert choose_precision(TrainingConfig(precision=precision), cpu) == precision
    assert choose_precision(TrainingConfig(), cpu) in PRECISIONS[1:]


def test_repeatable__restores_threads_and_kernels() -> None:
    def settings() -> tuple[int, bool, bool]:
        is_deterministic = torch.are_deterministic_algorithms_enabled()
        is_filling = torch.utils.deterministic.fill_uninitialized_memory
        return torch.get_num_threads(), is_deterministic, is_filling

    before = settings()
    with repeatable(before[0] + 1):
        assert settings() == (before[0] + 1, True, False)
    assert settings() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": -1}, "epochs must be >= 0, got -1"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"learning_rate": 0.0}, r"learning_rate must be in \(0, 1\], got 0"),
        ({"precision": "float16"}, "precision must be one of .* got float16"),
        ({"device": "tpu"}, "device must be one of .* got tpu"),
        ({"n_threads": 0}, "n_threads must be >= 1 or None, got 0"),
    ],
)
def test_training_config__refuses_values_out_of_range(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**settings)


def test_supervised_run__refuses_a_typo_in_a_nested_setting() -> None:
    with pytest.raises(ConfigError, match="no setting 'epoch'; did you mean 'epochs'"):
        SupervisedRun.from_dict({"training": {"epoch": 7}})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_choose_device__refuses_cuda_where_there_is_none() -> None:
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="no CUDA device is visible"):
        choose_device("cuda")
