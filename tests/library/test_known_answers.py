"""A network trained on the simulated survey, held against the truth it was simulated from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.acquisition import AcquisitionConfig, InformationConfig, rank_galaxies
from galaxyloop.campaigns import find_campaign
from galaxyloop.checkpoint import load_checkpoint
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.dirichlet import vote_fractions
from galaxyloop.evaluation import Evaluation, evaluate_checkpoint, pool_folds
from galaxyloop.inference import predict_shard
from galaxyloop.metrics import MetricsConfig
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.splits import SplitConfig, split_galaxies
from galaxyloop.surveys import IngestConfig, read_manifest, version_survey
from galaxyloop.synthetic import SimulationConfig, write_survey
from galaxyloop.training import SupervisedRun, pretrain_supervised
from galaxyloop.vote_tables import VotesConfig, VoteSource, load_votes, read_vote_table
from schemas.manifest import judge_manifest
from schemas.votes import judge_votes

pytestmark = pytest.mark.slow
FIRST = "smooth-or-featured-gz2"
POSTERIOR = PosteriorConfig(precision="float32")
SETTINGS = (PosteriorConfig(), MetricsConfig())


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("known") / "survey"
    config = SimulationConfig(n_galaxies=2000, seed=3, labelled_share=1.0, image_size_px=64)
    return write_survey(config, directory, progress=False)


@pytest.fixture(scope="module")
def shard(survey: Path) -> CutoutShard:
    rows = read_manifest(str(survey / "manifest.csv"), IngestConfig(), judge_manifest)
    version = version_survey(rows.galaxies, IngestConfig(), None, survey / "version")
    (digest,) = version.chunks
    cut_out_chunk(version.read_chunk(digest), CutoutConfig(), survey / "shard")
    return CutoutShard.open(survey / "shard")


@pytest.fixture(scope="module")
def votes(survey: Path) -> pd.DataFrame:
    sources = [VoteSource(uri=str(survey / "votes.csv"), campaign="gz2")]
    read_vote_table(sources, VotesConfig(), survey / "votes", judge_votes)
    return load_votes(survey / "votes")


@pytest.fixture(scope="module")
def splits(shard: CutoutShard) -> pd.DataFrame:
    return split_galaxies(shard.index, SplitConfig())


@pytest.fixture(scope="module")
def model(
    survey: Path, shard: CutoutShard, votes: pd.DataFrame, splits: pd.DataFrame
) -> GalaxyModel:
    run = SupervisedRun.from_dict({"training": {"epochs": 20, "batch_size": 64, "n_threads": 2}})
    tree = find_campaign("gz2").tree
    cutouts = CutoutCollection([shard])
    pretrain_supervised(cutouts, votes, splits, tree, run, survey / "checkpoint")
    return load_checkpoint(survey / "checkpoint")


@pytest.fixture(scope="module")
def evaluation(
    survey: Path,
    model: GalaxyModel,
    shard: CutoutShard,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
) -> Evaluation:
    cutouts = CutoutCollection([shard])
    evaluate_checkpoint(model, cutouts, votes, splits, SETTINGS, survey / "evaluation")
    return Evaluation.open(survey / "evaluation")


def test_training__predicts_the_first_question_far_better_than_the_mean(
    evaluation: Evaluation,
) -> None:
    table = evaluation.metrics.set_index(["question", "metric"])["value"]
    assert table[FIRST, "rmse_ratio"] <= 0.60


def test_posterior__covers_nine_tenths_of_held_out_counts(evaluation: Evaluation) -> None:
    pit = evaluation.pit
    assert len(pit) > 2000
    assert np.mean((pit > 0.05) & (pit < 0.95)) == pytest.approx(0.90, abs=0.05)


def test_posterior__means_lie_near_the_true_fractions(evaluation: Evaluation, survey: Path) -> None:
    truth = pd.read_parquet(survey / "truth.parquet").set_index("id_str")
    part = evaluation.tree.slices[FIRST]
    columns = [f"{column}_fraction" for column in evaluation.tree.columns[part]]
    true = truth.loc[evaluation.id_strs, columns].to_numpy()
    error = np.sqrt(np.mean((evaluation.fractions[:, part] - true) ** 2))
    spread = np.sqrt(np.mean((true.mean(axis=0) - true) ** 2))
    assert error <= 0.5 * spread


def test_predict_shard__does_not_depend_on_the_shard(
    model: GalaxyModel, shard: CutoutShard, survey: Path
) -> None:
    index = shard.index.sample(40, random_state=0)
    cut_out_chunk(index.reset_index(drop=True), CutoutConfig(), survey / "other-shard")
    tables = []
    for name, one in (("all", shard), ("some", CutoutShard.open(survey / "other-shard"))):
        path = survey / f"{name}.parquet"
        predict_shard([model], one, POSTERIOR, InformationConfig(), path)
        tables.append(pd.read_parquet(path).set_index("id_str").drop(columns="image_digest"))
    every, some = tables
    np.testing.assert_allclose(every.loc[some.index], some, atol=1e-5, equal_nan=True)


def test_summarise__in_bfloat16_moves_a_trained_posterior_by_little_of_its_width(
    model: GalaxyModel, shard: CutoutShard, survey: Path
) -> None:
    paths = {}
    for precision in ("float32", "bfloat16"):
        paths[precision] = survey / f"{precision}.parquet"
        config = PosteriorConfig(precision=precision)
        predict_shard([model], shard, config, InformationConfig(), paths[precision])
    exact, rounded = (pd.read_parquet(path).set_index("id_str") for path in paths.values())
    columns = model.tree.columns
    width = np.stack([exact[f"{c}_fraction_p95"] - exact[f"{c}_fraction_p05"] for c in columns])
    for ending in ("fraction", "fraction_p05", "fraction_p95"):
        moved = np.stack([(rounded[f"{c}_{ending}"] - exact[f"{c}_{ending}"]) for c in columns])
        assert np.quantile(np.abs(moved), 0.99) < 0.01
        assert np.quantile(np.abs(moved / width), 0.99) < 0.05
        # The error is rounding, not a shift of the whole catalogue.
        assert np.abs(moved.mean(axis=1)).max() < 2e-3
    questions = model.tree.question_names
    moved = [np.abs(rounded[f"{q}_asked"] - exact[f"{q}_asked"]) for q in questions]
    assert np.quantile(moved, 0.99) < 0.01


def test_rank_galaxies__puts_galaxies_first_on_which_the_samples_disagree(
    model: GalaxyModel, shard: CutoutShard, survey: Path
) -> None:
    path = survey / "ranked.parquet"
    predict_shard([model], shard, PosteriorConfig(), InformationConfig(), path)
    predictions = pd.read_parquet(path)
    ranked = rank_galaxies(predictions, model.tree, AcquisitionConfig())
    n_tenth = len(ranked) // 10
    rows = shard.index.reset_index().set_index("id_str")["index"]
    spread = []
    for ids in (ranked["id_str"][:n_tenth], ranked["id_str"][-n_tenth:]):
        samples = predict_concentrations(model, shard.images[rows[ids]], PosteriorConfig())
        spread.append(float(vote_fractions(samples, model.tree).std(dim=0).mean()))
    top, bottom = spread
    assert top > 1.2 * bottom


def test_pool_folds__weighs_every_galaxy_alike(evaluation: Evaluation) -> None:
    twice = pool_folds([evaluation, evaluation]).set_index(["question", "metric"])
    once = evaluation.metrics.set_index(["question", "metric"])
    for metric in ("rmse", "rmse_of_mean", "rmse_ratio", "mae"):
        assert twice.loc[(FIRST, metric), "value"] == pytest.approx(
            once.loc[(FIRST, metric), "value"]
        )
    assert twice.loc[(FIRST, "rmse"), "n_galaxies"] == 2 * once.loc[(FIRST, "rmse"), "n_galaxies"]
