"""What makes training run again, and that it goes on where it was cut short."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from flytekit.core.checkpointer import SyncCheckpoint

import galaxyloop.training
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.metrics import MetricsConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig, write_survey
from galaxyloop.training.config import SupervisedRun
from galaxyloop.training.state import STATE
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import CheckpointDirectory, EvaluationDirectory
from tasks import local_run, resuming
from tasks.evaluate import evaluate
from tasks.opening import open_cutouts, open_indexes
from tasks.pretrain import digest_labels, pretrain_supervised
from tasks.votes import read_votes, split_galaxies
from workflows.ingest import ingest_survey

RUN = SupervisedRun.from_dict(
    {"training": {"epochs": 3, "batch_size": 16, "n_threads": 1, "precision": "float32"}}
)
POSTERIOR = PosteriorConfig(n_samples=2, n_threads=1)
METRICS = MetricsConfig(n_bootstrap=5)


class CutShortError(Exception):
    """The process ends here."""


@dataclass
class Survey:
    """Files that a test may edit before it trains on them."""

    directory: Path
    n_trainings: int = 0

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.directory / f"{name}.csv", dtype=str)

    def edit(self, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        change(self.table(name)).to_csv(self.directory / f"{name}.csv", index=False)

    def image(self, id_str: str) -> Path:
        uri = self.table("manifest").set_index("id_str").loc[id_str, "image_uri"]
        return self.directory / uri

    def inputs(self, split: SplitConfig = SplitConfig(), previous: str = "") -> dict[str, object]:
        survey, shards = ingest_survey(
            manifest=str(self.directory / "manifest.csv"),
            ingest=IngestConfig(),
            cutouts=CutoutConfig(image_size_px=16),
            previous=previous,
        )
        source = VoteSource(uri=str(self.directory / "votes.csv"), campaign="gz2")
        votes = read_votes(sources=[source], checks=VotesConfig())
        splits = split_galaxies(survey=survey, votes=votes, config=split)
        return {"survey": survey, "shards": shards, "votes": votes, "splits": splits}

    def train(
        self, **changes: object
    ) -> tuple[dict[str, object], CheckpointDirectory, EvaluationDirectory]:
        inputs = self.inputs(**changes)
        digest = digest_labels(**inputs)
        checkpoint = pretrain_supervised(data_digest=digest, run=RUN, **inputs)
        evaluation = evaluate(
            checkpoint=checkpoint,
            data_digest=digest,
            posterior=POSTERIOR,
            metrics=METRICS,
            **inputs,
        )
        return inputs, checkpoint, evaluation


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("simulated") / "survey"
    config = SimulationConfig(
        n_galaxies=90, image_size_px=32, labelled_share=0.7, n_broken_images=0, n_broken_votes=0
    )
    return write_survey(config, directory, progress=False)


@pytest.fixture
def survey(simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Survey:
    """Without the last unlabelled galaxies; counts how often training really runs."""
    directory = shutil.copytree(simulated, tmp_path / "survey")
    survey = Survey(directory)
    manifest, labelled = survey.table("manifest"), set(survey.table("votes")["id_str"])
    manifest.to_csv(directory / "whole.csv", index=False)
    late = manifest.index[~manifest["id_str"].isin(labelled)][-15:]
    manifest.drop(index=late).to_csv(directory / "manifest.csv", index=False)
    train = galaxyloop.training.pretrain_supervised

    def counted(*arguments: object, **hooks: object) -> Path:
        survey.n_trainings += 1
        return train(*arguments, **hooks)

    monkeypatch.setattr("galaxyloop.training.pretrain_supervised", counted)
    return survey


@pytest.mark.slow
def test_pretrain_supervised__unlabelled_galaxies_are_a_hit(survey: Survey) -> None:
    inputs, checkpoint, evaluation = survey.train()
    n_before = survey.n_trainings
    shutil.copyfile(survey.directory / "whole.csv", survey.directory / "manifest.csv")
    grown, again, evaluated = survey.train(previous=inputs["survey"].uri)
    assert len(grown["shards"]) > len(inputs["shards"])
    assert len(grown["splits"]) == len(inputs["splits"]) + 15
    assert (again.digest, evaluated.digest) == (checkpoint.digest, evaluation.digest)
    assert survey.n_trainings == n_before
    # Not by the cache alone: the same bytes come out of all the cutouts.
    tasks_inputs = {**grown, "data_digest": "f" * 64, "run": RUN}
    assert pretrain_supervised(**tasks_inputs).digest == checkpoint.digest
    assert survey.n_trainings == n_before + 1


def one_more_vote(votes: pd.DataFrame) -> pd.DataFrame:
    column = "smooth-or-featured-gz2_smooth"
    return votes.assign(**{column: [str(int(votes[column][0]) + 1), *votes[column][1:]]})


def test_pretrain_supervised__another_vote_split_or_image_is_a_miss(survey: Survey) -> None:
    digests = [digest_labels(**survey.inputs())]
    digests.append(digest_labels(**survey.inputs(split=SplitConfig(seed=1))))
    survey.edit("votes", one_more_vote)
    digests.append(digest_labels(**survey.inputs()))
    labelled = survey.table("votes")["id_str"]
    shutil.copyfile(survey.image(labelled[0]), survey.image(labelled[1]))
    digests.append(digest_labels(**survey.inputs()))
    assert len(set(digests)) == 4


def test_digest_labels__tells_groups_apart(survey: Survey) -> None:
    # A study thins the training galaxies by groups, and an evaluation resamples them.
    inputs = survey.inputs()
    splits = inputs["splits"]
    together = splits.groupby(["split", "fold"])["group_id"].transform("first")
    grouped = splits.assign(group_id=together)
    assert digest_labels(**{**inputs, "splits": grouped}) != digest_labels(**inputs)
    # Folds matter to other digests only.
    refolded = splits.assign(fold=0)
    assert digest_labels(**{**inputs, "splits": refolded}) == digest_labels(**inputs)


def test_pretrain_supervised__runs_again_for_another_digest(survey: Survey) -> None:
    survey.train()
    n_before = survey.n_trainings
    survey.edit("votes", one_more_vote)
    survey.train()
    assert survey.n_trainings == n_before + 1


def test_open_cutouts__leaves_out_what_the_survey_no_longer_holds(survey: Survey) -> None:
    before = survey.inputs()
    changed, removed, *_ = survey.table("votes")["id_str"]
    shutil.copyfile(survey.image(removed), survey.image(changed))
    survey.edit("manifest", lambda table: table[table["id_str"] != removed])
    after = survey.inputs(previous=before["survey"].uri)
    # The old shards alone: as if the changed image had given no new cutout.
    for opened in (open_cutouts, open_indexes):
        old, new = (opened(before["shards"], one["survey"]) for one in (before, after))
        assert set(old.id_strs) - set(new.id_strs) == {changed, removed}


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, float]]]:
    """The first training ends after its first epoch; lists the epochs of the later ones."""
    rows: list[dict[str, float]] = []
    train = galaxyloop.training.pretrain_supervised
    is_first = True

    def interrupted(*arguments: object, **hooks: object) -> Path:
        nonlocal is_first
        is_first, was_first = False, is_first

        def on_epoch(row: dict[str, float]) -> None:
            if was_first:
                raise CutShortError
            rows.append(row)

        return train(*arguments, **{**hooks, "on_epoch": on_epoch})

    monkeypatch.setattr("galaxyloop.training.pretrain_supervised", interrupted)
    return rows


def test_pretrain_supervised__goes_on_where_it_was_cut_short(
    survey: Survey,
    cut_short: list[dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GALAXYLOOP_STORE", str(tmp_path / "store"))
    survey.edit("votes", one_more_vote)
    inputs = survey.inputs()
    whole = {"data_digest": "a" * 64, "run": RUN, **inputs}
    with pytest.raises(CutShortError):
        pretrain_supervised(**whole)
    assert len(list((tmp_path / "store" / "training-state").glob(f"*/{STATE}"))) == 1
    checkpoint = pretrain_supervised(**whole)
    assert [row["epoch"] for row in cut_short] == [1, 2]
    assert list((tmp_path / "store" / "training-state").iterdir()) == []
    uninterrupted = pretrain_supervised(**{**whole, "data_digest": "b" * 64})
    assert [row["epoch"] for row in cut_short] == [1, 2, 0, 1, 2]
    assert checkpoint.digest == uninterrupted.digest


@pytest.mark.parametrize("has_saved", [True, False])
def test_resumable__travels_by_flytes_checkpoint_in_a_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_saved: bool
) -> None:
    class Context:
        checkpoint = SyncCheckpoint(str(tmp_path / "first"))

    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    monkeypatch.setattr("flytekit.current_context", lambda: Context)
    with suppress(CutShortError), resuming.resumable("pretrain_supervised", "a") as hooks:
        assert list(hooks["state_directory"].iterdir()) == []
        if has_saved:
            torch.save({"epoch": 1}, hooks["state_directory"] / STATE)
            hooks["on_saved"](hooks["state_directory"] / STATE)
        raise CutShortError
    for source, target in (("first", "second"), ("second", "third")):
        Context.checkpoint = SyncCheckpoint(str(tmp_path / target), str(tmp_path / source))
        with resuming.resumable("pretrain_supervised", "a") as hooks:
            found = [path.name for path in hooks["state_directory"].iterdir()]
            assert found == ([STATE] if has_saved else [])
    assert not (local_run.store_directory() / "training-state").exists() or not list(
        (local_run.store_directory() / "training-state").iterdir()
    )
