"""Exports of classifications read into votes by lines for three questions of DECaLS DR5."""

from pathlib import Path

import pandas as pd

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
from tests.library.panoptes_exports import write_export

SMOOTH = "![smooth_new.png](https://panoptes-uploads.zooniverse.org/a/s.png =60x) Smooth"
FEATURED = "![f_(new).png](https://panoptes-uploads.zooniverse.org/a/f.png =60x)  Features or Disk "
ARTIFACT = "Star, Artifact,\nor Bad Zoom"
LINES = [
    "T0.Smooth = smooth-or-featured-dr5_smooth",
    "T0.features or disk = smooth-or-featured_featured-or-disk",
    "T0.Star, artifact, or bad zoom = smooth-or-featured-dr5_artifact",
    "T0[0] = smooth-or-featured-dr5_smooth",
    "T0[1] = smooth-or-featured-dr5_featured-or-disk",
    "T0[2] = smooth-or-featured-dr5_artifact",
    "T1 = how-rounded-dr5",
    "T2.Yes - Edge On Disk = disk-edge-on-dr5_yes",
    "T2.No = disk-edge-on-dr5_no",
    "T2[0] = disk-edge-on-dr5_yes",
    "T2[1] = disk-edge-on-dr5_no",
    "T10 =",
]


def read(
    rows: list[dict[str, str]], folder: Path, max_reject_rate: float = 1.0, **settings: object
) -> tuple[VoteSummary, pd.DataFrame]:
    """What is told of an export, and its votes by galaxy and answer."""
    uri = write_export(rows, folder / "classifications.csv")
    return read_file(uri, folder, max_reject_rate, **settings)


def read_file(
    uri: str, folder: Path, max_reject_rate: float = 1.0, **settings: object
) -> tuple[VoteSummary, pd.DataFrame]:
    classifications = {"answers": settings.pop("answers", LINES), **settings}
    shared = {
        name: classifications.pop(name)
        for name in ("workflow_id", "subject_key")
        if name in classifications
    }
    source = VoteSource.from_dict(
        {
            "uri": uri,
            "campaign": "gz_decals_dr5",
            "subject_key": "id_str",
            "classifications": classifications,
            **shared,
        }
    )
    config = VotesConfig(max_reject_rate=max_reject_rate)
    directory = folder / f"votes{len(list(folder.iterdir()))}"
    summary = read_vote_table([source], config, directory, judge_votes)
    assert load_vote_summary(directory) == summary
    votes = load_votes(directory).set_index("id_str").drop(columns="votes_origin")
    votes.columns = votes.columns.str.replace("-dr5_", "_")
    votes.attrs["rejects"] = load_vote_rejects(directory)
    return summary, votes


def given(votes: pd.DataFrame, id_str: str) -> dict[str, int]:
    """The answers that a galaxy was given."""
    row = votes.loc[id_str]
    return {str(name): int(n) for name, n in row[row > 0].items()}


def adds_up(summary: VoteSummary) -> bool:
    """Whether every classification is used, rejected or set aside."""
    (source,) = summary.sources
    counts = source.classifications
    assert counts is not None
    return counts.n_read == counts.n_used + counts.n_rejected + sum(counts.set_aside.values())
