"""One model for several campaigns: votes joined by galaxy, no campaign disturbing another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from galaxyloop.acquisition import InformationConfig
from galaxyloop.campaigns import campaign_tree
from galaxyloop.checkpoint import load_checkpoint, load_checkpoint_tree
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import vote_log_likelihood, votes_loss
from galaxyloop.errors import NoTrainingDataError
from galaxyloop.evaluation import Evaluation, evaluate_checkpoint, pool_folds, write_metrics
from galaxyloop.inference import predict_shard
from galaxyloop.metrics import MetricsConfig
from galaxyloop.objectives import VotesObjective
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.predictions import prediction_columns
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.splits import SplitConfig, split_galaxies
from galaxyloop.surveys import IngestConfig, read_manifest, version_survey
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies, write_survey
from galaxyloop.training import SupervisedRun, TrainingConfig, pretrain_supervised
from galaxyloop.training.data import select_split
from galaxyloop.training.starting import new_model
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_tree,
    load_votes,
    read_vote_table,
)
from schemas.metrics import judge_metrics
from schemas.votes import judge_votes
from tests.library.training_data import ArrayCutouts

SEEN = {"gz2": (0.0, 0.5), "gz_decals_dr5": (0.4, 0.9), "gz_rings": (0.8, 1.0)}
"""Which stretch of the survey each campaign's volunteers have seen; neighbours overlap."""
TREE = campaign_tree(list(SEEN))
SURVEY = SimulationConfig(
    n_galaxies=150,
    image_size_px=32,
    seed=7,
    labelled_share=1.0,
    n_broken_images=0,
    n_broken_votes=0,
    repeated_share=0.1,
)
RUN = SupervisedRun(
    training=TrainingConfig(epochs=2, batch_size=32, n_threads=1, precision="float32", device="cpu")
)
SPLIT = SplitConfig(validation_share=0.15, test_share=0.3)
SETTINGS = (PosteriorConfig(n_samples=4, n_threads=1), MetricsConfig(n_bootstrap=20))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, and a table of votes of each campaign."""
    directory = tmp_path_factory.mktemp("several")
    for campaign, (first, last) in SEEN.items():
        config = replace(SURVEY, campaign=campaign)
        write_survey(config, directory / campaign, progress=False)
        table = pd.read_csv(directory / campaign / "votes.csv", dtype=str)
        rows = slice(round(first * len(table)), round(last * len(table)))
        table[rows].to_csv(directory / f"{campaign}.csv", index=False)
    return directory


@pytest.fixture(scope="module")
def shard(survey: Path) -> CutoutShard:
    rows = read_manifest(str(survey / "gz2" / "manifest.csv"), IngestConfig())
    version = version_survey(rows.galaxies, IngestConfig(), None, survey / "version")
    (digest,) = version.chunks
    config = CutoutConfig(image_size_px=SURVEY.image_size_px)
    cut_out_chunk(version.read_chunk(digest), config, survey / "shard")
    return CutoutShard.open(survey / "shard")


@pytest.fixture(scope="module")
def votes(survey: Path) -> pd.DataFrame:
    sources = [VoteSource(str(survey / f"{name}.csv"), name) for name in SEEN]
    read_vote_table(sources, VotesConfig(), survey / "votes", judge_votes)
    return load_votes(survey / "votes")


@pytest.fixture(scope="module")
def splits(shard: CutoutShard) -> pd.DataFrame:
    return split_galaxies(shard.index, SPLIT)


@pytest.fixture(scope="module")
def checkpoint(survey: Path, shard: CutoutShard, votes: pd.DataFrame, splits: pd.DataFrame) -> Path:
    cutouts = CutoutCollection([shard])
    return pretrain_supervised(cutouts, votes, splits, TREE, RUN, survey / "checkpoint")


def campaigns_of(votes: pd.DataFrame) -> pd.DataFrame:
    """Whether each galaxy has votes of each campaign."""
    return pd.DataFrame({part.name: votes[list(part.columns)].any(axis=1) for part in TREE.parts})


def test_read_vote_table__makes_one_row_of_a_galaxy_in_two_campaigns(
    survey: Path, votes: pd.DataFrame
) -> None:
    tables = [pd.read_csv(survey / f"{name}.csv", dtype=str) for name in SEEN]
    assert votes["id_str"].is_unique
    assert set(votes["id_str"]) == set(pd.concat(tables)["id_str"])
    n_campaigns = campaigns_of(votes).sum(axis=1)
    assert n_campaigns.value_counts().to_dict() == {1: 120, 2: 30}
    assert load_vote_tree(survey / "votes") == TREE


def test_split_galaxies__puts_a_galaxy_into_one_split_whatever_its_campaigns(
    shard: CutoutShard, votes: pd.DataFrame, splits: pd.DataFrame
) -> None:
    both = votes.loc[campaigns_of(votes).sum(axis=1) == 2, "id_str"]
    chosen = {
        split: select_split(CutoutCollection([shard]), votes, splits, TREE, split)
        for split in ("train", "validation", "test")
    }
    ids = {name: set(one.cutouts.id_strs[one.positions]) for name, one in chosen.items()}
    for id_str in both:
        assert sum(id_str in names for names in ids.values()) == 1
    assert sum(len(one) for one in chosen.values()) == len(votes) == 150
    groups = splits.merge(shard.index[["id_str"]]).groupby("group_id")["split"].nunique()
    assert groups.max() == 1


@pytest.mark.parametrize("campaign", list(SEEN))
def test_votes_loss__gives_other_campaigns_answers_exactly_no_gradient(
    shard: CutoutShard, votes: pd.DataFrame, splits: pd.DataFrame, campaign: str
) -> None:
    seen = campaigns_of(votes)
    only = votes[seen[campaign] & (seen.sum(axis=1) == 1)]
    galaxies = select_split(CutoutCollection([shard]), only, splits, TREE, "train")
    batch = galaxies.read(np.arange(8))
    model = new_model(galaxies, TREE, RUN, 0.2)
    (part,) = (part for part in TREE.parts if part.name == campaign)
    is_own = np.isin(np.arange(len(TREE.columns)), TREE.places_of(part))
    images = batch.images.permute(0, 3, 1, 2)
    VotesObjective(model).loss([images.float() / 255], batch.labels).backward()
    for gradient in (model.head.linear.weight.grad, model.head.linear.bias.grad):
        assert gradient is not None
        assert (gradient[~is_own] == 0).all()
        assert (gradient[is_own] != 0).any()


def test_votes_loss__gives_no_gradient_to_logits_of_campaigns_that_did_not_see_a_galaxy(
    votes: pd.DataFrame,
) -> None:
    counts = torch.tensor(votes[list(TREE.columns)].to_numpy(np.float32))
    logits = torch.zeros_like(counts).requires_grad_()
    votes_loss(1 + 100 * torch.sigmoid(logits), counts, TREE).backward()
    assert logits.grad is not None
    for part in TREE.parts:
        places = TREE.places_of(part)
        has_votes = counts[:, places].any(dim=1)
        assert (logits.grad[~has_votes][:, places] == 0).all()
        assert (logits.grad[has_votes][:, places] != 0).any(dim=1).all()


def test_load_checkpoint__carries_the_combined_tree_to_the_predictions(
    checkpoint: Path, shard: CutoutShard, tmp_path: Path
) -> None:
    model = load_checkpoint(checkpoint)
    assert model.tree == load_checkpoint_tree(checkpoint) == TREE
    assert [part.name for part in model.tree.parts] == list(SEEN)
    path = tmp_path / "predictions.parquet"
    predict_shard(model, shard, SETTINGS[0], InformationConfig(), path)
    predictions = pd.read_parquet(path)
    assert tuple(predictions.columns) == prediction_columns(TREE)
    for part in TREE.parts:
        for question in part.questions:
            total = predictions[[f"{name}_fraction" for name in question.columns]].sum(axis=1)
            np.testing.assert_allclose(total, 1, atol=1e-5)
        # Of every campaign the first question is asked of everybody.
        assert (predictions[f"{part.question_names[0]}_asked"] == 1).all()


def test_evaluate_checkpoint__bears_a_test_split_without_votes_of_a_campaign(
    checkpoint: Path,
    shard: CutoutShard,
    votes: pd.DataFrame,
    splits: pd.DataFrame,
    tmp_path: Path,
) -> None:
    held_out = votes["id_str"].isin(splits.loc[splits["split"] == "test", "id_str"])
    rings = list(TREE.parts[2].columns)
    fewer = votes.assign(**{name: votes[name].mask(held_out, 0) for name in rings})
    model, cutouts = load_checkpoint(checkpoint), CutoutCollection([shard])
    evaluate_checkpoint(model, cutouts, fewer, splits, SETTINGS, tmp_path / "evaluation")
    evaluation = Evaluation.open(tmp_path / "evaluation")
    assert evaluation.tree == TREE
    assert judge_metrics(evaluation.metrics, TREE).empty
    table = evaluation.metrics.set_index(["question", "metric"])
    for question in ("ring-rings", "all-gz_rings"):
        assert table.loc[(question, "log_likelihood"), "n_galaxies"] == 0
        assert np.isnan(table.loc[(question, "rmse_ratio"), "value"])
    assert table.loc[("all-gz2", "log_likelihood"), "n_galaxies"] > 10
    assert set(evaluation.calibration["question"]) <= set(TREE.question_names[:-1])
    seen = np.stack([evaluation.votes[:, TREE.places_of(part)].any(axis=1) for part in TREE.parts])
    assert seen[:, evaluation.shown].sum(axis=1).tolist()[2] == 0
    assert (seen[:2, evaluation.shown].sum(axis=1) >= 4).all()
    assert judge_metrics(pool_folds([evaluation]), TREE).empty
    written = pd.read_csv(write_metrics(evaluation, [evaluation], tmp_path / "metrics.csv"))
    assert written["galaxies"].unique().tolist() == ["test", "folds"]
    assert set(written["campaign"]) == {*SEEN, "all"}
    alone = pd.read_csv(write_metrics(evaluation, [], tmp_path / "metrics.csv"))
    assert alone["galaxies"].unique().tolist() == ["test"]


def test_pretrain_supervised__refuses_a_campaign_without_training_votes(
    shard: CutoutShard, votes: pd.DataFrame, splits: pd.DataFrame, tmp_path: Path
) -> None:
    none = votes.assign(**dict.fromkeys(TREE.parts[2].columns, 0))
    message = r"no training galaxy has votes of gz_rings \(\d+ training galaxies with votes of gz2"
    cutouts = CutoutCollection([shard])
    with pytest.raises(NoTrainingDataError, match=message):
        pretrain_supervised(cutouts, none, splits, TREE, RUN, tmp_path / "checkpoint")


SHARES = {"gz2": (0.0, 0.5), "gz_decals_dr5": (0.4, 0.85), "gz_hubble": (0.75, 1.0)}
"""What each campaign has seen where one model is held against one model each."""


@pytest.fixture(scope="module")
def simulated() -> tuple[ArrayCutouts, pd.DataFrame, pd.DataFrame]:
    """Cutouts, votes of three campaigns, splits; the images are the same for all campaigns."""
    config = replace(SURVEY, n_galaxies=480, repeated_share=0.0)
    tables = []
    for campaign, (first, last) in SHARES.items():
        survey = simulate_galaxies(replace(config, campaign=campaign))
        is_seen = np.zeros((len(survey.images), 1), dtype=bool)
        is_seen[round(first * len(is_seen)) : round(last * len(is_seen))] = True
        tables.append(pd.DataFrame(survey.votes * is_seen, columns=list(survey.tree.columns)))
    ids = survey.galaxies["id_str"].to_numpy(str)
    votes = pd.concat([pd.DataFrame({"id_str": ids}), *tables], axis=1)
    return ArrayCutouts(survey.images, ids), votes, split_galaxies(survey.galaxies, SPLIT)


def held_out_log_likelihood(
    simulated: tuple[ArrayCutouts, pd.DataFrame, pd.DataFrame],
    tree: DecisionTree,
    seed: int,
    directory: Path,
) -> dict[str, np.ndarray]:
    """Of a freshly trained model: each test galaxy's sum over each campaign's questions [nats]."""
    run = replace(RUN, training=replace(RUN.training, epochs=12, seed=seed))
    cutouts, votes, splits = simulated
    model = load_checkpoint(pretrain_supervised(cutouts, votes, splits, tree, run, directory))
    test = select_split(cutouts, votes, splits, tree, "test")
    batch = test.read(np.arange(len(test)))
    with torch.no_grad():
        concentrations = model(batch.images.permute(0, 3, 1, 2))
        likelihood = vote_log_likelihood(concentrations, batch.labels, tree).double().numpy()
    result = {}
    for part in tree.parts:
        has_votes = batch.labels[:, tree.places_of(part)].any(dim=1).numpy()
        places = [tree.question_names.index(name) for name in part.question_names]
        result[part.name] = likelihood[has_votes][:, places].sum(axis=1)
    return result


@pytest.mark.slow
def test_pretrain_supervised__on_several_campaigns_is_no_worse_for_any(
    simulated: tuple[ArrayCutouts, pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    trees = {
        "joint": campaign_tree(list(SHARES)),
        **{name: campaign_tree([name]) for name in SHARES},
    }
    found = {
        (name, seed): held_out_log_likelihood(simulated, tree, seed, tmp_path / f"{name}-{seed}")
        for seed in range(2)
        for name, tree in trees.items()
    }
    rng = np.random.default_rng(0)
    for name in SHARES:
        gains = np.mean(
            [found["joint", seed][name] - found[name, seed][name] for seed in range(2)], axis=0
        )
        picks = rng.integers(0, len(gains), (2000, len(gains)))
        highest = np.quantile(gains[picks].mean(axis=1), 0.95)
        assert highest > 0, (name, gains.mean())
    # Few galaxies of its own: it is what the others teach the encoder that helps.
    assert gains.mean() > 0
