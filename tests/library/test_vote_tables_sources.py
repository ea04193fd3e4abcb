"""Several tables of one campaign: of a galaxy the first one's votes count, and no row is lost."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.report.gathering import count_intake
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import IngestConfig, read_manifest, version_survey
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    VoteSummary,
    load_vote_rejects,
    load_vote_summary,
    load_votes,
    read_vote_table,
)
from schemas.votes import judge_votes
from tests.library.image_files import galaxy_pixels, png_bytes
from tests.library.vote_tables import walk_tree

GZ2 = find_campaign("gz2")


def read(
    folder: Path, *tables: pd.DataFrame, max_reject_rate: float = 0.05, batch_rows: int = 7
) -> VoteSummary:
    """What is told of tables of Galaxy Zoo 2."""
    sources = []
    for number, table in enumerate(tables):
        table.to_csv(folder / f"t{number}.csv", index=False)
        sources.append(VoteSource(str(folder / f"t{number}.csv"), "gz2"))
    config = VotesConfig(max_reject_rate=max_reject_rate, batch_rows=batch_rows)
    return read_vote_table(sources, config, folder / "votes", judge_votes)


def test_read_vote_table__keeps_a_galaxy_s_votes_of_the_first_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, later = walk_tree(GZ2, 20), walk_tree(GZ2, 40, seed=1)
    later["id_str"] = [*first["id_str"], *later["id_str"][20:]]
    with caplog.at_level(logging.WARNING, "galaxyloop"):
        summary = read(tmp_path, first, later)
    counts = summary.n_read, summary.n_accepted, summary.n_rejected, summary.n_known
    assert counts == (60, 40, 0, 20)
    assert [(one.n_accepted, one.n_known) for one in summary.sources] == [(20, 0), (20, 20)]
    assert load_vote_summary(tmp_path / "votes") == summary
    assert load_vote_rejects(tmp_path / "votes").empty
    expected = pd.concat([first, later[20:]], ignore_index=True)
    votes = load_votes(tmp_path / "votes")[expected.columns]
    pd.testing.assert_frame_equal(votes, expected, check_dtype=False)
    (told,) = caplog.messages
    assert "t1.csv: the votes of 20 of its 40 rows do not count" in told
    assert "exports" not in told


def test_read_vote_table__rejects_what_is_wrong_with_a_later_table_itself(tmp_path: Path) -> None:
    first, later = walk_tree(GZ2, 4), walk_tree(GZ2, 6, seed=1)
    # A broken row of a galaxy that is known, a known galaxy, and a new one that comes twice.
    later["id_str"] = [*first["id_str"][:2], "new", "x", "y", "new"]
    later.loc[0, "bar-gz2_yes"] = -1
    summary = read(tmp_path, first, later, max_reject_rate=0.5, batch_rows=4)
    source = summary.sources[1]
    assert (source.n_read, source.n_accepted, source.n_rejected, source.n_known) == (6, 3, 2, 1)
    rejects = load_vote_rejects(tmp_path / "votes")
    assert rejects["row"].tolist() == [0, 5]
    assert rejects["reason"][1].startswith("duplicate id_str")


def test_count_intake__leaves_out_rows_of_galaxies_that_an_earlier_table_has(
    tmp_path: Path,
) -> None:
    (tmp_path / "g.png").write_bytes(png_bytes(galaxy_pixels(0, 40, 40)))
    pd.DataFrame({"id_str": ["g"], "image_uri": ["g.png"]}).to_csv(tmp_path / "m.csv")
    manifest = read_manifest(str(tmp_path / "m.csv"), IngestConfig())
    survey = version_survey(
        manifest.galaxies, IngestConfig(), None, tmp_path / "survey", manifest.rejects, 1
    )
    cut_out_chunk(survey.read_chunk(survey.chunks[0]), CutoutConfig(16), tmp_path / "shard")
    cutouts = CutoutCollection([CutoutShard.open(tmp_path / "shard", verify=True)])
    summary = read(tmp_path, walk_tree(GZ2, 3), walk_tree(GZ2, 5))
    intake = count_intake(survey, cutouts, summary).set_index("step")
    assert intake.loc["rows of votes"].tolist() == [5, 5, 0]
