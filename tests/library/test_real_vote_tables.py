"""Published tables, read whole; they are not part of the project.

Skipped unless the environment variable GALAXYLOOP_REAL_DATA names the folder that holds them.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import campaign_tree
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    VoteSummary,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from schemas.votes import judge_votes

FOLDER = Path(os.environ.get("GALAXYLOOP_REAL_DATA") or "/nowhere")
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="GALAXYLOOP_REAL_DATA names no folder with published tables"
)

HART = "gz2_hart_fractions/votes_fractions.csv"
STRIPE_82 = "gz2_s82_counts/votes.csv"
DR5_FULL_TREE = "tables/gz_decals_dr5_full_tree_counts_1618.csv"


def read(name: str, campaign: str, directory: Path, rebuild: str = "none") -> VoteSummary:
    source = VoteSource(str(FOLDER / name), campaign, rebuild)
    return read_vote_table([source], VotesConfig(), directory / "votes", judge_votes)


@pytest.mark.parametrize(
    ("name", "campaign", "least_share"),
    [
        (STRIPE_82, "gz2", 1.0),
        (HART, "gz2", 1.0),
        ("tables/gz2_stripe82_coadd_votes.csv.gz", "gz2", 0.95),
        (DR5_FULL_TREE, "gz_decals_dr5", 0.95),
        ("tables/gz_decals_smooth_or_featured_counts_40votes.csv", "gz_decals_dr5", 0.95),
    ],
)
def test_read_vote_table__accepts_published_tables_and_loses_no_row(
    name: str, campaign: str, least_share: float, tmp_path: Path
) -> None:
    summary = read(name, campaign, tmp_path)
    assert summary.n_read == len(pd.read_csv(FOLDER / name, usecols=[0]))
    assert summary.n_read == summary.n_accepted + summary.n_rejected
    assert summary.n_accepted >= least_share * summary.n_read
    votes, rejects = load_votes(tmp_path / "votes"), load_vote_rejects(tmp_path / "votes")
    assert (len(votes), len(rejects)) == (summary.n_accepted, summary.n_rejected)


def test_read_vote_table__gives_the_published_counts_of_stripe_82(tmp_path: Path) -> None:
    read(STRIPE_82, "gz2", tmp_path)
    votes = load_votes(tmp_path / "votes")
    published = pd.read_csv(FOLDER / STRIPE_82, dtype={"objid": str})
    assert votes["id_str"].tolist() == published["objid"].tolist()
    counts = [column for column in published if column.endswith("_count")]
    answers = votes.drop(columns=["id_str", "votes_origin"])
    assert answers.to_numpy().sum() == published[counts].to_numpy().sum()
    bar = published["t03_bar_a06_bar_count"]
    assert answers["bar-gz2_yes"].tolist() == bar.tolist()


def test_read_vote_table__recovers_every_first_question_count_of_hart(tmp_path: Path) -> None:
    summary = read(HART, "gz2", tmp_path)
    votes = load_votes(tmp_path / "votes")
    published = pd.read_csv(FOLDER / HART)
    first = [column for column in summary.columns if column.startswith("smooth-or-featured")]
    total = published["total_classifications"].to_numpy()
    assert len(votes) == 684
    assert (votes[first].sum(axis=1).to_numpy() == total).all()
    share = published["t01_smooth_or_features_a01_smooth_fraction"].to_numpy()
    np.testing.assert_allclose(votes[first[0]] / total, share, atol=6e-4)
    assert (votes.drop(columns=["id_str", "votes_origin", *first]) == 0).all(axis=None)
    assert "rebuild: weighted" in summary.sources[0].left_out["bar-gz2"]


def test_read_vote_table__rebuilds_the_deeper_questions_of_hart_when_asked(tmp_path: Path) -> None:
    summary = read(HART, "gz2", tmp_path, rebuild="weighted")
    votes = load_votes(tmp_path / "votes")
    assert set(votes["votes_origin"]) == {"rebuilt"}
    assert len(summary.sources[0].rebuilt) == 10
    asked = votes[["disk-edge-on-gz2_yes", "disk-edge-on-gz2_no"]].sum(axis=1)
    assert (asked - votes["smooth-or-featured-gz2_featured-or-disk"]).abs().max() <= 1


def test_read_vote_table__rebuilds_nearly_the_counts_that_stripe_82_publishes(
    tmp_path: Path,
) -> None:
    (tmp_path / "true").mkdir()
    read(STRIPE_82, "gz2", tmp_path / "true")
    published = pd.read_csv(FOLDER / STRIPE_82, dtype={"objid": str})
    deeper = [c for c in published if c.endswith("_count") and not c.startswith("t01")]
    published.drop(columns=deeper).to_csv(tmp_path / "weighted.csv", index=False)
    read(str(tmp_path / "weighted.csv"), "gz2", tmp_path, rebuild="weighted")
    true = load_votes(tmp_path / "true" / "votes").iloc[:, 2:].to_numpy()
    rebuilt = load_votes(tmp_path / "votes").iloc[:, 2:].to_numpy()
    assert (true == rebuilt).mean() > 0.975
    assert np.abs(true - rebuilt).max() <= 1


def test_read_vote_table__sets_dr5_merging_votes_of_the_first_wording_aside(tmp_path: Path) -> None:
    summary = read(DR5_FULL_TREE, "gz_decals_dr5", tmp_path)
    votes = load_votes(tmp_path / "votes")
    merging = [column for column in summary.columns if column.startswith("merging")]
    assert votes[merging].to_numpy().sum() == 0
    assert summary.sources[0].n_set_aside == {"merging-dr5": 1152}


def test_read_vote_table__stored_table_has_the_tree_s_columns_once_a_galaxy(
    tmp_path: Path,
) -> None:
    read(STRIPE_82, "gz2", tmp_path)
    votes = load_votes(tmp_path / "votes")
    assert tuple(votes)[2:] == campaign_tree(["gz2"]).columns
    assert set(votes.dtypes[2:].astype(str)) == {"int32"}
    assert votes["id_str"].is_unique
    assert (votes.iloc[:, 2:] >= 0).all(axis=None)


@pytest.mark.parametrize(
    ("name", "campaign", "message"),
    [
        ("tables/gz2_asset_smooth_fractions.csv", "gz2", "without vote counts or totals"),
        ("tables/zoobot_example_ring_catalog_basic.csv", "gz_decals_dr5", "no vote counts"),
        (DR5_FULL_TREE, "gz2", "look like campaign 'gz_decals_dr5'"),
        (STRIPE_82, "gz_decals_dr5", "look like campaign 'gz2'"),
        ("tables/hoyle_barlengths.csv", "gz2", "no column of campaign 'gz2'"),
        ("tables/nothing_here.csv", "gz2", "there is no file at"),
    ],
)
def test_read_vote_table__refuses_what_holds_no_votes(
    name: str, campaign: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(VoteTableError, match=message):
        read(name, campaign, tmp_path)
    assert not (tmp_path / "votes").exists()
