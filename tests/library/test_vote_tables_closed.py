"""Which galaxies volunteers cannot add votes to."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.vote_tables import VotesConfig, VoteSource, load_closed_ids, read_vote_table
from schemas.votes import judge_votes
from tests.library.classification_votes import LINES, SMOOTH
from tests.library.panoptes_exports import classified, write_export
from tests.library.vote_tables import walk_tree


def published(campaign: str, folder: Path, ids: Sequence[str]) -> VoteSource:
    """A released table of a campaign, or an expert's of EFIGI."""
    efigi = find_campaign("efigi")
    if campaign == efigi.name:
        columns = {attribute.column: 0.25 for attribute in efigi.pseudo_votes}
        table = pd.DataFrame({efigi.id_columns[0]: ids, **columns})
    else:
        table = walk_tree(find_campaign(campaign), len(ids)).assign(id_str=ids)
    table.to_csv(folder / f"{campaign}.csv", index=False)
    return VoteSource(str(folder / f"{campaign}.csv"), campaign)


def export(folder: Path, ids: Sequence[str]) -> VoteSource:
    """An export of DECaLS DR5 with a classification of each galaxy."""
    rows = [
        classified(number, "ann", str(number), {"T0": SMOOTH}, galaxy=id_str)
        for number, id_str in enumerate(ids)
    ]
    source = {
        "uri": write_export(rows, folder / "export.csv"),
        "campaign": "gz_decals_dr5",
        "subject_key": "id_str",
        "classifications": {"answers": LINES},
    }
    return VoteSource.from_dict(source)


@pytest.mark.parametrize(
    ("tables", "exported", "closed"),
    [
        ({"gz2": "abc"}, "", "abc"),
        ({"efigi": "abc"}, "", ""),
        ({"efigi": "abc", "gz2": "bcd"}, "", "bcd"),
        ({}, "abc", ""),
        # An expert's attributes say nothing of how many volunteers there were.
        ({"efigi": "abc"}, "abc", ""),
        # More votes of the export's campaign would come to nothing where the table has the galaxy.
        ({"gz_decals_dr5": "abc"}, "bcd", "abc"),
        # Votes of DECaLS DR5 are added to those of another campaign.
        ({"gz2": "abc"}, "bcd", ""),
        ({"gz2": "abc", "gz_decals_dr5": "bcd"}, "cde", "bcd"),
    ],
)
def test_load_closed_ids__are_those_that_no_export_can_add_to(
    tables: dict[str, str], exported: str, closed: str, tmp_path: Path
) -> None:
    sources = [published(name, tmp_path, list(ids)) for name, ids in tables.items()]
    sources += [export(tmp_path, list(exported))] if exported else []
    read_vote_table(sources, VotesConfig(), tmp_path / "votes", judge_votes)
    assert load_closed_ids(tmp_path / "votes") == set(closed)
