"""Studies of few labels as they run: what is read, what is repeated, and that pretraining pays."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save_file

from galaxyloop.encoders import build_encoder
from galaxyloop.errors import ConfigError, StorageError, UnknownNameError
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.label_efficiency.cells import METRICS, Cell, run_cell
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import StudyData, open_study, save_study
from galaxyloop.label_efficiency.pretraining import pretrain_arm, pretraining_key, with_threads
from galaxyloop.label_efficiency.progress import StudyPlaces
from galaxyloop.label_efficiency.simulated import simulate_study, simulated_config
from galaxyloop.label_efficiency.study import run_study
from galaxyloop.label_efficiency.table import read_results
from galaxyloop.synthetic import SimulationConfig

SMALL = SimulationConfig(n_galaxies=160, image_size_px=32, repeated_share=0.1)
ARMS = ["direct", "random", "supervised_gz2", "byol", "hybrid_gz2"]


@dataclass
class Watched:
    """Cutouts that remember which of them were read."""

    inner: object
    seen: set[int] = field(default_factory=set)

    @property
    def id_strs(self) -> np.ndarray:
        return self.inner.id_strs  # type: ignore[attr-defined]

    def read(self, positions: np.ndarray) -> np.ndarray:
        self.seen.update(positions.tolist())
        return self.inner.read(positions)  # type: ignore[attr-defined]


def small_config(n_draws: int = 1) -> LabelEfficiencyConfig:
    return simulated_config(1, ARMS, [20, 40], [2, 2], n_draws)


def pretrain(config: LabelEfficiencyConfig, name: str, data: StudyData, directory: Path) -> Path:
    """An arm's encoder, after that of the arm it starts from."""
    arm = with_threads(config.arm(name), 1)
    start = pretrain(config, arm.start, data, directory) if arm.start else None
    return pretrain_arm(arm, data, directory / name, start)


@pytest.fixture(scope="module")
def small() -> StudyData:
    return simulate_study(SMALL, small_config())


@pytest.mark.parametrize("name", ["random", "supervised_gz2", "byol", "hybrid_gz2"])
def test_pretrain_arm__never_reads_a_test_galaxy(
    small: StudyData, tmp_path: Path, name: str
) -> None:
    watched = Watched(small.cutouts)
    pretrain(small_config(), name, replace(small, cutouts=watched), tmp_path)
    split_of = small.splits.set_index("id_str")["split"]
    seen = {split_of[small.cutouts.id_strs[place]] for place in watched.seen}
    assert "train" in seen
    assert "test" not in seen


def test_simulate_study__withholds_bars_and_votes_of_test_galaxies(small: StudyData) -> None:
    votes = small.label_sets["gz2"]
    assert not [column for column in votes.tree.columns if "bar" in column]
    assert not set(votes.votes["id_str"]) & set(small.test["id_str"])
    assert set(small.pool["id_str"]) | set(small.test["id_str"]) == set(small.cutouts.id_strs)
    groups = small.splits.groupby("group_id")["split"].nunique()
    assert (groups == 1).all()
    assert len(groups) < len(small.splits)


def test_pretraining_key__changes_with_votes_and_runs_and_not_with_the_arms_name(
    small: StudyData,
) -> None:
    arm = small_config().arm("hybrid_gz2")
    key = pretraining_key(arm, small)
    assert key == pretraining_key(replace(arm, name="other"), small)
    assert key != pretraining_key(with_threads(arm, 3), small)
    assert key != pretraining_key(arm, small, start_digest="a" * 64)
    votes = small.label_sets["gz2"]
    fewer = replace(votes, votes=votes.votes.iloc[1:])
    assert key != pretraining_key(arm, replace(small, label_sets={"gz2": fewer}))
    with pytest.raises(UnknownNameError, match="no label set 'gz2'"):
        pretraining_key(arm, replace(small, label_sets={}))


def test_pretrain_arm__refuses_arms_without_an_encoder_and_a_missing_start(
    small: StudyData, tmp_path: Path
) -> None:
    config = small_config()
    with pytest.raises(ConfigError, match="arm 'direct' with pretraining 'none'"):
        pretrain_arm(config.arm("direct"), small, tmp_path)
    started = replace(config.arm("byol"), start="random")
    with pytest.raises(ConfigError, match="cannot be pretrained from None"):
        pretrain_arm(started, small, tmp_path)


def test_save_study__is_opened_with_the_same_content(small: StudyData, tmp_path: Path) -> None:
    again = open_study(save_study(small, tmp_path / "study"))
    assert again.digest() == small.digest()
    pd.testing.assert_frame_equal(again.labels, small.labels)
    assert again.label_sets["gz2"].tree == small.label_sets["gz2"].tree
    with pytest.raises(StorageError, match="holds no study's data"):
        open_study(tmp_path)


def test_run_cell__gives_the_same_row_again(small: StudyData, tmp_path: Path) -> None:
    config = small_config()
    encoder = pretrain_arm(config.arm("random"), small, tmp_path / "random")
    for cell, checkpoint in (
        (Cell("random", "probe", 20, 0), encoder),
        (Cell("direct", "finetune", 20, 0), None),
    ):
        rows = [run_cell(cell, config, small, checkpoint) for _ in range(2)]
        assert rows[0] | {"cpu_seconds": 0} == rows[1] | {"cpu_seconds": 0}
        assert rows[0]["n_test"] == len(small.test)
        for metric in METRICS:
            assert 0 <= rows[0][f"{metric}_test_low"] <= rows[0][metric] <= 1


@pytest.mark.slow
def test_run_study__goes_on_where_it_was_and_repeats_nothing(
    small: StudyData, tmp_path: Path
) -> None:
    places = StudyPlaces(
        save_study(small, tmp_path / "study"), tmp_path / "work", tmp_path / "cells.csv"
    )
    first = run_study(small_config(), places)
    lines = places.cells.read_text().splitlines()
    assert len(lines) == 1 + len(first) == 1 + (1 + 1 + 3 * 2) * 2
    # The last line is torn off, and a second draw is asked for.
    places.cells.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
    second = run_study(small_config(n_draws=2), places)
    assert places.cells.read_text().splitlines()[: len(lines) - 1] == lines[:-1]
    assert len(second) == 2 * len(first)
    assert len(read_results(places.cells)) == 2 * len(first)
    key = ["arm", "kind", "n_labels", "draw"]
    both = first.merge(second, on=key, suffixes=("", "_again"))
    np.testing.assert_allclose(both["auc"], both["auc_again"], rtol=1e-5)
    assert len(places.pretrainings.read_text().splitlines()) == 1 + 4
    # On another machine, with the tables alone: only what the missing cells need is made again.
    kept = [line for line in places.cells.read_text().splitlines() if line[:5] != "byol,"]
    places.cells.write_text("\n".join(kept))
    elsewhere = replace(places, work=tmp_path / "elsewhere")
    assert len(run_study(small_config(n_draws=2), elsewhere)) == len(second)
    made = [path.name.split("-")[0] for path in (elsewhere.work / "checkpoints").iterdir()]
    assert made == ["byol"]


@pytest.mark.slow
def test_run_cell__hybrid_beats_training_from_nothing_at_100_labels(tmp_path: Path) -> None:
    config = simulated_config(8, ["direct", "hybrid_gz2"], [100], [60], n_draws=3)
    simulation = SimulationConfig(n_galaxies=1200, image_size_px=48, seed=3)
    data = simulate_study(simulation, config)
    encoder = pretrain(config, "hybrid_gz2", data, tmp_path)
    auc = {
        name: [
            run_cell(Cell(name, "finetune", 100, draw), config, data, checkpoint)["auc"]
            for draw in range(3)
        ]
        for name, checkpoint in (("direct", None), ("hybrid_gz2", encoder))
    }
    assert np.mean(auc["hybrid_gz2"]) > np.mean(auc["direct"])


def test_pretrain_arm__reads_published_weights_and_both_kinds_use_them(
    small: StudyData, tmp_path: Path
) -> None:
    weights = tmp_path / "model.safetensors"
    save_file(build_encoder("resnet_mini").network.state_dict(), weights)
    run = FinetuneRun(
        encoder="resnet_mini", weights=str(weights), weights_mean=[0.5] * 3, weights_std=[0.25] * 3
    )
    arm = ArmConfig("published", "published", finetune=run)
    config = replace(small_config(), arms=[arm])
    key = pretraining_key(arm, small)
    checkpoint = pretrain_arm(arm, small, tmp_path / "checkpoint")
    for kind in ("probe", "finetune"):
        row = run_cell(Cell("published", kind, 20, 0), config, small, checkpoint)
        assert 0 <= row["auc"] <= 1
    save_file(build_encoder("resnet_mini").network.state_dict(), weights)
    assert pretraining_key(arm, small) != key
