"""The simulated loop as a person gets it: what it leaves, and what of it is not played twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from flytekit.core.local_cache import LocalTaskCache

from galaxyloop.acquisition import InformationConfig
from galaxyloop.active_learning.checks import check_sources
from galaxyloop.active_learning.config import ActiveLearningConfig, HeadConfig, standard_arms
from galaxyloop.config import ConfigError
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.errors import LabelError, UnknownNameError
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.representations.config import RepresentationConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig, write_survey
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from tasks import local_run
from tests.workflows.test_embed import register_encoder
from workflows.active_learning import simulate_active_learning

STUDY = ActiveLearningConfig(
    arms=[standard_arms()[0], standard_arms()[1]],
    n_start=20,
    n_asked=5,
    n_rounds=2,
    n_seeds=2,
    information=InformationConfig(expected_votes=4, n_monte_carlo=10),
    head=HeadConfig(n_members=2, hidden_width=8, n_samples=2, n_steps=10),
)


@dataclass
class Place:
    """A simulated survey, a registered encoder, and where results go."""

    root: Path

    def play(self, study: ActiveLearningConfig, **changes: object) -> str:
        inputs = {
            "manifest": str(self.root / "survey" / "manifest.csv"),
            "model": "seeing@champion",
            "output": str(self.root / "out"),
            "study": study,
            "ingest": IngestConfig(chunk_size=60, max_image_reject_rate=0.5),
            "cutouts": CutoutConfig(image_size_px=32),
            "representation": RepresentationConfig(n_threads=1),
            "vote_checks": VotesConfig(max_reject_rate=0.2),
            **changes,
        }
        told: str = simulate_active_learning(**inputs)
        return told

    def cells(self) -> pd.DataFrame:
        return pd.read_csv(self.root / "out" / "cells.csv")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("loop")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
        patch.setenv("GALAXYLOOP_STORE", str(root / "store"))
        local_run.install()
        LocalTaskCache.initialize()
        config = SimulationConfig(n_galaxies=100, image_size_px=40, seed=3)
        write_survey(config, root / "survey", progress=False)
        register_encoder(root)
        yield Place(root)
    local_run.install()
    LocalTaskCache.initialize()
    torch.set_num_threads(n_threads)


@pytest.mark.slow
def test_simulate_active_learning__leaves_tables_and_figure_and_plays_no_cell_twice(
    place: Place,
) -> None:
    votes = [VoteSource(str(place.root / "survey" / "votes.csv"), "gz2")]
    told = place.play(STUDY, votes=votes)
    first = place.cells()
    assert "mutual_information" in told
    assert {path.name for path in (place.root / "out").iterdir()} == {
        *("cells.csv", "curves.csv", "savings.csv", "active_learning.png")
    }
    assert len(first) == 2 * 2 * 3
    assert first.groupby("seed")["rmse"].first().nunique() == 2
    # Seconds are measured: a cell that is played again has others.
    more = replace(STUDY, n_seeds=3, measure="log_loss")
    place.play(more, votes=votes)
    again = place.cells()
    assert len(again) == 2 * 3 * 3
    pd.testing.assert_frame_equal(again[again["seed"] < 2].reset_index(drop=True), first)


@pytest.mark.slow
def test_simulate_active_learning__asks_for_labels_as_for_votes(place: Place) -> None:
    truth = pd.read_parquet(place.root / "survey" / "truth.parquet")
    names = np.where(truth["arm_contrast"] > 0.3, "arms", "no-arms")
    labels = pd.DataFrame({"id_str": truth["id_str"], "label": names})
    labels.to_csv(place.root / "labels.csv", index=False)
    study = replace(STUDY, measure="ranking_error", n_seeds=1)
    place.play(study, labels=str(place.root / "labels.csv"))
    cells = place.cells()
    assert cells["ranking_error"].between(0, 1).all()
    savings = pd.read_csv(place.root / "out" / "savings.csv")
    assert set(savings["measure"]) == {"rmse", "log_loss", "ranking_error"}


def test_check_sources__refuses_in_seconds_what_cannot_be_played(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = "".join(f"g{i},{'ab'[i % 2]}\n" for i in range(20))
    table.write_text(f"id_str,label\n{rows}")
    checks = LabelConfig()
    check_sources(["gz2"], "", checks, STUDY)
    check_sources([], str(table), checks, replace(STUDY, measure="ranking_error"))
    with pytest.raises(ConfigError, match="one of the two, got 0 vote tables and labels=''"):
        check_sources([], "", checks, STUDY)
    with pytest.raises(ConfigError, match="one of the two, got 1 vote tables"):
        check_sources(["gz2"], str(table), checks, STUDY)
    with pytest.raises(ConfigError, match="'ranking_error' is of labels of two classes"):
        check_sources(["gz2"], "", checks, replace(STUDY, measure="ranking_error"))
    kinds = "".join(f"g{i},{'abc'[i % 3]}\n" for i in range(30))
    table.write_text(f"id_str,label\n{kinds}")
    check_sources([], str(table), checks, STUDY)
    with pytest.raises(ConfigError, match="of labels of two classes, these are of 3"):
        check_sources([], str(table), checks, replace(STUDY, measure="ranking_error"))
    values = "".join(f"g{i},{i / 7:.5f}\n" for i in range(30))
    table.write_text(f"id_str,label\n{values}")
    with pytest.raises(LabelError, match="is a value; a simulated loop asks for classes"):
        check_sources([], str(table), checks, STUDY)
    with pytest.raises(UnknownNameError, match="no question 'bars'"):
        check_sources(["gz2"], "", checks, replace(STUDY, questions=["bars"]))
    with pytest.raises(UnknownNameError, match="no campaign 'gz9'"):
        check_sources(["gz9"], "", checks, STUDY)
