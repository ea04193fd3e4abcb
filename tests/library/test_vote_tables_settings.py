"""Tolerances do what they say; settings out of range are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.errors import ConfigError, TooManyRejectsError, VoteTableError
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from schemas.votes import judge_votes
from tests.library.vote_tables import walk_tree


def test_read_vote_table__tolerates_a_small_excess_over_the_parents_and_counts_it(
    tmp_path: Path,
) -> None:
    table = pd.DataFrame(
        {
            "id_str": ["right", "two more", "three more", "three more of forty", "fewer"],
            "smooth-or-featured-gz2_smooth": [10, 10, 10, 40, 10],
            "smooth-or-featured-gz2_featured-or-disk": 0,
            "smooth-or-featured-gz2_artifact": 0,
            "how-rounded-gz2_round": [10, 12, 13, 43, 1],
            "how-rounded-gz2_in-between": 0,
            "how-rounded-gz2_cigar": 0,
        }
    )
    table.to_parquet(tmp_path / "table.parquet")
    source = VoteSource(str(tmp_path / "table.parquet"), "gz2")
    config = VotesConfig(max_reject_rate=1.0)
    summary = read_vote_table([source], config, tmp_path / "votes", judge_votes)
    votes, rejects = load_votes(tmp_path / "votes"), load_vote_rejects(tmp_path / "votes")
    assert rejects["id_str"].tolist() == ["three more"]
    assert rejects[["column", "value"]].to_numpy().tolist() == [["how-rounded-gz2", "13"]]
    assert "max_excess_votes=2" in rejects["reason"][0]
    assert summary.sources[0].n_tolerated == {"how-rounded-gz2": 2}
    assert votes["how-rounded-gz2_round"].tolist() == [10, 12, 43, 1]


def test_read_vote_table__refuses_a_bad_source_beside_a_large_good_one(tmp_path: Path) -> None:
    sources = []
    for name, n_galaxies, n_smooth in (("good", 200, 3), ("bad", 5, -1)):
        table = pd.DataFrame(
            {
                "id_str": [f"{name}-{i}" for i in range(n_galaxies)],
                "smooth-or-featured-gz2_smooth": n_smooth,
                "smooth-or-featured-gz2_featured-or-disk": 1,
                "smooth-or-featured-gz2_artifact": 0,
            }
        )
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        sources.append(VoteSource(str(tmp_path / f"{name}.csv"), "gz2"))
    with pytest.raises(
        TooManyRejectsError, match=r"^5 of 5 rows of votes in .*/bad\.csv .*\(5 x "
    ) as caught:
        read_vote_table(sources, VotesConfig(), tmp_path / "votes", judge_votes)
    assert list(caught.value.reasons.values()) == [5]
    assert not (tmp_path / "votes").exists()


def test_read_vote_table__an_earlier_wording_without_cells_was_not_shown(tmp_path: Path) -> None:
    campaign = find_campaign("gz_decals_dr5")
    table = walk_tree(campaign, 3).rename(columns=lambda name: name.replace("-dr5", ""))
    table["merging_neither-v1"] = [0, np.nan, np.nan]
    table["merging_both-v1"] = [0, np.nan, 0]
    table.to_parquet(tmp_path / "t.parquet")
    source = VoteSource(str(tmp_path / "t.parquet"), campaign.name)
    config = VotesConfig(max_reject_rate=1.0)
    summary = read_vote_table([source], config, tmp_path / "votes", judge_votes)
    assert summary.n_accepted == 2
    assert summary.reasons == {"the cell is missing; write 0 where nobody answered": 1}


def test_load_votes__refuses_another_directory(tmp_path: Path) -> None:
    with pytest.raises(VoteTableError, match="holds no votes.parquet"):
        load_votes(tmp_path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"max_reject_rate": 1.5}, r"max_reject_rate must be in \[0, 1\], got 1.5"),
        ({"min_matching_share": -0.1}, r"min_matching_share must be in \[0, 1\], got -0.1"),
        ({"max_excess_votes": -1}, "max_excess_votes must be 0 or above, got -1"),
        ({"batch_rows": 0}, "batch_rows must be 1 or above, got 0"),
        ({"fraction_decimals": 0}, r"fraction_decimals must be in \[1, 12\], got 0"),
        ({"max_rejects": 3}, "did you mean 'max_reject_rate'"),
    ],
)
def test_votes_config__refuses_values_out_of_range(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VotesConfig.from_dict(setting)


def test_vote_source__refuses_another_way_to_rebuild() -> None:
    with pytest.raises(ConfigError, match="one of none, weighted, got 'guess'"):
        VoteSource("a.csv", "gz2", rebuild="guess")
