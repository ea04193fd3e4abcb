"""The judge of vote cells finds each fault where it is, and invents none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from galaxyloop.campaigns import CAMPAIGNS, Campaign, find_campaign
from galaxyloop.errors import VoteTableError
from schemas.votes import batch_schema, judge_votes

GZ2 = find_campaign("gz2")


def batch_of(campaign: Campaign, n_galaxies: int = 3) -> pd.DataFrame:
    columns = dict.fromkeys(campaign.tree.columns, np.full(n_galaxies, 4.0))
    ids = pd.Series([f"58772258{i}" for i in range(n_galaxies)], dtype="str")
    return pd.DataFrame({"id_str": ids, **columns})


@pytest.mark.parametrize("campaign", CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_judge_votes__passes_whole_counts(campaign: Campaign) -> None:
    assert judge_votes(batch_of(campaign), campaign).empty


@pytest.mark.parametrize("campaign", CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_judge_votes__names_row_and_column_of_every_fault(campaign: Campaign) -> None:
    for column in campaign.tree.columns:
        batch = batch_of(campaign)
        batch.loc[1, column] = 1.5
        failures = judge_votes(batch, campaign)
        assert failures[["row", "column", "value"]].to_numpy().tolist() == [[1, column, 1.5]]


@settings(deadline=None, max_examples=50)
@given(
    cells=st.lists(
        st.floats(-5, 40) | st.integers(0, 50).map(float) | st.sampled_from([np.nan, np.inf]),
        min_size=1,
        max_size=8,
    )
)
def test_judge_votes__fails_exactly_the_cells_that_are_no_counts(cells: list[float]) -> None:
    batch = batch_of(GZ2, len(cells))
    batch["bar-gz2_yes"] = cells
    failed = set(judge_votes(batch, GZ2)["row"])
    assert failed == {
        i for i, cell in enumerate(cells) if not (np.isfinite(cell) and cell >= 0 and cell % 1 == 0)
    }


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 9999), n_galaxies=st.integers(1, 40), n_faults=st.integers(0, 12))
def test_judge_votes__fails_what_pandera_fails_on_the_whole_batch(
    seed: int, n_galaxies: int, n_faults: int
) -> None:
    rng = np.random.default_rng(seed)
    batch = batch_of(GZ2, n_galaxies)
    faults = np.array([-1.0, 0.5, np.nan, np.inf, -np.inf, 2.0**31, -(2.0**40), 1e300, 7.0])
    for row, column in zip(
        rng.integers(n_galaxies, size=n_faults), rng.integers(1, 38, n_faults), strict=True
    ):
        batch.iloc[row, column] = rng.choice(faults)
    try:
        batch_schema(GZ2).validate(batch, lazy=True)
        expected = []
    except SchemaErrors as error:
        cases = error.failure_cases[["index", "column", "failure_case"]]
        expected = cases.astype(str).to_numpy().tolist()
    found = judge_votes(batch, GZ2)[["row", "column", "value"]]
    assert found.astype(str).to_numpy().tolist() == expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [(-2.0, "0 or above"), (1.5, "whole number"), (np.nan, "missing; write 0")],
)
def test_judge_votes__says_what_is_wrong_with_a_cell(cell: float, reason: str) -> None:
    batch = batch_of(GZ2)
    batch.loc[2, "bar-gz2_no"] = cell
    assert reason in " ".join(judge_votes(batch, GZ2)["reason"])


def test_judge_votes__refuses_a_batch_with_another_column() -> None:
    with pytest.raises(VoteTableError, match="columns of campaign 'gz2'"):
        judge_votes(batch_of(GZ2).assign(ra=1.0), GZ2)


def test_judge_votes__refuses_a_batch_of_another_campaign() -> None:
    with pytest.raises(VoteTableError, match="columns of campaign 'gz2'"):
        judge_votes(batch_of(find_campaign("gz_decals_dr5")), GZ2)


def test_judge_votes__refuses_whole_number_types_rather_than_coerce() -> None:
    batch = batch_of(GZ2)
    batch["bar-gz2_yes"] = batch["bar-gz2_yes"].astype("int64")
    with pytest.raises(VoteTableError, match="one float column an answer"):
        judge_votes(batch, GZ2)
