"""Votes of another survey are noticed, table by table."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import NoMatchingVotesError, VoteTableError
from galaxyloop.vote_tables import (
    SourceMatch,
    VotesConfig,
    VoteSource,
    match_votes,
    read_vote_table,
)
from schemas.votes import judge_votes


def ids_of(prefix: str, n_galaxies: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n_galaxies)]


def read(directory: Path, *tables: list[str], share: float = 0.01) -> Path:
    """Read one table of votes for each list of ids."""
    sources = []
    for number, ids in enumerate(tables):
        table = pd.DataFrame(
            {
                "id_str": ids,
                "smooth-or-featured-gz2_smooth": 3,
                "smooth-or-featured-gz2_featured-or-disk": 1,
                "smooth-or-featured-gz2_artifact": 0,
            }
        )
        table.to_csv(directory / f"{number}.csv", index=False)
        sources.append(VoteSource(str(directory / f"{number}.csv"), "gz2"))
    config = VotesConfig(min_matching_share=share, max_reject_rate=1.0)
    read_vote_table(sources, config, directory / "votes", judge_votes)
    return directory / "votes"


def test_match_votes__counts_each_table(tmp_path: Path) -> None:
    votes = read(tmp_path, ids_of("J", 4), [*ids_of("K", 2), "J0"])
    uris = [str(tmp_path / name) for name in ("0.csv", "1.csv")]
    # The second table's J0 was set aside: the first has it.
    assert match_votes(["J1", "J3", "K0", "L"], votes) == [
        SourceMatch(uris[0], "gz2", 4, 2),
        SourceMatch(uris[1], "gz2", 2, 1),
    ]


def test_match_votes__notices_one_foreign_table_among_several(tmp_path: Path) -> None:
    votes = read(tmp_path, ids_of("J", 500), ids_of("5877", 50))
    with pytest.raises(NoMatchingVotesError, match=r"^0 of the 50 ids .*1\.csv are") as caught:
        match_votes(ids_of("J", 500), votes)
    assert caught.value.source == str(tmp_path / "1.csv")


def test_match_votes__measures_the_share_of_the_smaller_side(tmp_path: Path) -> None:
    votes = read(tmp_path, ids_of("J", 3000), share=0.5)
    assert match_votes(ids_of("J", 20), votes)[0].n_matching == 20
    assert match_votes(ids_of("J", 40_000), votes)[0].n_matching == 3000
    # 10 of the manifest's 20 are enough, 9 are not.
    assert match_votes([*ids_of("J", 10), *ids_of("K", 10)], votes)[0].n_matching == 10
    with pytest.raises(NoMatchingVotesError, match="below min_matching_share=0.5"):
        match_votes([*ids_of("J", 9), *ids_of("K", 11)], votes)


def test_match_votes__shows_numbers_and_ids_of_both_sides(tmp_path: Path) -> None:
    votes = read(tmp_path, ["same", *ids_of("J", 200)])
    with pytest.raises(NoMatchingVotesError) as caught:
        match_votes(["same", *ids_of("5877", 300)], votes)
    error = caught.value
    assert (error.n_matching, error.n_votes, error.n_galaxies) == (1, 201, 301)
    message = str(error)
    assert "1 of the 201 ids with votes" in message
    assert "['J0', 'J1', 'J2']" in message
    assert "['58770', '58771', '58772']" in message
    assert "give both the same id_str" in message


def test_match_votes__refuses_nothing_in_common_whatever_the_share(tmp_path: Path) -> None:
    votes = read(tmp_path, ids_of("J", 5), share=0.0)
    with pytest.raises(NoMatchingVotesError, match="0 of the 5"):
        match_votes(["1", "2"], votes)


def test_match_votes__passes_over_a_table_whose_rows_were_all_known(tmp_path: Path) -> None:
    votes = read(tmp_path, ids_of("J", 5), ids_of("J", 5))
    assert [match.n_votes for match in match_votes(ids_of("J", 5), votes)] == [5, 0]


def test_match_votes__refuses_another_directory(tmp_path: Path) -> None:
    with pytest.raises(VoteTableError, match="holds no summary.json"):
        match_votes(["1"], tmp_path)
